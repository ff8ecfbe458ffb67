# SPDX-License-Identifier: Apache-2.0
"""A sandbox per module of end-to-end tests: brought up by the command line, taken down whatever happens."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from zuul_suse.sandbox.state import cache_folder

ROOT = Path(__file__).parents[2]


@dataclass
class CommandLine:
    """`zuul-suse sandbox` on one state folder."""

    state_dir: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, code: int = 0, seconds: float = 1800) -> subprocess.CompletedProcess[str]:
        """Run a command and check its exit code."""
        program = str(Path(sys.executable).parent / "zuul-suse")
        done = subprocess.run(
            [program, "sandbox", *words, "--state-dir", str(self.state_dir)],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if code == 0 else subprocess.PIPE,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def status(self, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "--json", code=code).stdout)
        return found

    def services(self, code: int = 0) -> dict[str, dict[str, Any]]:
        return {service["name"]: service for service in self.status(code)["services"]}


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """A folder with a short name: a Unix socket lies in it. What a failed test leaves is ended here.

    ZUUL_SUSE_TEST_FOLDER names one to use and to keep, for whoever writes these tests.
    """
    if kept := os.environ.get("ZUUL_SUSE_TEST_FOLDER"):
        yield Path(kept)
        return
    folder = Path(tempfile.mkdtemp(prefix="zse-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for state_dir in folder.glob("*/sandbox.json"):
            CommandLine(state_dir.parent)("down", "--purge")
        shutil.rmtree(folder, ignore_errors=True)


def without_gerrit(folder: Path) -> CommandLine:
    """Maven is broken and nothing of Gerrit is in the cache; Ansible is, to save a minute."""
    mvn = folder / "bin" / "mvn"
    mvn.parent.mkdir(parents=True, exist_ok=True)
    mvn.write_text("#!/bin/sh\necho '[ERROR] Could not transfer artifact: network closed -> [Help 1]'\nexit 1\n")
    mvn.chmod(0o755)
    cache = folder / "cache" / "zuul-suse"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "ansible").exists():
        (cache / "ansible").symlink_to(cache_folder() / "ansible")
    environment = {"PATH": f"{mvn.parent}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache.parent), "CI": ""}
    return CommandLine(folder / "g", environment)
