# SPDX-License-Identifier: Apache-2.0
"""The overlay as shellcheck and OpenStack's own bashate see it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import overlay

ROOT = Path(__file__).parents[2]
# As devstack calls bashate, whose line length is devstack's own to break.
LINTERS = {
    "shellcheck": ["-x", "-P", str(ROOT)],
    "bashate": ["-i", "E006", "-e", "E005,E042,E043,E044"],
}


def test_no_script_is_forgotten() -> None:
    assert sorted(path.name for path in overlay.FOLDER.iterdir()) == sorted(overlay.SCRIPTS)


@pytest.mark.parametrize("linter", sorted(LINTERS))
def test_linter_finds_nothing(linter: str) -> None:
    program = shutil.which(linter, path=str(Path(sys.executable).parent)) or shutil.which(linter)
    assert program, f"{linter} is not installed (shellcheck: bindep.txt, bashate: the extra `test`)"
    scripts = [*(str(overlay.FOLDER / name) for name in overlay.SCRIPTS), str(Path(__file__).parent / "probe.sh")]
    done = subprocess.run([program, *LINTERS[linter], *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""
