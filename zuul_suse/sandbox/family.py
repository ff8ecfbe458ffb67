# SPDX-License-Identifier: Apache-2.0
"""Brings a whole family of projects into the sandbox's Gerrit, as `zuul-suse seeds import` moves it to one of a site.

Owns `work/import/` of the state folder. Called by `mirror.bring` for a seed with releases. Clones without all their
objects are of use to a sandbox: each of their branches becomes one commit with upstream's tree, less what is missing.
"""

from collections.abc import Mapping
from pathlib import Path

from zuul_suse.sandbox import SandboxError, gerrit, repositories
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.repositories import git
from zuul_suse.sandbox.state import State
from zuul_suse.seeds import SeedError, clone
from zuul_suse.seeds.access import Sharing
from zuul_suse.seeds.clone import BRANCHES, Clone
from zuul_suse.seeds.description import Family
from zuul_suse.seeds.gerrit import Gerrit
from zuul_suse.seeds.move import LEFT_OUT, Wishes, ensure_head, ensure_project, failed, move

# The CI's account is in the group that `gerrit.seed` gives its vote to.
SHARING = Sharing("crowbar-acl", "crowbar-core", "Service Users")


def bring(state: State, family: Family, base: str, progress: Progress) -> None:
    """Move all projects of a family; those whose clones are not whole come without history.

    :raises SandboxError: a project can't be had or moved.
    """
    work = state.folder("work", "import")
    session = Gerrit(gerrit.url(state), gerrit.ADMIN, state.password("gerrit-admin"))
    wishes = Wishes(base, work / "clones", SHARING, skip_incomplete=True)
    try:
        outcomes = move(family, session, wishes, progress)
        if reason := failed(outcomes):
            raise SandboxError(reason)
        left_out = {outcome.project for outcome in outcomes if outcome.result == LEFT_OUT}
        for project in family.taken:
            if project.name in left_out:
                with progress.step(f"{project.name}: one commit for each branch, for its clone is incomplete"):
                    source = clone.obtain(base, project, work / "clones")
                    bring_without_history(state, source, work / "trees" / project.name, progress)
    except SeedError as fault:
        raise SandboxError(str(fault)) from fault


def bring_without_history(state: State, source: Clone, folder: Path, progress: Progress) -> None:
    """Push one commit for each of a project's branches that the seed names; files that the clone lacks are left out.

    :raises SandboxError: the clone lacks more of a branch's newest tree than files.
    """
    project = source.project
    name = project.name
    review = gerrit.admin(state) if state.choices.review == "gerrit" else None
    if review:
        ensure_project(review, project, SHARING.parent)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "HEAD").exists():
        git(folder, "init", "-q", "--bare", "-b", project.default_branch)
    objects = source.folder / git(source.folder, "rev-parse", "--git-path", "objects")
    (folder / "objects" / "info" / "alternates").write_text(f"{objects}\n")
    for branch in project.branches:
        if upstream := source.references.get(f"{BRANCHES}{branch}"):
            tree, lacking = _tree_of_what_is_there(folder, upstream)
            if lacking:
                progress.say(f"{name}: {branch}: without {', '.join(lacking)}, which the clone lacks")
            commit = one_commit(folder, name, upstream, tree)
            repositories.push(state, folder, commit, name, branch=branch)
    if review:
        ensure_head(review, project)


def _tree_of_what_is_there(folder: Path, commit: str) -> tuple[str, list[str]]:
    """A commit's tree less the files that are missing, and their paths."""
    words = ("rev-list", "--objects", "--no-walk", "--missing=print", commit)
    missing = {line[1:] for line in git(folder, *words).splitlines() if line.startswith("?")}
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    git(folder, "read-tree", commit, environment=index)
    entries = [entry.split("\t", 1) for entry in git(folder, "ls-files", "-s", "-z", environment=index).split("\0")]
    lacking = [path for about, path in (entry for entry in entries if len(entry) == 2) if about.split()[1] in missing]
    # "0" and the null object take a path out.
    removal = "".join(f"0 {'0' * 40}\t{path}\0" for path in lacking)
    git(folder, "update-index", "-z", "--index-info", text=removal, environment=index)
    return git(folder, "write-tree", environment=index), lacking


def one_commit(folder: Path, name: str, upstream: str, tree: str | None = None) -> str:
    """A commit of upstream's tree, or of another one; the same each time, for its dates are upstream's."""
    message = f"{name} at {upstream}\n\nOne commit without history, for this sandbox.\n"
    tree = tree or git(folder, "rev-parse", f"{upstream}^{{tree}}")
    return git(folder, "commit-tree", tree, text=message, environment=_date(folder, upstream))


def _date(folder: Path, commit: str) -> Mapping[str, str]:
    date = git(folder, "show", "-s", "--format=%cI", commit)
    return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
