# SPDX-License-Identifier: Apache-2.0
"""Brings other people's projects into the sandbox, from a mirror or the official hosting.

Owns `work/mirror/` of the state folder. Called by the demonstration of a job chain. Most jobs want a project's tree and
a version, not its history: each project becomes one commit with upstream's tree, whose message names upstream's commit,
and a version tag. That is quick, and a clone without old objects will do. Which projects, is data: `seeds/*.yaml`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from packaging.version import InvalidVersion, Version

from zuul_suse import packaged
from zuul_suse.sandbox import SandboxError, demonstration, family, repositories
from zuul_suse.sandbox.demonstration import Demonstration
from zuul_suse.sandbox.family import one_commit
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.repositories import git
from zuul_suse.sandbox.state import State
from zuul_suse.seeds import SeedError, clone, description
from zuul_suse.seeds.description import Family


@dataclass(frozen=True)
class Project:
    """A project that a job chain needs: what the tenant takes from it, and the version that pip wants at least.

    Of one that is `empty` nothing but its name is needed.
    """

    name: str
    include: tuple[str, ...]
    version: str | None
    empty: bool = False


@dataclass(frozen=True)
class Seed:
    """A file of `seeds/` that describes a job chain."""

    hosting: str
    branch: str
    own_config_paths: tuple[str, ...]
    config_project: str | None
    projects: tuple[Project, ...]
    demonstration: Demonstration
    family: Family | None = None  # of a seed with releases, whose projects come with their history


def read_seed(name: str) -> Seed:
    """Read `seeds/NAME`.

    :raises SandboxError: a key is missing.
    """
    path = packaged.seed(name)
    data = yaml.safe_load(path.read_text())
    try:
        return Seed(
            hosting=data["hosting"],
            branch=data["branch"],
            own_config_paths=tuple(data.get("own-config-paths", ())),
            config_project=data.get("config-project"),
            projects=tuple(
                Project(entry["name"], tuple(entry.get("include", ())), entry.get("version"), entry.get("empty", False))
                for entry in data["projects"]
                if "skip" not in entry
            ),
            demonstration=demonstration.read(data["demonstration"], f"seeds/{name}"),
            family=description.read(path) if "releases" in data else None,
        )
    except SeedError as fault:
        raise SandboxError(f"seeds/{fault}") from fault
    except (KeyError, TypeError) as fault:
        raise SandboxError(f"seeds/{name}: {fault} is missing or unknown") from fault


def seed_for(job: str) -> Seed:
    """The seed whose demonstration is of that job.

    :raises SandboxError: no seed has it.
    """
    seeds = [read_seed(path.name) for path in sorted(packaged.seed("").glob("*.yaml")) if _demonstrates(path)]
    for seed in seeds:
        if seed.demonstration.job == job:
            return seed
    names = ", ".join(seed.demonstration.job for seed in seeds)
    raise SandboxError(f'--job: no demonstration of "{job}" (has {names})')


def _demonstrates(path: Path) -> bool:
    return "demonstration" in yaml.safe_load(path.read_text())


def check(seed: Seed, mirror: str | None) -> None:
    """Look whether the mirror can be reached at all, before anything is started for it.

    :raises SandboxError: with where it was looked for.
    """
    base = mirror or seed.hosting
    for project in seed.projects:
        if project.empty:
            continue
        url = location(base, project.name)
        if isinstance(url, Path):
            continue
        try:
            git(Path("/"), "ls-remote", "--heads", url, seed.branch, seconds=60)
        except SandboxError as fault:
            raise SandboxError(
                f"{base}: neither reached nor has it {project.name};"
                f" give a folder or URL with clones by --git-mirror ({fault})"
            ) from fault
        return


def bring(state: State, seed: Seed, mirror: str | None, progress: Progress) -> None:
    """Push every project of a seed into the sandbox's Gerrit; what stands there already is left alone.

    :param mirror: a folder or URL below which the projects lie under their names; None for the official hosting.
    :raises SandboxError: a project can't be had; the first is named, and where it was looked for.
    """
    base = mirror or seed.hosting
    if seed.family:
        family.bring(state, seed.family, base, progress)
        return
    wanted = [project for project in seed.projects if not project.empty]
    for number, project in enumerate(wanted, start=1):
        with progress.step(f"{project.name} ({number} of {len(wanted)}) from {base}"):
            _bring(state, project, _address(state, base, project.name), seed.branch)
    if names := [project.name for project in seed.projects if project.empty]:
        with progress.step(f"{len(names)} empty repositories of projects that upstream's jobs name"):
            _bring_empty(state, names, seed.branch)


def location(base: str, name: str) -> str | Path:
    """Where a project lies below a mirror: its URL, or its clone on this machine.

    :raises SandboxError: a folder that does not have the project.
    """
    if "://" in base:
        return f"{base.rstrip('/')}/{name}"
    if found := clone.find(Path(base), name):
        return found
    raise SandboxError(f"--git-mirror {base}: no repository {name} in it (looked for {name} and {name}.git)")


def _address(state: State, base: str, name: str) -> str:
    """Where git fetches a project: a clone on this machine by a view of it, for it may be anybody's."""
    place = location(base, name)
    if isinstance(place, str):
        return place
    try:
        return clone.view(place, state.folder("work", "views") / quote(name, safe="")).as_uri()
    except SeedError as fault:
        raise SandboxError(str(fault)) from fault


