# SPDX-License-Identifier: Apache-2.0
"""A user's own part of the sandbox's nodepool.yaml: more labels and providers, say the regions of an OpenStack.

Read when `up --nodepool-part FILE` names it, laid into what the template made each time that is written. Touches no
file but the one it is given.
"""

from pathlib import Path
from typing import Any

import yaml

from zuul_suse.sandbox import SandboxError

SECTIONS = ("labels", "diskimages", "providers")


def read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The part's lists by section.

    :raises SandboxError: place, fault and valid choices.
    """
    try:
        part = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as fault:
        raise SandboxError(f"{path}: not readable ({' '.join(str(fault).split())})") from fault
    if not isinstance(part, dict):
        raise SandboxError(f"{path}: expected a map with some of {', '.join(SECTIONS)}")
    for section, items in part.items():
        if section not in SECTIONS:
            raise SandboxError(f'{path}: unknown key "{section}" (known: {", ".join(SECTIONS)})')
        if not isinstance(items, list) or not all(isinstance(item, dict) and "name" in item for item in items):
            raise SandboxError(f"{path}: {section}: expected a list of maps with a name each")
    return part


def lay_in(own: Path, part: dict[str, list[dict[str, Any]]], target: Path) -> None:
    """Write `own` with the part's lists added; in one step, since a running launcher reads the target again and again.

    :raises SandboxError: a name is there already.
    """
    whole = yaml.safe_load(own.read_text())
    for section, items in part.items():
        taken = [item["name"] for item in whole.setdefault(section, [])]
        for item in items:
            if item["name"] in taken:
                fault = f"the sandbox has one of that name (has {', '.join(taken)})"
                raise SandboxError(f"{section}[{item['name']}]: {fault}")
        whole[section] += items
    draft = target.with_suffix(".part")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(whole, sort_keys=False))
    draft.replace(target)
