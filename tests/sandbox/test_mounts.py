# SPDX-License-Identifier: Apache-2.0
"""A killed build leaves the machine's own devices mounted below the state folder: they must survive a purge."""

import subprocess
from pathlib import Path

import pytest

from zuul_suse.sandbox import mounts
from zuul_suse.sandbox.state import State


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Stands for the machine's /dev: a folder that is bound into the state folder."""
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "null").write_text("a device")
    return folder


def test_a_purge_does_not_remove_what_is_mounted_below_the_folder(tmp_path: Path, precious: Path) -> None:
    root = tmp_path / "state"
    inner = root / "nodepool" / "tmp" / "dib build" / "mnt"
    (inner / "dev").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(inner)], check=True)
    (inner / "dev").mkdir()
    subprocess.run(["mount", "--bind", str(precious), str(inner / "dev")], check=True)
    assert mounts.below(root) == [inner / "dev", inner]
    State(root).purge()
    assert not root.exists()
    assert (precious / "null").read_text() == "a device"
    assert mounts.below(tmp_path) == []


def test_mounts_beside_the_folder_are_left_alone(tmp_path: Path) -> None:
    assert mounts.below(tmp_path) == []
    assert Path("/proc") not in mounts.below(Path("/pro"))