def _bring(state: State, project: Project, url: str, branch: str) -> None:
    folder = state.folder("work", "mirror", project.name)
    if not (folder / "HEAD").exists():
        git(folder, "init", "-q", "--bare", "-b", branch)
    try:
        git(folder, "fetch", "-q", "--no-tags", "--depth", "1", url, f"+refs/heads/{branch}:refs/upstream/{branch}")
        tags = git(folder, "ls-remote", "--tags", "--refs", url).splitlines()
    except SandboxError as fault:
        raise SandboxError(
            f"{project.name}: can't be had from {url}; give a mirror by --git-mirror ({fault})"
        ) from fault
    upstream = git(folder, "rev-parse", f"refs/upstream/{branch}")
    commit = one_commit(folder, project.name, upstream)
    version = newest([line.rsplit("/", 1)[-1] for line in tags], project.version)
    names = [version] if version else []
    for name in names:
        git(folder, "tag", "-f", name, commit)  # not annotated: Gerrit wants to know the one who tagged
    git(folder, "update-ref", f"refs/heads/{branch}", commit)
    repositories.push(state, folder, commit, project.name, *names)


def _bring_empty(state: State, names: Sequence[str], branch: str) -> None:
    """Make each a project with one commit without files, for Zuul wants a branch; one that has the branch stays."""
    folder = state.folder("work", "mirror-empty")
    if not (folder / "HEAD").exists():
        git(folder, "init", "-q", "--bare", "-b", branch)
    commit = git(folder, "commit-tree", git(folder, "mktree"), text="Nothing of this project is needed\n")
    for name in names:
        repositories.ensure_project(state, name)
        url = repositories.destination(state, name)
        if not git(folder, "ls-remote", url, f"refs/heads/{branch}"):
            git(folder, "push", "-q", url, f"{commit}:refs/heads/{branch}")


def newest(tags: Sequence[str], least: str | None) -> str | None:
    """The highest release among tags, or `least` where that is higher or there is none."""
    versions = [] if least is None else [(Version(least), least)]
    for tag in tags:
        try:
            version = Version(tag)
        except InvalidVersion:
            continue
        # Until 2015 OpenStack's releases were numbered by the year; 2015.1.4 is older than 30.0.0.
        if not version.is_prerelease and version.major < 2000:
            versions.append((version, tag))
    return max(versions)[1] if versions else None
