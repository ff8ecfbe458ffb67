# SPDX-License-Identifier: Apache-2.0
"""A user's own part of the sandbox's nodepool.yaml: more labels and providers, say the regions of an OpenStack.

Read when `up --nodepool-part FILE` names it, laid into what the template made each time that is written. Touches no
file but the one it is given.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from zuul_suse.sandbox import SandboxError

SECTIONS = ("labels", "diskimages", "providers")
FILES = ("clouds-file", "client-cert", "client-key", "server-cert")  # keys of a datacenter
CLOUDS = "clouds.yaml"


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


def take_files(part: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """Copy what the part's datacenters name, and the clouds.yaml of this user, to where the launcher's user reads it.

    :raises SandboxError: a file can't be read.
    """
    clouds = Path(os.environ.get("OS_CLIENT_CONFIG_FILE", Path.home() / ".config" / "openstack" / CLOUDS))
    if clouds.is_file():
        _copy(clouds, folder / CLOUDS)
    for provider in part.get("providers", []):
        for number, center in enumerate(provider.get("datacenters") or []):
            for key in [key for key in FILES if isinstance(center, dict) and center.get(key)]:
                place = f"providers[{provider['name']}].datacenters[{center.get('name', number)}].{key}"
                name = f"{re.sub('[^A-Za-z0-9-]', '_', str(provider['name']))}-{number}-{key}"
                center[key] = str(_copy(Path(center[key]), folder / name, place))


def _copy(source: Path, target: Path, place: str = "clouds.yaml") -> Path:
    try:
        data = source.read_bytes()
    except OSError as fault:
        raise SandboxError(f"{place}: {source} can't be read ({fault.strerror})") from fault
    target.touch(mode=0o600)
    target.write_bytes(data)
    return target


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
    if target.exists():
        state = target.stat()
        os.chown(draft, state.st_uid, state.st_gid)
        draft.chmod(state.st_mode)
    draft.replace(target)
