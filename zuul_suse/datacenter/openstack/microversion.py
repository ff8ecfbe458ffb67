# SPDX-License-Identifier: Apache-2.0
"""Which of nova's microversions is spoken, from the version document that its root gives. Pure; used by `session`."""

from __future__ import annotations

import re

Version = tuple[int, int]

# Flavors are embedded in servers from 2.47 on, a volume's type can be given from 2.67 on.
OURS: Version = (2, 67)
PLAIN: Version = (2, 1)  # what every nova speaks, and what one without microversions understands

DESCRIPTION: Version = (2, 19)
NETWORKS_AUTO: Version = (2, 37)
VOLUME_TYPE: Version = (2, 67)


def spoken(document: object) -> Version:
    """Ours, or the cloud's newest if that is older, or its oldest if that is newer. PLAIN for a cloud that has none.

    Raises ValueError if this is no version document.
    """
    entry = _entry(document)
    newest, oldest = entry.get("version"), entry.get("min_version")
    if newest == "" or (newest is None and "id" in entry):
        return PLAIN
    high = _parse(newest)
    low = _parse(oldest) if oldest else PLAIN
    if low > high:
        raise ValueError(f"min_version {oldest} is above version {newest}")
    return max(low, min(high, OURS))


def headers(version: Version) -> dict[str, str]:
    """What asks nova for it; those before 2.27 know only the second."""
    if version == PLAIN:
        return {}
    text = "{}.{}".format(*version)
    return {"OpenStack-API-Version": f"compute {text}", "X-OpenStack-Nova-API-Version": text}


def _entry(document: object) -> dict[str, object]:
    """The one document, or of a list of them v2.1's."""
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    several = document.get("versions")
    if isinstance(several, list):
        found = [one for one in several if isinstance(one, dict) and str(one.get("id", "")).startswith("v2")]
        document = {"version": max(found, key=lambda one: str(one["id"]), default=None)}
    entry = document.get("version")
    if not isinstance(entry, dict):
        raise ValueError('no "version"')
    return entry


def _parse(text: object) -> Version:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,4})", str(text))
    if match is None:
        raise ValueError(f"{text!r} is no version")
    return int(match[1]), int(match[2])
