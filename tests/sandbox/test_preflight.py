# SPDX-License-Identifier: Apache-2.0
"""What this machine lacks is told in one line, before anything is started."""

import subprocess
import sys
from pathlib import Path

import pytest

from zuul_suse.sandbox import SandboxError, preflight

ROOT = Path(__file__).parents[2]
SHORT = Path("/var/tmp/zs")  # noqa: S108  never made; pytest's own folders are too long for sockets


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "COMMANDS", {**preflight.COMMANDS, "no-such-command": "no-such-package"})
    with pytest.raises(SandboxError, match=r"missing on this machine: no-such-command \(package no-such-package\)"):
        preflight.check(SHORT)


def test_no_disk_space_is_told_with_figures() -> None:
    with pytest.raises(SandboxError, match=r"GiB free on its disk, a sandbox wants 1000000"):
        preflight.check(SHORT, free_gib=1_000_000)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="too long for the Unix sockets"):
        preflight.check(tmp_path / ("x" * 110))


def test_without_root_the_command_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    """The effective user is changed inside the process: the virtual environment may be readable to its owner only."""
    program = "import os; os.geteuid = lambda: 1000; from zuul_suse.cli import main; main()"
    state = tmp_path / "state"
    command = [sys.executable, "-c", program, "sandbox", "up", "--state-dir", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "needs root" in done.stderr
    assert not state.exists()


@pytest.mark.parametrize("command", sorted(preflight.COMMANDS))
def test_every_command_comes_from_a_package_of_bindep(command: str) -> None:
    names = {line.split()[0] for line in (ROOT / "bindep.txt").read_text().splitlines() if line[:1].isalpha()}
    assert preflight.COMMANDS[command] in names


@pytest.mark.parametrize("profile", ["", "test", "cloud"])
def test_our_reading_of_bindep_is_bindeps_own(profile: str) -> None:
    """The script that runs before there is a virtual environment names what bindep itself would name."""
    bindep = Path(sys.executable).parent / "bindep"
    theirs = subprocess.run(
        [str(bindep), "-l", "newline", *([profile] if profile else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    command = ["sh", str(ROOT / ".ci" / "install-packages"), "--list", "bindep.txt", *([profile] if profile else [])]
    ours = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert theirs, "bindep named nothing: a test of two empty lists would be none"
    assert sorted(set(ours)) == sorted(set(theirs))
