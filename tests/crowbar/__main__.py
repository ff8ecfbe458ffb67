# SPDX-License-Identifier: Apache-2.0
"""`make crowbar-check CROWBAR=DIR`: what the unit and bundle jobs find in Crowbar's real projects, without a node.

DIR has clones as DIR/OWNER/NAME or DIR/OWNER/NAME.git, bare or not; they are only read. For each release of
seeds/crowbar.yaml that is asked for, or all, its branches are laid into a temporary folder, each project is checked for
itself, then all of them in one tree, with the scenarios that the seed has for the release. `--demonstration` tries the
changes that the seed shows instead: each alone with what it depends on, against the vote that it ought to bring. Ends
with 1 if something is not as expected; 2 if a clone is missing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.crowbar import node
from tests.crowbar.checkout import CheckoutError, lay
from zuul_suse.sandbox import demonstration

VALIDATOR = "crowbar/crowbar-validate-databags"


@dataclass(frozen=True)
class Release:
    """A release's projects in install order, and where they lie."""

    name: str
    branch: str
    folder: Path
    projects: list[str]

    def checkout(self, project: str) -> Path:
        return self.folder / project

    def scenarios(self) -> list[dict[str, str]]:
        """What scenarios were laid beside the projects."""
        file = self.folder / "scenarios.yaml"
        return list(yaml.safe_load(file.read_text())) if file.exists() else []


def lay_release(clones: Path, seed: dict[str, Any], name: str, folder: Path) -> Release:
    """Lay a release's branches, and say which commits those are."""
    entry = seed["releases"][name]
    projects = [seed["installer"], *entry["components"]]
    release = Release(name, entry["branch"], folder, projects)
    for project, branch in [*((p, entry["branch"]) for p in projects), (VALIDATOR, "master")]:
        made = lay(clones, project, branch, release.checkout(project))
        print(f"  {project} {branch} {made.commit[:12]}")
        for path in made.missing:
            print(f"    {path}: not in this clone, empty here")
    listed = []
    for project, path in entry.get("scenarios", {}).items():
        made = lay(clones, project, "master", release.checkout(project))
        print(f"  {project} master {made.commit[:12]}: {path}")
        listed.append({"project": project, "checkout": str(made.folder), "path": path})
    (folder / "scenarios.yaml").write_text(yaml.safe_dump(listed))
    return release


def check_units(release: Release, work: Path, projects: list[str]) -> list[str]:
    """Check projects for themselves."""
    wrong = []
    for project in projects:
        began = time.monotonic()
        found = node.unit(
            work, project, release.checkout(project), release.checkout(VALIDATOR), "--branch", release.branch
        )
        counts = ", ".join(f"{number} {what}" for what, number in found.report.get("counts", {}).items())
        known = len(found.faults("known"))
        print(f"  unit {project}: exit {found.code}, {known} known; {counts}; {time.monotonic() - began:.0f} s")
        if not found.passed:
            wrong.append(f"{release.name}: unit {project}: {found.output}")
    return wrong


def check_bundle(release: Release, work: Path) -> node.Result:
    """Check all of a release's projects in one tree."""
    components = {project: release.checkout(project) for project in release.projects}
    return node.bundle(work, components, release.scenarios(), "--release", release.name)


def check_release(release: Release, work: Path) -> list[str]:
    """Check a release as it is."""
    wrong = check_units(release, work, release.projects)
    found = check_bundle(release, work / "bundle")
    print("  bundle " + found.output.replace("\n", "\n  "))
    return wrong + ([] if found.passed else [f"{release.name}: bundle: {found.output}"])


def try_change(release: Release, work: Path, shown: demonstration.Demonstration, name: str) -> list[str]:
    """Try one change of a demonstration, with those that it depends on, on a copy of the release."""
    copy = Release(release.name, release.branch, work / "src", release.projects)
    shutil.copytree(release.folder, copy.folder, symlinks=True)
    wanted: list[demonstration.ShownChange] = []

    def need(one: str) -> None:
        change = shown.named(one)
        for other in change.depends_on:
            need(other)
        if change not in wanted:
            wanted.append(change)

    need(name)
    for change in wanted:
        change.edit(copy.checkout(change.project))
    last = wanted[-1]
    red = check_units(copy, work, [last.project])
    found = check_bundle(copy, work / "bundle")
    votes = {"unit": -1 if red else 1, "bundle": 1 if found.passed else -1}
    print(f"  {name}: {votes}, to be {last.vote:+d}")
    for line in [*red, *found.report.get("sentences", [])]:
        print(f"    {line}")
    return [] if min(votes.values()) == last.vote else [f"{name}: {votes}, to be {last.vote:+d}"]


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make crowbar-check", description=__doc__)
    parser.add_argument("clones", type=Path, help="the folder with the clones")
    parser.add_argument("--release", action="append", default=[])
    parser.add_argument("--seed", type=Path, default=node.ROOT / "seeds" / "crowbar.yaml")
    parser.add_argument("--demonstration", action="store_true", help="try the changes that the seed shows")
    return parser.parse_args()


def main() -> int:
    """Check what was asked for."""
    options = parsed()
    seed = yaml.safe_load(options.seed.read_text())
    names = options.release or list(seed["releases"])
    if unknown := [name for name in names if name not in seed["releases"]]:
        print(f"--release: {unknown[0]} is not in {options.seed} (has {', '.join(seed['releases'])})", file=sys.stderr)
        return 2
    wrong: list[str] = []
    for name in names:
        print(f"{name}:")
        with tempfile.TemporaryDirectory(prefix="crowbar-check-") as temporary:
            place = Path(temporary)
            try:
                release = lay_release(options.clones, seed, name, place / "src")
            except CheckoutError as error:
                print(error, file=sys.stderr)
                return 2
            if options.demonstration:
                shown = demonstration.read(seed["demonstration"], str(options.seed))
                for change in shown.changes:
                    if (change.branch or seed["branch"]) == release.branch:
                        wrong += try_change(release, place / change.name, shown, change.name)
            else:
                wrong += check_release(release, place / "work")
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
