# SPDX-License-Identifier: Apache-2.0
"""What a seed file says of a family of projects: releases, branches, components, default branches.

Owns nothing. `read` is called by `render`, by the import and by the sandbox; a fault names the place in the file, what
is wrong there and what would be right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as v
import yaml

from zuul_suse.seeds import SeedError
from zuul_suse.seeds.git import shown

# Names go into YAML, patterns, paths and command lines as they are. So: letters that need no quotes there, no option,
# no step up, and nothing that git has in a repository or refuses in a reference.
PLAIN = r"(?![-.])(?![^/]*\.\.)(?![^/]*\.(git|lock)?(/|\Z))[A-Za-z0-9_.-]{1,200}"
NAMED = f"{PLAIN}(/{PLAIN}){{0,9}}"
NAME = v.Match(
    rf"{NAMED}\Z",
    msg="no plain name (letters, digits, and any of . _ - /; no part begins with - or ., or ends in . .git .lock)",
)
FOLDER = v.Match(rf"{NAMED}/?\Z", msg="no plain folder (parts as a name's, less a / at the start)")

RELEASE = {
    v.Required("branch"): NAME,
    v.Required("components"): v.All([NAME], v.Length(min=1, msg="empty: a release has a component at least")),
    v.Optional("tools", default=dict): {NAME: NAME},
    v.Optional("scenarios", default=dict): {NAME: NAME},
    v.Optional("deploy", default=True): bool,
}
PROJECT = {
    v.Required("name"): NAME,
    v.Optional("component"): NAME,
    v.Required("default-branch"): NAME,
    v.Required("branches"): v.All([NAME], v.Length(min=1, msg="empty: a project has a branch at least")),
    v.Optional("skip"): str,
}
SCHEMA = v.Schema(
    {
        v.Required("hosting"): v.Match(
            r"(https|http|ssh|git|file)://[!-~]+\Z", msg="no URL (https://, ssh://, file://)"
        ),
        v.Required("branch"): NAME,
        v.Required("own-config-paths"): v.All([FOLDER], v.Length(min=1, msg="empty: it needs a folder")),
        v.Required("config-project"): NAME,
        v.Required("installer"): NAME,
        v.Required("releases"): v.All({NAME: RELEASE}, v.Length(min=1, msg="empty: there is no release")),
        v.Required("projects"): v.All([PROJECT], v.Length(min=1, msg="empty: there is no project")),
        v.Optional("demonstration"): dict,
    }
)


@dataclass(frozen=True)
class Project:
    """A project of the family; `component` is the folder that it becomes in an installation, None for a tool."""

    name: str
    component: str | None
    default_branch: str
    branches: tuple[str, ...]
    skip: str | None


@dataclass(frozen=True)
class Release:
    """Which projects belong together; components stand in the order in which they are installed.

    `tools` are projects beside them, each with its branch; `scenarios` such whose default branch has scenarios for the
    release, each with their folder. Only a release with `deploy` can be deployed.
    """

    name: str
    branch: str
    components: tuple[Project, ...]
    tools: Mapping[str, str]
    scenarios: Mapping[str, str]
    deploy: bool


@dataclass(frozen=True)
class Family:
    """The whole file."""

    hosting: str
    branch: str
    own_config_paths: tuple[str, ...]
    config_project: str
    installer: str
    releases: tuple[Release, ...]
    projects: tuple[Project, ...]

    @property
    def taken(self) -> tuple[Project, ...]:
        """The projects that are not skipped."""
        return tuple(project for project in self.projects if project.skip is None)

    @property
    def default_branches(self) -> Mapping[str, str]:
        return {project.name: project.default_branch for project in self.projects}

    def releases_of(self, project: Project) -> list[Release]:
        """Those that have the project as a component, or all that have its branch for the installer."""
        if project.name == self.installer:
            return list(self.releases)
        return [release for release in self.releases if project in release.components]


def read(path: Path) -> Family:
    """Read a seed file.

    :raises SeedError: it can't be read, or does not hold together; the first fault is told.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise SeedError(f"{path}: can't be read ({fault.strerror})") from fault
    except UnicodeDecodeError as fault:
        raise SeedError(f"{path}: not UTF-8 (byte {fault.start})") from fault
    return parse(text, path.name)


