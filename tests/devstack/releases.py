# SPDX-License-Identifier: Apache-2.0
"""What each openSUSE release says of itself in os-release, as far as devstack and the overlay read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """A release, and what the overlay is to make of it."""

    name: str
    os_release: str
    distro: str
    python: str


def leap(version: str, python: str) -> Release:
    lines = (
        'NAME="openSUSE Leap"', f'VERSION="{version}"', 'ID="opensuse-leap"', 'ID_LIKE="suse opensuse"',
        f'VERSION_ID="{version}"', f'PRETTY_NAME="openSUSE Leap {version}"',
    )  # fmt: skip
    return Release(f"leap-{version}", "\n".join(lines) + "\n", f"opensuse-{version}", python)


TUMBLEWEED = """\
NAME="openSUSE Tumbleweed"
ID="opensuse-tumbleweed"
ID_LIKE="opensuse suse"
VERSION_ID="20261120"
PRETTY_NAME="openSUSE Tumbleweed"
"""
RELEASES = (
    leap("16.0", "3.13"),
    leap("15.6", "3.11"),
    Release("tumbleweed", TUMBLEWEED, "opensuse-tumbleweed", "3.13"),
)
DEBIAN = 'NAME="Debian GNU/Linux (stand-in)"\nID=debian\nVERSION_ID="12"\nVARIANT_ID="stand-in"\n'
