# SPDX-License-Identifier: Apache-2.0
"""What these tests share: made-up projects, and a run of the checks on them. Ruby and kwalify must be there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crowbar import barclamps, node

Check = Callable[..., node.Result]


@pytest.fixture(scope="session", autouse=True)
def ruby() -> None:
    """Nothing is skipped where Ruby or kwalify is missing: bindep.txt has them."""
    try:
        done = subprocess.run(["ruby", "-e", "require 'kwalify'"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.fail("ruby is not installed: make test-packages")
    assert done.returncode == 0, f"Ruby lacks kwalify: make test-packages\n{done.stderr}"


@pytest.fixture
def later(tmp_path: Path) -> dict[str, Path]:
    """Three projects that fit together, of the later layout."""
    return barclamps.later(tmp_path / "src")


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Lay projects into a tree and check it; each call in a folder of its own."""
    calls: list[int] = []

    def run(projects: dict[str, Path], *more: str | Path, scenarios: list[dict[str, str]] | None = None) -> node.Result:
        calls.append(1)
        return node.bundle(tmp_path / f"run{len(calls)}", projects, scenarios or [], *more)

    return run
