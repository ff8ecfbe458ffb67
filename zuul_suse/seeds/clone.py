# SPDX-License-Identifier: Apache-2.0
"""A project's clone on this machine: where it lies, what of it moves, and whether all of that is there.

Owns the folder that a URL is fetched into. Called by the import. A clone may be bare, a mirror or an ordinary one; of
an ordinary one the branches are upstream's, `refs/remotes/origin/*`, and not what its owner works on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.seeds import SeedError
from zuul_suse.seeds.description import Project
from zuul_suse.seeds.git import GitError, run

BRANCHES, ORIGIN, TAGS = "refs/heads/", "refs/remotes/origin/", "refs/tags/"
NAMED_MISSING = 3  # of the missing objects, so many are named


@dataclass(frozen=True)
class Clone:
    """A project and where it lies; `references` is what moves: name on the server → object."""

    project: Project
    folder: Path
    references: Mapping[str, str]


def find(base: Path, name: str) -> Path | None:
    """Where a project lies below a folder: `NAME` or `NAME.git`, with a work tree or without."""
    for path in (base / name, base / f"{name}.git"):
        if (path / ".git").exists() or (path / "HEAD").exists():
            return path.resolve()
    return None


def obtain(base: str, project: Project, work: Path) -> Clone:
    """The clone of a project below a folder, or one fetched now from below a URL.

    :param work: where what is fetched is kept; a second time only the difference is fetched.
    :raises SeedError: there is no such repository, or it has nothing to move.
    """
    if "://" in base:
        folder = _fetched(f"{base.rstrip('/')}/{project.name}", work / project.name)
    else:
        found = find(Path(base), project.name)
        if not found:
            raise SeedError(
                f"{base}: no repository {project.name} in it (looked for {project.name} and {project.name}.git)"
            )
        folder = found
    references = _references(folder, project)
    if f"{BRANCHES}{project.default_branch}" not in references:
        branches = ", ".join(name.removeprefix(BRANCHES) for name in references if name.startswith(BRANCHES))
        raise SeedError(
            f'{project.name}: {folder} has no branch "{project.default_branch}" (has {branches or "none"});'
            " its default branch moves at least"
        )
    return Clone(project, folder, references)


def _fetched(url: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "HEAD").exists():
        run(folder, "init", "-q", "--bare")
    run(folder, "fetch", "-q", "--prune", "--no-tags", url, f"+{BRANCHES}*:{BRANCHES}*", f"+{TAGS}*:{TAGS}*")
    return folder


def _references(folder: Path, project: Project) -> dict[str, str]:
    """What moves: branches and tags, and never refs/pull, refs/changes or refs/meta."""
    listed = run(folder, "for-each-ref", "--format=%(objectname) %(refname)", BRANCHES, ORIGIN, TAGS).splitlines()
    there = {name: commit for commit, name in (line.split(" ", 1) for line in listed)}
    ordinary = f"{ORIGIN}{project.default_branch}" in there
    start = ORIGIN if ordinary else BRANCHES
    branches = {
        f"{BRANCHES}{name.removeprefix(start)}": commit
        for name, commit in there.items()
        if name.startswith(start) and name != f"{ORIGIN}HEAD"
    }
    return branches | {name: commit for name, commit in there.items() if name.startswith(TAGS)}


def what_is_missing(clone: Clone) -> str | None:
    """What a server would refuse the clone for, or None: every object that moves must be there."""
    wanted = "\n".join(dict.fromkeys(clone.references.values()))
    try:
        lines = run(clone.folder, "rev-list", "--objects", "--missing=print", "--stdin", text=wanted).splitlines()
        cut = _cut_off(clone, wanted)
    except GitError as fault:
        return str(fault)
    missing = sorted(line[1:] for line in lines if re.fullmatch(r"\?[0-9a-f]{40,64}", line))
    if cut:
        return f"shallow: its history is cut off at {_some(cut)}"
    return f"{len(missing)} objects are missing: {_some(missing)}" if missing else None


def _cut_off(clone: Clone, wanted: str) -> list[str]:
    """The commits whose parents a shallow clone has left out, as far as they move."""
    if run(clone.folder, "rev-parse", "--is-shallow-repository") != "true":
        return []
    file = run(clone.folder, "rev-parse", "--git-path", "shallow")
    edges = set((clone.folder / file).read_text().split())
    return sorted(edges & set(run(clone.folder, "rev-list", "--stdin", text=wanted).split()))


def _some(objects: list[str]) -> str:
    more = len(objects) - NAMED_MISSING
    named = ", ".join(name[:12] for name in objects[:NAMED_MISSING])
    return f"{named} and {more} more" if more > 0 else named
