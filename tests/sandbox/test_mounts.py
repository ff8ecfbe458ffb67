# SPDX-License-Identifier: Apache-2.0
"""A killed build leaves the machine's own devices mounted below the state folder: they must survive a purge."""

import os
import subprocess
from pathlib import Path

import pytest

from zuul_suse.sandbox import SandboxError, mounts
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


def test_a_machine_that_refuses_forced_unmounts_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose filter of system calls refuses the flag."""
    umount = tmp_path / "umount"
    umount.write_text('#!/bin/sh\n[ "$1" = -f ] && exit 32\nexec /bin/umount "$@"\n')
    umount.chmod(0o755)
    mounts.check_forced_unmount()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match="would remove its /dev"):
        mounts.check_forced_unmount()
