# SPDX-License-Identifier: Apache-2.0
"""Whether the proposals of scenarios satisfy the schemas of a tree.

Scenarios are the YAML files that `crowbar_batch build` takes: the tree's own examples, and those of other projects.
Placeholders such as ##networkingmode## are filled from the release's data as Crowbar's own CI fills them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import programs
from .findings import Found
from .tree import Tree

EXAMPLES = "crowbar_framework/examples"
DOMAIN = "crowbar.test"


class ScenarioError(Exception):
    """Scenarios were asked for that are not there."""


@dataclass(frozen=True)
class Source:
    """Where scenarios are: a file or a folder in a project's checkout."""

    project: str
    checkout: Path
    path: str

    def files(self) -> list[Path]:
        """List them; there must be some."""
        place = self.checkout / self.path
        found = [place] if place.is_file() else sorted(f for f in place.rglob("*.y*ml") if f.is_file())
        if not found:
            raise ScenarioError(f"{self.project}: no scenario at {self.path}")
        return found


def gather(tree: Tree, sources: list[Source]) -> dict[Path, tuple[str, str]]:
    """Return every scenario with its project and its path in that."""
    places: dict[Path, tuple[str, str]] = {}
    for file in sorted((tree.root / EXAMPLES).glob("*.yaml")):
        places[file] = tree.whose(file)
    for source in sources:
        for file in source.files():
            places[file] = (source.project, str(file.relative_to(source.checkout)))
    return places


def check(
    tree: Tree, sources: list[Source], values: dict[str, Any], filled: Path | None, found: Found
) -> list[tuple[Path, str, str]]:
    """Check all of them; return those without fault, filled in, with their projects and paths."""
    found.checks.add("scenarios")
    places = gather(tree, sources)
    if filled:
        filled.mkdir(parents=True, exist_ok=True)
    question = {
        "files": [str(f) for f in places], "values": values, "domain": DOMAIN,
        "filled": str(filled) if filled else None,
    }  # fmt: skip
    good = []
    proposals = 0
    for number, (path, said) in enumerate(programs.run("scenarios", question, str(tree.root)).items()):
        where = places[Path(path)]
        for proposal, fault in said["faults"]:
            found.add("scenarios", *where, f"{proposal}: {fault}" if proposal else fault)
        proposals += said["proposals"]
        if filled and not said["faults"]:
            good.append((filled / f"{number}.yaml", *where))
    found.count("scenarios", len(places))
    found.count("proposals in them", proposals)
    return good
