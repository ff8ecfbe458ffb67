# SPDX-License-Identifier: Apache-2.0
"""Lay a branch of a clone into a folder, from whatever kind of clone somebody has.

Called by `python -m tests.crowbar`. Only reads the clone: a bare one, one with a work tree, one whose branches are
remote ones. An object that the clone lacks (such clones of Crowbar's repositories are about: the largest files are left
out of them) becomes an empty file and is told of, because no check reads those.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.seeds import clone


class CheckoutError(Exception):
    """A clone or a branch is not there."""


@dataclass(frozen=True)
class Checkout:
    """What was laid where."""

    name: str
    folder: Path
    commit: str
    missing: list[str]


def git(repository: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git on a repository that may be somebody else's."""
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def repository_of(clones: Path, project: str) -> Path:
    """Find the clone of a project below a folder of clones."""
    if found := clone.find(clones, project):
        return found
    raise CheckoutError(f"{clones}: no clone of {project} (looked for {project} and {project}.git)")


def commit_of(repository: Path, branch: str) -> str:
    """Resolve a branch, be it the clone's own or its origin's."""
    for name in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        try:
            return git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
        except subprocess.CalledProcessError:
            continue
    heads = git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes").decode().split()
    raise CheckoutError(f"{repository}: no branch {branch} (has {', '.join(heads[:12])})")


def contents(repository: Path, objects: list[str]) -> dict[str, bytes | None]:
    """Read many blobs with one process; None for one that the clone lacks."""
    wanted = sorted(set(objects))
    answer = git(repository, "cat-file", "--batch", stdin=("\n".join(wanted) + "\n").encode())
    found: dict[str, bytes | None] = {}
    at = 0
    for name in wanted:
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        at = end + 1
        if words[-1] == b"missing":
            found[name] = None
            continue
        size = int(words[2])
        found[name] = answer[at : at + size]
        at += size + 1
    return found


def lay(clones: Path, project: str, branch: str, target: Path) -> Checkout:
    """Write a branch's files below a folder; submodules are left out, as Zuul leaves them."""
    repository = repository_of(clones, project)
    commit = commit_of(repository, branch)
    entries = []
    for line in git(repository, "ls-tree", "-r", "-z", commit).decode().split("\0"):
        if line:
            (mode, kind, name), path = line.split("\t", 1)[0].split(), line.split("\t", 1)[1]
            if kind == "blob":
                entries.append((mode, name, path))
    blobs = contents(repository, [name for _, name, _ in entries])
    missing = []
    for mode, name, path in entries:
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        content = blobs[name]
        if content is None:
            missing.append(path)
        if mode == "120000" and content is not None:
            file.symlink_to(content.decode())
            continue
        file.write_bytes(content or b"")
        if mode == "100755":
            file.chmod(0o755)
    return Checkout(project, target, commit, missing)
