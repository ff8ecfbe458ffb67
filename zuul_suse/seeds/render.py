# SPDX-License-Identifier: Apache-2.0
"""The Zuul configuration that follows from a family's seed: written as text, so that it is read like any other.

Owns three files below a checkout. Called by `zuul-suse seeds render`. Pure but for `write` and `drift`.

A job's variant chooses by branch alone, and `master` is the newest release in one project and an empty stub in
another. So a project runs the bundle by a template per release, and gets those of the releases that it belongs to.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path

from zuul_suse.seeds import SeedError
from zuul_suse.seeds.description import Family, Project, Release, read

FAMILY = "crowbar"
SEED = Path("seeds") / f"{FAMILY}.yaml"
TEMPLATE = f"zuul-suse-{FAMILY}"
BUNDLE, DEPLOY = f"{TEMPLATE}-bundle", f"{TEMPLATE}-deploy"
THIS_PROJECT = "zuul-suse"
# A tenant refuses jobs beyond 10800 seconds and 5 nodes unless it says otherwise: deployments of Crowbar want more.
TENANT_LIMITS = {"max-job-timeout": 21600, "max-nodes-per-job": 6}
HEADER = f"""\
# SPDX-License-Identifier: Apache-2.0
---
# Written by `zuul-suse seeds render` from {SEED}: change that file and run the command, not this one.
"""


def render(family: Family) -> Mapping[Path, str]:
    """The text of each file, by its path in the checkout."""
    overlay = Path("seeds") / family.config_project
    return {
        Path(family.own_config_paths[0]) / f"{FAMILY}-releases.yaml": _releases(family),
        overlay / "zuul.d" / f"{FAMILY}-projects.yaml": _projects(family),
        overlay / "tenant-projects.yaml": _tenant(family),
    }


def write(source: Path) -> list[Path]:
    """Write the files of a checkout; returns those that were not so already.

    :raises SeedError: the seed is wrong, or `source` is no checkout.
    """
    changed = []
    for name, text in render(_family(source)).items():
        path = source / name
        if _text(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def drift(source: Path) -> dict[Path, str]:
    """The files of a checkout that are not what the seed says, each with the difference; nothing is written.

    :raises SeedError: the seed is wrong, or `source` is no checkout.
    """
    found = {}
    for name, text in render(_family(source)).items():
        there = _text(source / name)
        if there != text:
            lines = difflib.unified_diff(
                there.splitlines(keepends=True), text.splitlines(keepends=True), str(name), f"{name} as rendered"
            )
            found[name] = "".join(lines)
    return found


def _family(source: Path) -> Family:
    if not (source / SEED).exists():
        raise SeedError(f"--source {source}: no checkout of zuul-suse (has no {SEED}); run this in your clone of it")
    return read(source / SEED)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def pattern(branch: str) -> str:
    """A Zuul pattern for exactly this branch."""
    return f"^{branch.replace('.', chr(92) + '.')}$"


def _releases(family: Family) -> str:
    """Variants of the jobs per release, and the template by which a project runs the bundle there."""
    return "\n".join([HEADER.rstrip(), *(_release(family, release) for release in family.releases)]) + "\n"


def _release(family: Family, release: Release) -> str:
    projects = {family.installer: release.branch} | {project.name: release.branch for project in release.components}
    scenarios = {name: family.default_branches[name] for name in release.scenarios}
    lines = [
        "",
        "- job:",
        f"    name: {BUNDLE}",
        f"    branches: {pattern(release.branch)}",
        *_required(projects | scenarios),
        f"    vars: &{release.name}",
        f"      {FAMILY}_release: {release.name}",
        f"      {FAMILY}_installer: {family.installer}",
        f"      {FAMILY}_components:",
        *(f"        - {{project: {one.name}, component: {one.component}}}" for one in release.components),
    ]
    if scenarios:
        lines += [f"      {FAMILY}_scenarios:"]
        lines += [f"        - {{project: {name}, path: {path}}}" for name, path in release.scenarios.items()]
    if release.deploy:
        lines += ["", "- job:", f"    name: {DEPLOY}", f"    branches: {pattern(release.branch)}"]
        lines += [*_required(projects | dict(release.tools)), f"    vars: *{release.name}"]
    lines += [
        "",
        "- project-template:",
        f"    name: {TEMPLATE}-{release.name}",
        f"    description: The bundle of {release.name}, for a project that belongs to it.",
        "    check:",
        "      jobs:",
        f"        - {BUNDLE}:",
        f"            branches: {pattern(release.branch)}",
    ]
    return "\n".join(lines)


def _required(projects: Mapping[str, str]) -> list[str]:
    lines = ["    required-projects:"]
    for name, branch in projects.items():
        lines += [f"      - name: {name}", f"        override-checkout: {branch}"]
    return lines


def _projects(family: Family) -> str:
    """What the trusted repository says of each project."""
    return "\n".join([HEADER.rstrip(), *(_project(family, project) for project in family.taken)]) + "\n"


def _project(family: Family, project: Project) -> str:
    lines = ["", "- project:", f"    name: {project.name}", f"    default-branch: {project.default_branch}"]
    # Scenarios alone are no Crowbar: a change to them has no job of ours.
    if not any(project.name in release.scenarios for release in family.releases):
        templates = [TEMPLATE, *(f"{TEMPLATE}-{release.name}" for release in family.releases_of(project))]
        lines += ["    templates:", *(f"      - {template}" for template in templates)]
    return "\n".join(lines)


def _tenant(family: Family) -> str:
    """A part of Zuul's tenant file, which is the site's own: `untrusted-projects` of the Gerrit connection."""
    limits = " and ".join(f"`{name}: {limit}`" for name, limit in TENANT_LIMITS.items())
    lines = [
        f"{HEADER.rstrip()}",
        "#",
        "# For the tenant file, below the connection that has the projects. Their own Zuul configuration is not read.",
        f"# The tenant itself wants {limits}, for the longest deployment.",
        "untrusted-projects:",
        f"  - {THIS_PROJECT}:",
        f"      extra-config-paths: [{', '.join(family.own_config_paths)}]",
        "  - include: []",
        "    projects:",
        *(f"      - {project.name}" for project in family.taken),
    ]
    return "\n".join(lines) + "\n"
