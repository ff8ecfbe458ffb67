# SPDX-License-Identifier: Apache-2.0
"""Sizes as Incus writes them (`4GiB`, `512MB`), in MiB. Pure; called by `incus`."""

from __future__ import annotations

import re

_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": int(base**power)
    for power, prefix in enumerate("kmgtpe", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}


def mebibytes(size: str) -> int:
    """Whole MiB of a size; 0 for no size and for one relative to the host (`50%`), which nobody can add up."""
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", size.strip().lower())
    if match is None or match[2] not in _UNITS:
        return 0
    return int(match[1]) * _UNITS[match[2]] // 2**20
