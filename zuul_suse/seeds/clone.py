# SPDX-License-Identifier: Apache-2.0
"""A project's clone on this machine: where it lies, what of it moves, and whether all of that is there.

Owns the folder `work`. Called by the import and by the sandbox. A clone may be bare, a mirror or an ordinary one; of an
ordinary one the branches are upstream's, `refs/remotes/origin/*`, and not what its owner works on.

A clone is a stranger's: its hooks and its configuration can run commands, send passwords to a proxy of its own, or hide
history (grafts, `git replace`, a promisor). So git never runs in it. Each is looked at through a view: a bare
repository of ours that borrows the clone's objects and has a copy of its references, and nothing else of it. So whose
it is doesn't matter either. What is fetched from a URL is a repository of ours anyway.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from zuul_suse.seeds import SeedError
from zuul_suse.seeds.description import Project
from zuul_suse.seeds.git import GitError, run, shown

BRANCHES, ORIGIN, TAGS = "refs/heads/", "refs/remotes/origin/", "refs/tags/"
NAMED_MISSING = 3  # of the missing objects, so many are named
MOST_LOOSE = 200_000  # references that are files of their own
LARGEST = {"packed-refs": 2**28, "shallow": 2**24, "loose": 2**12, ".git": 2**12, "commondir": 2**12}  # bytes of a file
# What lies beside the borrowed objects to speed git up says what the clone's owner likes.
NO_SHORT_CUTS = "[core]\n\tcommitGraph = false\n\tmultiPackIndex = false\n[pack]\n\tuseBitmaps = false\n"


@dataclass(frozen=True)
class Clone:
    """A project and where git can look at it; `references` is what moves: name on the server → object."""

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

    :param work: where views are made, and what is fetched is kept; a second time only the difference is fetched.
    :raises SeedError: there is no such repository, it can't be read, or it has nothing to move.
    """
    place: str | Path
    if "://" in base:
        place = f"{base.rstrip('/')}/{project.name}"
        folder = _fetched(place, _folder(work, "fetched", project))
    else:
        found = find(Path(base), project.name)
        if not found:
            raise SeedError(
                f"{base}: no repository {project.name} in it (looked for {project.name} and {project.name}.git)"
            )
        place, folder = found, view(found, _folder(work, "views", project))
    references = _references(folder, project)
    if f"{BRANCHES}{project.default_branch}" not in references:
        branches = ", ".join(name.removeprefix(BRANCHES) for name in references if name.startswith(BRANCHES))
        raise SeedError(
            f'{project.name}: {place} has no branch "{project.default_branch}" (has {shown(branches) or "none"});'
            " its default branch moves at least"
        )
    return Clone(project, folder, references)


def _folder(work: Path, kind: str, project: Project) -> Path:
    """One level deep: a project may be called as a folder inside another one's repository."""
    return work / kind / quote(project.name, safe="")


def _fetched(url: str, folder: Path) -> Path:
    if not (folder / "HEAD").exists():
        _make(folder)
    run(folder, "fetch", "-q", "--prune", "--no-tags", "--", url, f"+{BRANCHES}*:{BRANCHES}*", f"+{TAGS}*:{TAGS}*")
    return folder


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run(folder, "init", "-q", "--bare", "--template=", "-b", "view")
    with open(folder / "config", "a") as config:
        config.write(NO_SHORT_CUTS)


def view(clone: Path, folder: Path) -> Path:
    """A bare repository in `folder`, made anew, with a clone's objects and references; nothing is written to the clone.

    :raises SeedError: the clone can't be read, or is of a kind that a Gerrit can't take.
    """
    shutil.rmtree(folder, ignore_errors=True)
    _make(folder)
    try:
        inside = _common(clone)
        _borrow(folder, inside / "objects")
        if (inside / "reftable").exists():
            raise SeedError(f"{clone}: its references are a reftable; `git clone --mirror` it with --ref-format=files")
        for name in ("packed-refs", "shallow"):
            if (inside / name).exists():
                (folder / name).write_bytes(_content(inside / name, name))
        for number, (name, content) in enumerate(_loose(Path(os.path.realpath(inside / "refs")))):
            if number == MOST_LOOSE:
                raise SeedError(
                    f"{clone}: over {MOST_LOOSE} references of a file each; run `git pack-refs --all` in it"
                )
            (folder / "refs" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "refs" / name).write_bytes(content)
    except OSError as fault:
        raise SeedError(f"{clone}: can't be read ({shown(str(fault))})") from fault
    return folder


