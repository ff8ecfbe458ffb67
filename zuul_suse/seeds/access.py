# SPDX-License-Identifier: Apache-2.0
"""Rights at a Gerrit: those that all projects of a family share, and the import's own, which it gives back.

Owns the parent project, its two groups, and the group `seed-import`. Called by the import. Gerrit gives rights to
groups only: the importing user is a member of `seed-import` while the import runs, and each project's right for that
group stands only while that project is pushed. Both are looked for again at the next start, for a killed import leaves
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zuul_suse.seeds.gerrit import Gerrit, group_path, project_path

IMPORT_GROUP = "seed-import"
EVERYTHING = "refs/*"
# What Gerrit wants of somebody who pushes other people's history, all of it, by the option `skip-validation` too:
# without that it refuses more than 10000 commits at once.
IMPORT_RIGHTS = (
    "create",
    "createSignedTag",
    "createTag",
    "forgeAuthor",
    "forgeCommitter",
    "forgeServerAsCommitter",
    "push",
    "pushMerge",
)


@dataclass(frozen=True)
class Sharing:
    """The names of the parent project and its groups."""

    parent: str
    core_group: str
    ci_group: str


def ensure_shared(gerrit: Gerrit, sharing: Sharing) -> None:
    """The parent project: a core group that reviews and submits, a CI group that verifies. Made if missing."""
    core = _ensure_group(gerrit, sharing.core_group, "Review and submit", keep_me=True)
    ci = _ensure_group(gerrit, sharing.ci_group, "Vote Verified", keep_me=False)
    path = project_path(sharing.parent)
    if not gerrit.exists(path):
        gerrit.put(path, {"permissions_only": True, "description": "Rights that its projects share."})
    if not _has_label(gerrit, "Verified", sharing):
        values = {" 0": "No score", "-1": "Fails", "+1": "Verified"}
        gerrit.put(f"{path}/labels/Verified", {"function": "NoBlock", "values": values})
    wanted: dict[str, dict[str, object]] = {
        "label-Code-Review": {core: {"action": "ALLOW", "min": -2, "max": 2}},
        "submit": {core: {"action": "ALLOW"}},
        "label-Verified": {ci: {"action": "ALLOW", "min": -1, "max": 1}},
    }
    there = _permissions(gerrit, sharing.parent, "refs/heads/*")
    lacking = {
        name: {"label": name.removeprefix("label-"), "rules": rules} if name.startswith("label-") else {"rules": rules}
        for name, rules in wanted.items()
        if not set(rules) <= set(there.get(name, {}).get("rules", {}))
    }
    if lacking:
        gerrit.post(f"{path}/access", {"add": {"refs/heads/*": {"permissions": lacking}}})


def _has_label(gerrit: Gerrit, label: str, sharing: Sharing) -> bool:
    return any(gerrit.exists(f"{project_path(name)}/labels/{label}") for name in ("All-Projects", sharing.parent))


def _ensure_group(gerrit: Gerrit, name: str, description: str, *, keep_me: bool) -> str:
    """A group's id; whoever makes a group is its first member, and stays that only where `keep_me` says so."""
    path = group_path(name)
    if not gerrit.exists(path):
        gerrit.put(path, {"description": f"{description}.", "visible_to_all": True})
        if not keep_me:
            gerrit.delete(f"{path}/members/self")
    return str(gerrit.get(path)["id"])


class ImportRight:
    """The right to push a project's whole history, for the importing user and no longer than it takes."""

    def __init__(self, gerrit: Gerrit) -> None:
        self._gerrit = gerrit
        self._group = ""

    def __enter__(self) -> "ImportRight":
        self._group = _ensure_group(self._gerrit, IMPORT_GROUP, "Runs an import now; empty otherwise", keep_me=False)
        self._gerrit.put(f"{group_path(IMPORT_GROUP)}/members/self")
        return self

    def __exit__(self, *_: object) -> None:
        self._gerrit.delete(f"{group_path(IMPORT_GROUP)}/members/self")

    def grant(self, project: str) -> None:
        rules = {self._group: {"action": "ALLOW"}}
        added = {EVERYTHING: {"permissions": {name: {"rules": rules} for name in IMPORT_RIGHTS}}}
        self._gerrit.post(f"{project_path(project)}/access", {"add": added})

    def drop(self, project: str) -> None:
        """Take the right away; harmless where it is not there."""
        drop(self._gerrit, project, self._group)


def drop(gerrit: Gerrit, project: str, group: str) -> bool:
    """Take away what the group has on all of a project; returns whether it had something."""
    there = _permissions(gerrit, project, EVERYTHING)
    # A permission that only this group has goes as a whole: an empty one would stay.
    held: dict[str, object] = {
        name: {} if set(permission["rules"]) == {group} else {"rules": {group: {}}}
        for name, permission in there.items()
        if group in permission.get("rules", {})
    }
    if held:
        gerrit.post(f"{project_path(project)}/access", {"remove": {EVERYTHING: {"permissions": held}}})
    return bool(held)


def drop_left_over(gerrit: Gerrit, projects: Iterable[str]) -> list[str]:
    """What an import that was killed has left of its right; returns the projects where something was."""
    path = group_path(IMPORT_GROUP)
    if not gerrit.exists(path):
        return []
    group = str(gerrit.get(path)["id"])
    if gerrit.exists(f"{path}/members/self"):
        gerrit.delete(f"{path}/members/self")
    there = [name for name in projects if gerrit.exists(project_path(name))]
    return [name for name in there if drop(gerrit, name, group)]


def _permissions(gerrit: Gerrit, project: str, references: str) -> dict[str, Any]:
    section = gerrit.get(f"{project_path(project)}/access").get("local", {}).get(references, {})
    found: dict[str, Any] = section.get("permissions", {})
    return found
