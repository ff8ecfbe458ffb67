# SPDX-License-Identifier: Apache-2.0
"""Run the Crowbar checks as the roles run them on a node: their command line, with checkouts side by side.

Called by the tests and by `python -m tests.crowbar`. Everything is written below one folder of the caller's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = ROOT / "roles" / "ensure-crowbar-tools" / "files"
SECONDS = 1800


@dataclass(frozen=True)
class Result:
    """What a check said."""

    code: int
    output: str
    report: dict[str, Any]

    @property
    def passed(self) -> bool:
        return self.code == 0

    def faults(self, kind: str = "new") -> list[str]:
        """The faults of a kind, a line each: check, project, file, fault."""
        return [f"{f['check']}: {f['project']}/{f['file']}: {f['fault']}" for f in self.report.get(kind, [])]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the package's command line."""
    command = [sys.executable, "-m", "crowbar_checks", *map(str, arguments)]
    settings = {**os.environ, "PYTHONPATH": str(FILES), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=SECONDS, check=False)


def result_of(done: subprocess.CompletedProcess[str], report: Path) -> Result:
    """Read what a run left; a check that could not be made has no report."""
    content = json.loads(report.read_text()) if done.returncode in (0, 1) else {}
    return Result(done.returncode, done.stdout + done.stderr, content)


def unit(folder: Path, project: str, checkout: Path, validator: Path, *more: str | Path) -> Result:
    """Check one project."""
    output = folder / "unit" / project
    done = run(
        "unit", "--project", project, "--checkout", checkout, "--validator", validator, "--output", output, *more
    )
    return result_of(done, output / "unit.json")


def bundle(folder: Path, components: dict[str, Path], scenarios: list[dict[str, str]], *more: str | Path) -> Result:
    """Lay projects into one tree, in this order, and check that."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, wanted = folder / "components.json", folder / "scenarios.json"
    listed.write_text(json.dumps([{"project": p, "checkout": str(c)} for p, c in components.items()]))
    wanted.write_text(json.dumps(scenarios))
    tree = folder / "tree"
    laid = run("tree", "--components", listed, "--tree", tree)
    if laid.returncode != 0:
        return Result(laid.returncode, laid.stdout + laid.stderr, {})
    output = folder / "bundle"
    done = run("bundle", "--tree", tree, "--scenarios", wanted, "--work", folder / "work", "--output", output, *more)
    return result_of(done, output / "bundle.json")
