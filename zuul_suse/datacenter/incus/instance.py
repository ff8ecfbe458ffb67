# SPDX-License-Identifier: Apache-2.0

"""An Incus or LXD instance, as its API lists it, in the house's words. Pure; called by `incus`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zuul_suse.datacenter import Quota, Server, ServerState
from zuul_suse.datacenter.sizes import mebibytes

_STATES = {"Running": ServerState.ACTIVE, "Error": ServerState.FAILED, "Stopping": ServerState.DELETING}


def server_of(instance: Mapping[str, Any]) -> Server:
    """An instance, as listed with recursion 2, in the house's words."""
    config = instance.get("expanded_config") or instance.get("config") or {}
    state = _STATES.get(instance["status"], ServerState.BUILDING)
    ipv4, ipv6 = _addresses(instance.get("state") or {})
    return Server(
        id=instance["name"],
        name=instance["name"],
        state=state,
        ipv4=ipv4,
        ipv6=ipv6,
        private_ipv4=ipv4,
        host=instance.get("location"),
        need=Quota(1, _cores(config.get("limits.cpu", "")), mebibytes(config.get("limits.memory", ""))),
        metadata={key[5:]: value for key, value in config.items() if key.startswith("user.")},
    )


def _addresses(state: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """First global IPv4 and IPv6 address; a node's own bridges (docker0, virbr0) come after its network card."""
    found: dict[str, str] = {}
    networks = state.get("network") or {}
    for name in sorted(networks, key=lambda name: (not name.startswith("e"), name)):
        for address in networks[name].get("addresses") or []:
            if address["scope"] == "global":
                found.setdefault(address["family"], address["address"])
    return found.get("inet"), found.get("inet6")


def _cores(limit: str) -> int:
    """`limits.cpu` is a number of cores, or a set of them such as 0-3,6."""
    if limit.isdigit():
        return int(limit)
    spans = [span.split("-") for span in limit.split(",") if span]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)
