# SPDX-License-Identifier: Apache-2.0
"""Lay the checkouts of a release into one tree, as Crowbar's own installer and packages do, and remember whose what is.

What goes where says layout.py, which is the very file that a deployment has it from. Owns the folder that it is told to
write; it must be empty or not there yet.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from .findings import Found
from .layout import layout

RECORD = "owners.json"


class TreeError(Exception):
    """The tree can't be laid."""


@dataclass
class Tree:
    """The tree, who owns each path of it (more than one where two do), and what was found while it was laid."""

    root: Path
    owners: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    projects: list[str] = field(default_factory=list)
    faults: list[tuple[str, str, str]] = field(default_factory=list)

    def owner(self, path: str) -> str:
        """Return the project whose file it is; of two, the one that was laid last."""
        return self.owners[path][-1]

    def source(self, path: str) -> str:
        """Return where the file stands in that project."""
        return self.sources[path]

    def whose(self, file: Path) -> tuple[str, str]:
        """Return project and path in it for a file of the tree."""
        path = str(file.relative_to(self.root))
        return self.owner(path), self.source(path)

    def save(self, file: Path) -> None:
        """Write down whose what is."""
        content = {"projects": self.projects, "owners": self.owners, "sources": self.sources, "faults": self.faults}
        file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(root: Path) -> Tree:
    """Read a tree that was laid before."""
    file = root / RECORD
    if not file.exists():
        raise TreeError(f"{root}: no {RECORD}: write-crowbar-tree was not run for it")
    read = json.loads(file.read_text(encoding="utf-8"))
    return Tree(root, read["owners"], read["sources"], read["projects"], [tuple(fault) for fault in read["faults"]])


def take(tree: Tree, project: str, checkout: Path, source: Path, path: str) -> None:
    """Copy one file into the tree; a link becomes what it points to."""
    target = tree.root / path
    where = str(source.relative_to(checkout))
    if target.is_dir() or any(parent.is_file() for parent in target.parents):
        tree.faults.append((project, where, f"{path} is a file here and a folder in another project"))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The last one wins, as it does on an admin node; that there are two is told by the check of owners.
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    tree.owners.setdefault(path, []).append(project)
    tree.sources[path] = where


def lay(components: list[tuple[str, Path]], root: Path) -> Tree:
    """Lay (project, checkout) in this order and record the owners beside the tree's files."""
    if root.exists() and any(root.iterdir()):
        raise TreeError(f"{root}: not empty")
    root.mkdir(parents=True, exist_ok=True)
    tree = Tree(root)
    for project, checkout in components:
        if not checkout.is_dir():
            raise TreeError(f"{project}: no checkout at {checkout}")
        tree.projects.append(project)
        try:
            laid, faults, others = layout(str(checkout))
        except ValueError as error:
            raise TreeError(f"{project}: {error}") from error
        tree.faults += [(project, file, fault) for file, fault in faults]
        tree.faults += [(project, file, "no `barclamp:` in it") for file in others]
        for path, source in laid.items():
            take(tree, project, checkout, Path(source), path)
    tree.save(root / RECORD)
    return tree


def check(tree: Tree, found: Found) -> None:
    """Tell of what could not be laid, and of every path that two projects have."""
    found.checks |= {"tree", "owned-twice"}
    for project, file, fault in tree.faults:
        found.add("tree", project, file, fault)
    for path, owners in sorted(tree.owners.items()):
        if len(set(owners)) > 1:
            found.add("owned-twice", owners[-1], tree.source(path), f"{path} is in {' and '.join(sorted(set(owners)))}")
    found.count("projects", len(tree.projects))
    found.count("files in the tree", len(tree.owners))
