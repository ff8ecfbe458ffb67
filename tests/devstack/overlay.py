# SPDX-License-Identifier: Apache-2.0
"""The overlay as data: where it is, which functions of upstream's it leans on, what it calls upstream's RPMs.

Read from its own text, for the tests of the overlay and for `make devstack-check`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROLE = Path(__file__).parents[2] / "roles" / "configure-devstack-opensuse"
FOLDER = ROLE / "files" / "overlay"
SCRIPTS = ("late.sh", "overlay.sh", "packages.sh")
# What the role adds to devstack's `functions`.
LINE = f"source {FOLDER}/overlay.sh"

FUNCTION = re.compile(r'^    \[(\w+)\]="(\S+) ([a-z -]+)"$', re.MULTILINE)
PACKAGE = re.compile(r'^    \[([\w.+-]+)\]=("([^"]+)"|\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """A function of upstream's that the overlay leans on."""

    name: str
    file: str
    how: frozenset[str]


def functions() -> list[Function]:
    """OPENSUSE_FUNCTIONS of overlay.sh."""
    text = (FOLDER / "overlay.sh").read_text(encoding="utf-8")
    found = [Function(name, file, frozenset(how.split())) for name, file, how in FUNCTION.findall(text)]
    assert found, "overlay.sh leans on nothing: its table is not read any more"
    return found


def package_map() -> dict[str, list[str]]:
    """OPENSUSE_PACKAGES of packages.sh; upstream's name -> openSUSE's, `{py}` as it stands there."""
    text = (FOLDER / "packages.sh").read_text(encoding="utf-8")
    found = {name: (quoted or plain).split() for name, plain, quoted in PACKAGE.findall(text)}
    assert found, "packages.sh maps nothing: its table is not read any more"
    return {name: [] if names == ["-"] else names for name, names in found.items()}


def opensuse_names(python: str) -> set[str]:
    """Every name of openSUSE's that the map can give, for one of devstack's pythons."""
    prefix = "python" + python.replace(".", "")
    return {name.replace("{py}", prefix) for names in package_map().values() for name in names}
