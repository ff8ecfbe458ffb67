# SPDX-License-Identifier: Apache-2.0
"""What `make devstack-check` reads out of a tree, on a few lines of our own: branches, drift, names, last words."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import inventory, stack
from .__main__ import main, missing_functions
from .stub import make_tree

LIBRARY = """\
if is_ubuntu; then
    SERVICE=a
fi
# is_fedora in a comment
function configure_it {
    if is_ubuntu; then
        install_package theirs
    elif is_fedora; then
        install_package ours "ours-devel"
    elif [[ $DISTRO =~ rhel9 ]]; then
        install_package el9
    fi
    install_package $(get_packages list)
    install_package both $variable
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "it").write_text(LIBRARY)
    return tmp_path


def test_branches_are_told_by_function(tree: Path) -> None:
    assert inventory.branches(tree) == {"lib/it": {"(top)": "is_ubuntu", "configure_it": "is_ubuntu is_fedora DISTRO"}}


def test_drift_names_the_function(tree: Path) -> None:
    before = inventory.branches(tree)
    assert inventory.drift(before, before) == []
    (tree / "lib" / "it").write_text(LIBRARY.replace("elif is_fedora", "elif is_suse || is_fedora"))
    assert inventory.drift(before, inventory.branches(tree)) == [
        "lib/it: configure_it: recorded 'is_ubuntu is_fedora DISTRO', now 'is_ubuntu is_suse is_fedora DISTRO'"
    ]
    (tree / "lib" / "it").write_text("")
    assert [line.split(":")[1] for line in inventory.drift(before, inventory.branches(tree))] == [
        " (top)", " configure_it",
    ]  # fmt: skip


def test_names_of_other_distributions_are_not_asked_for(tree: Path) -> None:
    assert inventory.literal_packages(tree) == {"ours", "ours-devel", "both"}


def test_a_function_that_is_gone_is_named(tmp_path: Path) -> None:
    assert missing_functions(make_tree(tmp_path / "whole")) == []
    assert missing_functions(make_tree(tmp_path / "part", without="init_CA")) == ["lib/tls: init_CA is gone"]


def test_what_is_no_devstack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["devstack-check", str(tmp_path)])
    assert main() == 2


def test_last_words_are_those_before_the_clean_up() -> None:
    log = (
        "2026-11-25 17:02:36.4 | + lib/it:configure_it:9 : install x\n"
        "2026-11-25 17:02:36.5 | install: cannot create x\n"
        "2026-11-25 17:02:36.6 | + ./stack.sh:exit_trap:540 : local r=1\n"
        "2026-11-25 17:02:36.7 | nova-compute: no process found\n"
    )
    assert stack.last_words(log) == "install: cannot create x"
    assert stack.last_words("") == "nothing"
