# SPDX-License-Identifier: Apache-2.0
"""The command line: unit, tree, bundle. Exit 0: passed, 1: a fault was found, 2: the check could not be made."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from . import bundle, checkouts, programs, report, scenarios, tree, unit
from .findings import Found, Verdict

HERE = Path(__file__).parent


def baseline_of(options: argparse.Namespace) -> dict[str, Any]:
    """Read the baseline that was asked for: by a release, by a branch, or none."""
    if options.release:
        return programs.baseline(options.baseline, options.release)
    branch = getattr(options, "branch", None)
    for file in sorted(options.baseline.glob("*.yaml")) if branch else []:
        known = programs.baseline(options.baseline, file.stem)
        if known.get("branch") == branch:
            return known
    return {}


def say(options: argparse.Namespace, name: str, title: str, made: tuple[Found, Verdict], began: float) -> int:
    """Write the report of a check and return the exit code."""
    found, verdict = made
    found.counts["seconds"] = round(time.monotonic() - began)
    report.write(options.output, name, title, found, verdict)
    return 0 if verdict.passed else 1


def do_unit(options: argparse.Namespace) -> int:
    """Check one project."""
    began = time.monotonic()
    project = unit.Project(options.project, options.checkout.resolve())
    made = unit.run(project, options.validator, baseline_of(options))
    return say(options, "unit", f"{options.project}, {options.branch or 'no branch'}", made, began)


def do_tree(options: argparse.Namespace) -> int:
    """Lay the tree; what is wrong in it is the bundle's to tell."""
    components = checkouts.resolve(options.components, options.projects, options.root)
    made = tree.lay([(c["project"], Path(c["checkout"])) for c in components], options.tree)
    print(f"{options.tree}: {len(made.owners)} files of {len(made.projects)} projects")
    return 0


def do_bundle(options: argparse.Namespace) -> int:
    """Check a tree."""
    began = time.monotonic()
    listed = checkouts.resolve(options.scenarios, options.projects, options.root)
    sources = [scenarios.Source(s["project"], Path(s["checkout"]), s["path"]) for s in listed]
    made = bundle.run(tree.load(options.tree.resolve()), sources, baseline_of(options), options.work)
    return say(options, "bundle", f"bundle, {options.release or 'no release'}", made, began)


def parser() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    top = argparse.ArgumentParser(prog="crowbar_checks", description=__doc__)
    kinds = top.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("unit", help="check one project")
    one.set_defaults(do=do_unit)
    one.add_argument("--project", required=True)
    one.add_argument("--checkout", required=True, type=Path)
    one.add_argument("--branch", default="")
    one.add_argument("--validator", required=True, type=Path, help="a checkout of crowbar-validate-databags")
    lay = kinds.add_parser("tree", help="lay projects into one tree")
    lay.set_defaults(do=do_tree)
    lay.add_argument("--components", required=True, type=Path, help='JSON: [{"project": ...}, ...]')
    lay.add_argument("--tree", required=True, type=Path)
    all_of_it = kinds.add_parser("bundle", help="check a tree")
    all_of_it.set_defaults(do=do_bundle)
    all_of_it.add_argument("--tree", required=True, type=Path)
    all_of_it.add_argument("--scenarios", type=Path, help='JSON: [{"project": ..., "path": ...}, ...]')
    all_of_it.add_argument("--work", required=True, type=Path, help="a folder for what is made on the way")
    for kind in (lay, all_of_it):
        kind.add_argument("--projects", type=Path, help="JSON: Zuul's list of projects; else each has a `checkout`")
        kind.add_argument("--root", type=Path, default=Path.home(), help="the folder that src_dir is in")
    for kind in (one, all_of_it):
        kind.add_argument("--release", default="")
        kind.add_argument("--baseline", type=Path, default=HERE / "baseline")
        kind.add_argument("--output", required=True, type=Path, help="the folder of the report")
    return top


def main() -> int:
    """Run what was asked for."""
    options = parser().parse_args()
    try:
        code: int = options.do(options)
    except (programs.ProgramError, tree.TreeError, scenarios.ScenarioError, checkouts.CheckoutError, OSError) as error:
        print(f"crowbar_checks: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