def parse(text: str, place: str) -> Family:
    """The same of a text; `place` is what faults are told of."""
    try:
        checked = SCHEMA(yaml.safe_load(text))
    except yaml.YAMLError as fault:
        raise SeedError(f"{place}: no YAML: {' '.join(str(fault).split())}") from fault
    except v.MultipleInvalid as fault:
        raise SeedError(_told(place, fault.errors[0])) from fault
    family = _family(checked, place)
    for reason in _faults(family):
        raise SeedError(f"{place}: {reason}")
    return family


def _told(place: str, fault: v.Invalid) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(str(step))[:100]}" for step in fault.path)
    where = "".join(steps).lstrip(".")
    reason = fault.msg
    if reason == "extra keys not allowed":
        reason = f"unknown key (has {', '.join(_keys(fault.path[:-1]))})"
    return f"{place}: {where + ': ' if where else ''}{reason}"


def _keys(path: Sequence[Any]) -> list[str]:
    """The keys that are known where a path of the file leads."""
    known: Mapping[Any, Any] = SCHEMA.schema
    if path:
        known = {"releases": RELEASE, "projects": PROJECT}.get(path[0], known)
    return sorted(str(key) for key in known)


def _family(data: Mapping[str, Any], place: str) -> Family:
    projects = tuple(
        Project(
            entry["name"], entry.get("component"), entry["default-branch"], tuple(entry["branches"]), entry.get("skip")
        )
        for entry in data["projects"]
    )
    by_name = {project.name: project for project in projects}
    if len(by_name) < len(projects):
        names = [project.name for project in projects]
        raise SeedError(
            f"{place}: projects: {next(name for name in names if names.count(name) > 1)} stands there twice"
        )
    releases = []
    for name, entry in data["releases"].items():
        for wanted in (*entry["components"], *entry["tools"], *entry["scenarios"]):
            if wanted not in by_name:
                raise SeedError(f'{place}: releases.{name}: "{wanted}" is no project (has {", ".join(by_name)})')
        components = tuple(by_name[wanted] for wanted in entry["components"])
        releases.append(Release(name, entry["branch"], components, entry["tools"], entry["scenarios"], entry["deploy"]))
    if data["installer"] not in by_name:
        raise SeedError(f'{place}: installer: "{data["installer"]}" is no project (has {", ".join(by_name)})')
    return Family(
        data["hosting"],
        data["branch"],
        tuple(data["own-config-paths"]),
        data["config-project"],
        data["installer"],
        tuple(releases),
        projects,
    )


def _faults(family: Family) -> Iterator[str]:
    """What single keys can't show: branches that are not there, a component twice."""
    by_name = {project.name: project for project in family.projects}
    for project in family.projects:
        if project.default_branch not in project.branches:
            yield (
                f'projects: {project.name}: default-branch: "{project.default_branch}" is none of its branches'
                f" (has {', '.join(project.branches)})"
            )
    for number, release in enumerate(family.releases):
        earlier = [other.name for other in family.releases[:number] if other.branch == release.branch]
        if earlier:
            yield f'releases.{release.name}: branch: "{release.branch}" is {earlier[0]}\'s already'
        for reason in (*_missing(family, release, by_name), *_wrong_components(release)):
            yield f"releases.{release.name}: {reason}"


def _missing(family: Family, release: Release, by_name: Mapping[str, Project]) -> Iterator[str]:
    wanted = {project.name: release.branch for project in release.components}
    wanted |= {family.installer: release.branch} | dict(release.tools)
    for name, branch in wanted.items():
        project = by_name[name]
        if project.skip is not None:
            yield f"{name} is skipped ({project.skip})"
        if branch not in project.branches:
            yield f'{name} has no branch "{branch}" (has {", ".join(project.branches)})'


def _wrong_components(release: Release) -> Iterator[str]:
    folders = [project.component for project in release.components]
    for project in release.components:
        if project.component is None:
            yield f"{project.name} has no component; make it a tool, or say its folder"
        if folders.count(project.component) > 1:
            yield f'the component "{project.component}" is there twice'
