# SPDX-License-Identifier: Apache-2.0
"""Lays git repositories into the sandbox: the tenant's trusted one, this project, and what a job chain needs.

Owns `work/` of the state folder, where trees are put together. Called by `up` and by the demonstration. Everything may
run again: what already stands as it should is not pushed. Where there is no Gerrit the same trees become bare
repositories in `git/`, which Zuul's git driver watches.
"""

import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from zuul_suse.sandbox import SandboxError, gerrit
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.zuul import CONFIG_PROJECT
from zuul_suse.seeds.git import GitError, run

THIS_PROJECT = "zuul-suse"
BRANCH = "master"  # the branch that jobs and devstack expect by default
IDENTITY = {
    "GIT_AUTHOR_NAME": "zuul-suse sandbox",
    "GIT_AUTHOR_EMAIL": "sandbox@sandbox.example.com",
    "GIT_COMMITTER_NAME": "zuul-suse sandbox",
    "GIT_COMMITTER_EMAIL": "sandbox@sandbox.example.com",
}


def git(
    folder: Path,
    *words: str,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Run git in a folder and return what it prints.

    :param seconds: how long it may take; None for as long as it likes.
    :raises SandboxError: with git's own reason, less passwords in URLs.
    """
    try:
        return run(folder, *words, text=text or "", environment={**IDENTITY, **(environment or {})}, seconds=seconds)
    except GitError as fault:
        raise SandboxError(str(fault)) from fault


def destination(state: State, project: str) -> str:
    """Where a project is pushed: the sandbox's Gerrit as its administrator, or a bare repository."""
    if state.choices.review == "gerrit":
        return gerrit.admin(state).git_address(project)
    bare = state.folder("git", project)
    if not (bare / "HEAD").exists():
        git(bare, "init", "-q", "--bare", "-b", BRANCH)
    return str(bare)


def access(state: State) -> Mapping[str, str]:
    """What lets git in at `destination`: in the environment, for a command line is seen by everybody."""
    return gerrit.admin(state).git_environment() if state.choices.review == "gerrit" else {}


def ensure_project(state: State, project: str) -> None:
    if state.choices.review == "gerrit":
        gerrit.admin(state).ensure_project(project)


def push(state: State, folder: Path, revision: str, project: str, *tags: str, branch: str = BRANCH) -> bool:
    """Make a project's branch stand at a commit; returns whether it stood elsewhere."""
    ensure_project(state, project)
    url = destination(state, project)
    wanted = {f"refs/heads/{branch}": git(folder, "rev-parse", f"{revision}^{{commit}}")}
    wanted |= {f"refs/tags/{tag}": git(folder, "rev-parse", f"refs/tags/{tag}") for tag in tags}
    who = access(state)
    listed = [line.split("\t") for line in git(folder, "ls-remote", url, *wanted, environment=who).splitlines()]
    there = {name: commit for commit, name in listed}
    references = [f"+{commit}:{name}" for name, commit in wanted.items() if there.get(name) != commit]
    if not references:
        return False
    # The branch first: Gerrit takes a tag of a commit that it has.
    for reference in references:
        git(folder, "push", "-q", url, reference, environment=who)
    return True


def seed_config_project(state: State) -> bool:
    """Push the tenant's trusted repository: the seed, and what job chains lay over it.

    :returns: whether anything changed.
    """
    folder = state.root / "work" / "config-project"
    ensure_project(state, CONFIG_PROJECT)
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", BRANCH)
    for entry in folder.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for layer in ("config-project", *state.choices.config_layers):
        shutil.copytree(seed(layer), folder, dirs_exist_ok=True)
    plain_git = folder / "zuul.d-git"
    if state.choices.review == "git":
        shutil.copytree(plain_git, folder / "zuul.d", dirs_exist_ok=True)
    shutil.rmtree(plain_git, ignore_errors=True)
    git(folder, "add", "-A", "--force")
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "-q", "-m", "Seed of this sandbox")
    return push(state, folder, "HEAD", CONFIG_PROJECT)


def seed_this_project(state: State, source: Path) -> bool:
    """Push the commit that is checked out in `source` as project `zuul-suse`.

    :raises SandboxError: `source` is no checkout of this project.
    """
    if not (source / "zuul.d").is_dir():
        raise SandboxError(f"--source {source}: no checkout of zuul-suse (has no zuul.d); run this in your clone of it")
    return push(state, source, "HEAD", THIS_PROJECT)


def seed(name: str) -> Path:
    """A file or folder of `seeds/`, as the wheel holds it."""
    return Path(str(resources.files("zuul_suse") / "data" / "seeds" / name))
