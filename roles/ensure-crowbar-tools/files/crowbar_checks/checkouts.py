# SPDX-License-Identifier: Apache-2.0
"""Where the projects that a check was asked for are checked out: Zuul prepared them, nothing is cloned here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class CheckoutError(Exception):
    """A project was not prepared."""


def resolve(items: Path | None, projects: Path | None, root: Path) -> list[dict[str, Any]]:
    """Read a list of things with a `project`, and give each its `checkout`.

    `projects` is Zuul's own list, of `name` and `src_dir` below `root`; without it each thing says its checkout itself.
    """
    listed: list[dict[str, Any]] = json.loads(items.read_text(encoding="utf-8")) if items else []
    if projects is None:
        return listed
    known = {p["name"]: root / p["src_dir"] for p in json.loads(projects.read_text(encoding="utf-8"))}
    missing = [item["project"] for item in listed if item["project"] not in known]
    if missing:
        raise CheckoutError(
            f"{missing[0]}: not in the job's required-projects (has {', '.join(sorted(known)) or 'none'})"
        )
    return [{**item, "checkout": str(known[item["project"]])} for item in listed]
