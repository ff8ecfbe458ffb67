# SPDX-License-Identifier: Apache-2.0

"""An Incus or LXD instance, as its API lists it, in the house's words. Pure; called by `incus`.

Its addresses are those of its network cards, which are devices of the type `nic`. What a node makes itself (docker0,
other bridges, tunnels) has addresses too, and long before DHCP answers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from zuul_suse.datacenter import Quota, Server, ServerState
from zuul_suse.datacenter.sizes import mebibytes

LONGEST_NAME = 63
FAMILIES = ("ipv4", "ipv6", "any")
_STATES = {"Running": ServerState.ACTIVE, "Error": ServerState.FAILED, "Stopping": ServerState.DELETING}
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def server_of(instance: Mapping[str, Any], family: str = "ipv4", nic: str | None = None) -> Server:
    """An instance, as listed with recursion 2, in the house's words.

    `family` is the kind of address without which it isn't ready, and by which it is reached. `nic`: only the network
    card of this name counts.
    """
    config = instance.get("expanded_config") or instance.get("config") or {}
    state = _STATES.get(instance["status"], ServerState.BUILDING)
    addresses = list(_addresses(instance, nic))
    ipv4 = next((str(found) for found in addresses if found.version == 4), None)
    global6 = sorted((found for found in addresses if found.version == 6), key=lambda found: found in _UNIQUE_LOCAL)
    ipv6 = str(global6[0]) if global6 else None
    awaited = {"ipv4": ipv4, "ipv6": ipv6, "any": ipv4 or ipv6}[family]
    return Server(
        id=instance["name"],
        name=instance["name"],
        state=state,
        ipv4=ipv4,
        ipv6=ipv6,
        private_ipv4=ipv4,
        address=ipv6 if family == "ipv6" else None,
        awaits_address=not awaited,
        host=instance.get("location"),
        need=Quota(1, _cores(config.get("limits.cpu", "")), mebibytes(config.get("limits.memory", ""))),
        metadata={key[5:]: value for key, value in config.items() if key.startswith("user.")},
    )


def name_of(wanted: str, unique: str) -> str:
    """A name as Incus takes it: a host name of at most 63 characters that begins with a letter. What tells nodes apart
    is at the end, so a long name loses its beginning."""
    room = LONGEST_NAME - len(unique) - 1
    name = re.sub(r"[^A-Za-z0-9-]", "-", wanted)[-room:].strip("-")
    if not name[:1].isalpha():
        name = f"n-{name[2 - room :]}"
    return f"{name}-{unique}"


def _addresses(instance: Mapping[str, Any], nic: str | None) -> Iterator[Address]:
    """The addresses of its network cards that others can reach, card after card."""
    devices = instance.get("expanded_devices") or instance.get("devices") or {}
    cards = sorted((len(name), name) for name, device in devices.items() if device.get("type") == "nic")
    networks = (instance.get("state") or {}).get("network") or {}
    for _, card in cards:
        if nic not in (None, card):
            continue
        for interface in _interfaces(instance, card, devices[card], networks):
            for raw in networks[interface].get("addresses") or ():
                try:
                    address = ipaddress.ip_address(raw["address"])
                except (KeyError, ValueError):
                    continue
                if raw.get("scope") == "global" and not (address.is_link_local or address.is_loopback):
                    yield address


def _interfaces(
    instance: Mapping[str, Any], card: str, device: Mapping[str, Any], networks: Mapping[str, Any]
) -> list[str]:
    """What the instance itself calls a card. A container calls it as configured; a virtual machine as it likes, and
    so may whoever renames it: then it is known by its hardware address."""
    config = (instance.get("expanded_config") or {}) | (instance.get("config") or {})
    name = device.get("name") or config.get(f"volatile.{card}.name") or card
    hardware = str(device.get("hwaddr") or config.get(f"volatile.{card}.hwaddr") or "").lower()
    same = sorted(key for key, raw in networks.items() if hardware and str(raw.get("hwaddr")).lower() == hardware)
    if same:
        return [name] if name in same else same
    if name not in networks or (hardware and instance.get("type") == "virtual-machine"):
        return []
    return [name]


def _cores(limit: str) -> int:
    """`limits.cpu` is a number of cores, or a set of them such as 0-3,6."""
    if limit.isdigit():
        return int(limit)
    spans = [span.split("-") for span in limit.split(",") if span]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)
