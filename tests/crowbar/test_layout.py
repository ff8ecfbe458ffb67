# SPDX-License-Identifier: Apache-2.0
"""The bundle judges the tree that a deployment installs: both lay the same checkouts to the very same files."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..roles.loading import load
from . import barclamps
from .node import FILES, run

ROLE = Path(__file__).parents[2] / "roles" / "write-crowbar-checkout"
layout = load(ROLE / "module_utils" / "crowbar_layout.py")
checkout = load(ROLE / "library" / "crowbar_checkout.py", crowbar_layout=layout)

INSTALLER, WEB = "acme/installer", "acme/web"
Laid = dict[str, tuple[bytes, int]]


def fill(base: Path) -> dict[str, Path]:
    """Three checkouts with what real ones have, and what only looks like it."""
    checkouts = barclamps.later(base)
    barclamps.write(checkouts[INSTALLER], {"scripts/lib/more.rb": "1\n"})
    barclamps.write(
        checkouts[WEB],
        {
            **dict.fromkeys((".rubocop.yml", ".travis.yml", "bin/.hidden", "chef/.git/HEAD", "updates/.d/x"), "x: 1\n"),
            "circle.yml": "machine:\n  ruby: 2.1\n",
            "README.md": "not laid\n",
            "crowbar.yml": "# x\n\nbarclamp:\n  # which\n  display: 'Old'\n  name: 'old'\n\ncrowbar:\n  run: 1\n",
            "flow.yml": "barclamp: {name: flow, display: Flow}\n",
            "scripts/not-the-installers.sh": "x\n",
            "doc/a/b.md": "x\n",
            "etc/x.conf": "x\n",
            "bin/tool": "#!/bin/sh\n",
        },
    )
    (checkouts[WEB] / "bin" / "tool").chmod(0o755)
    (checkouts[WEB] / "bin" / "again").symlink_to("tool")
    (checkouts[WEB] / "updates").mkdir(exist_ok=True)
    (checkouts[WEB] / "updates" / "docs").symlink_to("../doc")
    return checkouts


def files(root: Path) -> Laid:
    found = [path for path in root.rglob("*") if not path.is_dir() and path.name != "owners.json"]
    assert [path for path in found if path.is_symlink()] == []
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in found}


def deployed(checkouts: dict[str, Path], target: Path) -> Laid:
    laid, wrong = checkout.plan([(name, str(path)) for name, path in checkouts.items()])
    assert wrong == []
    for path, source in laid.items():
        checkout.copy(source, str(target / path))
    return files(target)


def bundled(checkouts: dict[str, Path], folder: Path) -> Laid:
    (folder / "components.json").write_text(json.dumps([{"project": name} for name in checkouts]))
    projects = [{"name": name, "src_dir": str(path)} for name, path in checkouts.items()]
    (folder / "projects.json").write_text(json.dumps(projects))
    words = ["--components", folder / "components.json", "--projects", folder / "projects.json", "--root", "/"]
    done = run("tree", *words, "--tree", folder / "tree")
    assert done.returncode == 0, done.stderr
    return files(folder / "tree")


def test_both_lay_the_same_tree(tmp_path: Path) -> None:
    checkouts = fill(tmp_path / "src")
    there = deployed(checkouts, tmp_path / "dell")
    assert there == bundled(checkouts, tmp_path)
    for path in ("bin/again", "bin/barclamp_install.rb", "bin/lib/more.rb", "updates/docs/a/b.md", "etc/x.conf"):
        assert path in there
    names = {path.rsplit("/", 1)[1] for path in there if path.startswith("crowbar_framework/barclamps/")}
    assert {"web.yml", "old.yml", "flow.yml"} <= names
    assert not names & {".rubocop.yml", ".travis.yml", "circle.yml"}
    assert not {"bin/.hidden", "bin/not-the-installers.sh", "README.md"} & set(there)
    assert there["bin/tool"][1] == 0o755


def loop(web: Path) -> str:
    (web / "chef" / "loop").symlink_to(".")
    return "chef/loop: a link to ., a folder that it is in"


def two_that_lead_to_each_other(web: Path) -> str:
    for name, other in (("one", "two"), ("two", "one")):
        (web / "bin" / name).mkdir(parents=True)
        (web / "bin" / name / "x").symlink_to(f"../{other}")
    return "a folder that it is in"


def out_of_the_checkout(web: Path) -> str:
    (web / "etc").mkdir(exist_ok=True)
    (web / "etc" / "shadow").symlink_to("/etc/passwd")
    return "etc/shadow: a link to /etc/passwd, which is not in the checkout"


def a_folder_elsewhere(web: Path) -> str:
    (web / "etc").symlink_to("/etc")
    return "etc: a link to /etc, which is not in the checkout"


def dangling(web: Path) -> str:
    (web / "bin").mkdir()
    (web / "bin" / "gone").symlink_to("nowhere")
    return "bin/gone: a link to nowhere, which is not there"


def a_description_elsewhere(web: Path) -> str:
    (web / "other.yml").symlink_to("/etc/passwd")
    return "other.yml: a link to /etc/passwd, which is not in the checkout"


def a_pipe(web: Path) -> str:
    (web / "bin").mkdir()
    os.mkfifo(web / "bin" / "pipe")
    return "bin/pipe: neither a file nor a folder"


@pytest.mark.parametrize(
    "spoil",
    [
        loop,
        two_that_lead_to_each_other,
        out_of_the_checkout,
        a_folder_elsewhere,
        dangling,
        a_description_elsewhere,
        a_pipe,
    ],
)
def test_what_neither_can_lay_is_told_by_both(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    checkouts = barclamps.later(tmp_path / "src")
    told = spoil(checkouts[WEB])
    _, wrong = checkout.plan([(name, str(path)) for name, path in checkouts.items()])
    assert any(told in fault for fault in wrong), wrong
    bundled(checkouts, tmp_path)
    faults = json.loads((tmp_path / "tree" / "owners.json").read_text())["faults"]
    assert any(told in f"{file}: {fault}" for _, file, fault in faults), faults


def test_links_that_multiply_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST", 500)
    for level in range(30):
        folder = tmp_path / "bin" / f"level{level}"
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / name).symlink_to(f"../level{level + 1}")
    with pytest.raises(ValueError, match="over 500 files"):
        layout.layout(str(tmp_path))


def test_the_layout_is_one_file_that_old_pythons_take() -> None:
    link = FILES / "crowbar_checks" / "layout.py"
    assert link.is_symlink()
    assert link.resolve() == ROLE / "module_utils" / "crowbar_layout.py"
    text = link.read_text()
    ast.parse(text, feature_version=(3, 4))
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)]
