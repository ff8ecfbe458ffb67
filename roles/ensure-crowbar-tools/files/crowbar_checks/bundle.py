# SPDX-License-Identifier: Apache-2.0
"""Every check of a tree that all projects of a release were laid into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import barclamps, batch, cookbooks, databags, programs, scenarios
from . import tree as trees
from .findings import Found, Verdict, entries_of, weigh

PLACEHOLDERS = Path(__file__).parent / "placeholders.yaml"


def run(tree: trees.Tree, sources: list[scenarios.Source], known: dict[str, Any], work: Path) -> tuple[Found, Verdict]:
    """Run them all and weigh what they find."""
    found = Found()
    trees.check(tree, found)
    cookbooks.check(tree, found)
    barclamps.check(tree, found)
    databags.check(tree, found)
    good = scenarios.check(tree, sources, programs.data(PLACEHOLDERS), work / "scenarios", found)
    batch.check(tree, good, found)
    projects = set(tree.projects) | {source.project for source in sources}
    return found, weigh(found, entries_of(known.get("bundle") or []), projects)
