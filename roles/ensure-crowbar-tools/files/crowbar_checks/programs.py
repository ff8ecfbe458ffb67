# SPDX-License-Identifier: Apache-2.0
"""Call a Ruby program that lies beside this module: JSON goes in, JSON comes out.

What only Ruby reads the way Crowbar does is read there: YAML, Ruby's own syntax, ERB, kwalify's schemas.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

RUBY = Path(__file__).parent / "ruby"


class ProgramError(Exception):
    """A program could not do its work."""


def run(program: str, question: Any, *arguments: str) -> Any:  # noqa: ANN401  what JSON holds
    """Run one to its end and return what it says."""
    command = ["ruby", "-Eutf-8:utf-8", str(RUBY / f"{program}.rb"), *arguments]
    try:
        done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ProgramError(f"{program}: ruby is not installed") from error
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
        raise ProgramError(f"{program}: exit {done.returncode}: {words[0]}")
    return json.loads(done.stdout)


def documents(files: list[Path]) -> dict[str, dict[str, Any]]:
    """Read YAML files: `value` or `error` for each."""
    answer: dict[str, dict[str, Any]] = run("documents", [str(f) for f in files])
    return answer


def data(file: Path) -> dict[str, Any]:
    """Read a YAML file of ours."""
    read = documents([file])[str(file)]
    if "error" in read:
        raise ProgramError(f"{file}: {read['error']}")
    return read["value"] or {}


def baseline(folder: Path, release: str) -> dict[str, Any]:
    """Read what is known of a release; a name that there is no file for is a fault."""
    file = folder / f"{release}.yaml"
    if not file.exists():
        known = ", ".join(sorted(f.stem for f in folder.glob("*.yaml")))
        raise ProgramError(f"release: {release} not known (known: {known})")
    return data(file)