@contextmanager
def outgoing(clone: Clone, references: Mapping[str, str]) -> Iterator[Path]:
    """A bare repository with a clone's objects and these references only, so that a push may name them by a pattern."""
    with tempfile.TemporaryDirectory(prefix="zuul-suse-push-") as name:
        folder = Path(name)
        _make(folder)
        _borrow(folder, clone.folder / "objects")
        lines = "".join(f"{commit} {reference}\n" for reference, commit in references.items())
        (folder / "packed-refs").write_bytes(lines.encode(errors="surrogateescape"))
        yield folder


def _borrow(folder: Path, objects: Path) -> None:
    """Have a repository of ours look for objects in another one too, and in those that it borrows from itself."""
    objects = objects.resolve(strict=True)
    if "\n" in str(objects):
        raise SeedError(f"{shown(str(objects))}: a line break in the path")
    (folder / "objects" / "info").mkdir(exist_ok=True)
    (folder / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")


def _common(clone: Path) -> Path:
    """Where a clone's objects and references lie; a submodule and a linked work tree only say where."""
    inside = clone / ".git" if (clone / ".git").exists() else clone
    if inside.is_file():
        words = _content(inside, ".git").decode(errors="surrogateescape").strip()
        if not words.startswith("gitdir: "):
            raise SeedError(f"{inside}: says no gitdir")
        inside = clone / words.removeprefix("gitdir: ")
    if (inside / "commondir").exists():
        inside /= _content(inside / "commondir", "commondir").decode(errors="surrogateescape").strip()
    return inside


def _loose(refs: Path) -> Iterator[tuple[str, bytes]]:
    """The references that are files: name below `refs/` → its content. A link could lead anywhere: a fault."""

    def unreadable(fault: OSError) -> None:
        raise fault

    for folder, folders, files in os.walk(refs, onerror=unreadable):
        for name in (*folders, *files):
            path = Path(folder) / name
            if path.is_symlink():
                raise SeedError(f"{shown(str(path))}: a link in the place of a reference")
            if name in files and not name.startswith(".") and not name.endswith(".lock"):  # as git: no references
                yield str(path.relative_to(refs)), _content(path, "loose")


def _content(path: Path, kind: str) -> bytes:
    """A file of a clone: nothing else than a file, and no larger than such a one may be."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # opening a pipe would wait for its writer
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SeedError(f"{shown(str(path))}: no file")
        content = file.read(LARGEST[kind] + 1)
    if len(content) > LARGEST[kind]:
        raise SeedError(f"{shown(str(path))}: over {LARGEST[kind]} bytes")
    return content


def _references(folder: Path, project: Project) -> dict[str, str]:
    """What moves: branches and tags, and never refs/pull, refs/changes or refs/meta.

    :raises SeedError: one of them is broken: git would leave it out.
    """
    listed = run(folder, "for-each-ref", "--format=%(objectname) %(refname)", BRANCHES, ORIGIN, TAGS).splitlines()
    there = {name: commit for commit, name in (line.split(" ", 1) for line in listed)}
    for path in (path for start in (BRANCHES, ORIGIN, TAGS) for path in (folder / start).rglob("*") if path.is_file()):
        name = os.fsencode(path.relative_to(folder)).decode(errors="surrogateescape")
        if name not in there and not path.read_bytes().startswith(b"ref: "):
            raise SeedError(f"{project.name}: {shown(name)} is broken: its file holds no object's name")
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
        lines = run(
            clone.folder, "rev-list", "--objects", "--quiet", "--missing=print", "--stdin", text=wanted
        ).splitlines()
        cut = _cut_off(clone, wanted)
    except GitError as fault:
        return str(fault)
    missing = sorted(line[1:] for line in lines if re.fullmatch(r"\?[0-9a-f]{40,64}", line))
    if cut:
        return f"shallow: its history is cut off at {_some(cut)}"
    return f"{len(missing)} objects are missing: {_some(missing)}" if missing else None


def _cut_off(clone: Clone, wanted: str) -> list[str]:
    """The commits whose parents a shallow clone has left out, as far as they move."""
    file = clone.folder / "shallow"
    if not file.exists():
        return []
    edges = set(file.read_text(errors="replace").split())
    return sorted(edges & set(run(clone.folder, "rev-list", "--stdin", text=wanted).split()))


def _some(objects: list[str]) -> str:
    more = len(objects) - NAMED_MISSING
    named = ", ".join(name[:12] for name in objects[:NAMED_MISSING])
    return f"{named} and {more} more" if more > 0 else named
