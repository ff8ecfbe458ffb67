# SPDX-License-Identifier: Apache-2.0
"""`make devstack-check DEVSTACK=DIR`: the overlay against upstream's real devstack tree, for each openSUSE release.

Prints what upstream's functions make of each release, every package name that zypper would be asked for, and what has
changed in upstream's branches. With `--sources` also runs upstream's stack.sh itself, as far as that gets.
Ends with 1 if something is wrong, with every reason; 2 if DIR is no devstack tree.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from . import inventory, names, overlay, stack
from .releases import RELEASES, Release
from .upstream import Upstream, UpstreamError


def commit_of(tree: Path) -> str:
    """Name the tree's commit; a tree without git has none."""
    done = subprocess.run(["git", "-C", str(tree), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 and (tree / ".git").exists() else "unknown"


def missing_functions(tree: Path) -> list[str]:
    """Name functions that the overlay leans on and upstream does not have."""
    defined = {(file, name) for file, name, _ in inventory.lines(tree)}
    return [f"{f.file}: {f.name} is gone" for f in overlay.functions() if (f.file, f.name) not in defined]


def unasked_branches(tree: Path) -> list[str]:
    """Name functions that are taken as on Fedora, and ask no such thing any more."""
    asked = inventory.branches(tree)
    taken = [f for f in overlay.functions() if "as-fedora" in f.how]
    return [
        f"{f.file}: {f.name} does not ask is_fedora" for f in taken if "is_fedora" not in asked[f.file].get(f.name, "")
    ]


def check_release(folder: Path, tree: Path, release: Release) -> list[str]:
    """Try one release, and print what it is asked for."""
    upstream = Upstream(folder, tree, release)
    wrong = upstream.check_variables()
    lists = upstream.lists()
    asked = {name for some in lists.values() for name in some} | inventory.literal_packages(tree)
    wanted = upstream.wanted() | upstream.opensuse(asked)
    record = names.recorded()
    unsure = sorted(wanted & record.unconfirmed.keys())
    print(f"\n{release.name}: {release.distro}, Python {release.python}; {len(lists)} package lists")
    print(f"zypper would be asked for {len(wanted)} names: {' '.join(sorted(wanted))}")
    for source in record.sources:
        print(f"  known from {source}: {sum(record.known.get(name) == source for name in wanted)}")
    print(f"of these unconfirmed in openSUSE: {' '.join(unsure) or 'none'}")
    wrong += [f"{release.name}: {name}: in no list of openSUSE's packages" for name in record.unknown(wanted)]
    wrong += upstream.check_packages(asked)
    return wrong + upstream.check_trials()


def check_stack(folder: Path, tree: Path, sources: Path) -> list[str]:
    """Run upstream's stack.sh on the releases that this host has the Python of, and say how far it got."""
    releases = stack.possible()
    print("\nstack.sh: no release's Python is on this host" if not releases else "")
    wrong = []
    for release in releases:
        done = stack.run(folder / f"stack-{release.name}", tree, sources, release)
        print(f"{release.name}: stack.sh installed {done.packages} packages and went through: {', '.join(done.phases)}")
        print(f"  it ended with: {done.ended}")
        if not done.reached:
            wrong.append(f"{release.name}: stack.sh ended before {stack.REACHED!r}: {done.ended}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="make devstack-check", description=__doc__)
    parser.add_argument("tree", type=Path, help="an unmodified tree of openstack/devstack")
    parser.add_argument("--record", action="store_true", help="write branches.yaml anew from this tree")
    parser.add_argument("--sources", type=Path, help="a folder with git clones of openstack/requirements and others")
    parser.add_argument("--commit", help="the tree's commit, where the tree is no git clone")
    choice = parser.parse_args()
    tree = choice.tree.resolve()
    if not (tree / "functions-common").is_file():
        print(f"{tree}: not a devstack tree: it has no functions-common", file=sys.stderr)
        return 2
    commit = choice.commit or commit_of(tree)
    if choice.record:
        inventory.record(tree, commit)
    print(f"devstack {commit}: {len(overlay.functions())} functions, {len(overlay.package_map())} mapped names")
    wrong = missing_functions(tree) or unasked_branches(tree)
    wrong += inventory.drift(inventory.recorded(), inventory.branches(tree))
    with tempfile.TemporaryDirectory(prefix="devstack-check-") as folder:
        for release in RELEASES:
            try:
                wrong += check_release(Path(folder) / release.name, tree, release)
            except UpstreamError as error:
                wrong.append(str(error))
        if choice.sources:
            wrong += check_stack(Path(folder), tree, choice.sources.resolve())
    print(f"\n{len(wrong)} wrong" if wrong else "\nnothing wrong")
    print("\n".join(f"  {sentence}" for sentence in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
