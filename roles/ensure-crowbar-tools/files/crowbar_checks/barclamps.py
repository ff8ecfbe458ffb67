# SPDX-License-Identifier: Apache-2.0
"""Whether the barclamps of a tree have all the barclamps that they require, and each name is one barclamp's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import programs
from .findings import Found
from .tree import Tree


def listed(part: dict[str, Any], key: str) -> list[str]:
    """Return a list of names that may be left out, or be one name."""
    value = part.get(key) or []
    return [str(v) for v in (value if isinstance(value, list) else [value])]


def read(tree: Tree, found: Found) -> dict[Path, dict[str, Any]]:
    """Read the part `barclamp` of each barclamp's file."""
    files = sorted((tree.root / "crowbar_framework" / "barclamps").glob("*.yml"))
    parts: dict[Path, dict[str, Any]] = {}
    for path, said in programs.documents(files).items():
        value = said.get("value")
        part = value.get("barclamp") if isinstance(value, dict) else None
        if isinstance(part, dict) and part.get("name"):
            parts[Path(path)] = part
        else:
            found.add("barclamps", *tree.whose(Path(path)), said.get("error", "no `barclamp:` with a name in it"))
    return parts


def check(tree: Tree, found: Found) -> None:
    """Check names and what is required: `name` a barclamp, `@name` a barclamp or a group that has members."""
    found.checks.add("barclamps")
    parts = read(tree, found)
    by_name: dict[str, Path] = {}
    for file, part in parts.items():
        if part["name"] in by_name:
            other = tree.whose(by_name[part["name"]])
            found.add("barclamps", *tree.whose(file), f"barclamp {part['name']} is in {'/'.join(other)} too")
        by_name.setdefault(part["name"], file)
    groups = {group for part in parts.values() for group in listed(part, "member")}
    required = 0
    for file, part in parts.items():
        for wanted in listed(part, "requires"):
            required += 1
            group = wanted.startswith("@")
            if wanted.lstrip("@") not in (groups | set(by_name) if group else by_name):
                fault = f"requires {wanted}, which is in no project"
                found.add("barclamps", *tree.whose(file), fault)
    found.count("barclamps", len(by_name))
    found.count("barclamps required", required)
