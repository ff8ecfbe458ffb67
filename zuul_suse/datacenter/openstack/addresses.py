# SPDX-License-Identifier: Apache-2.0
"""A server's addresses: which is public, which is private, as Nodepool's own driver derives them, but from the list.

Nova says of each address its network, version and whether it is floating; neutron and clouds.yaml say which networks
lead outside. Pure; called by `servers` for every server of every list. Where nothing says that an address
is public, and no floating IP is wanted, the fixed one is taken to be reachable: so it is in a cloud without a NAT.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from zuul_suse.datacenter.openstack.session import Json


@dataclass(frozen=True)
class Networks:
    """Names of networks that lead outside, and of those that surely don't."""

    external: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()


NO_NETWORKS = Networks()


@dataclass(frozen=True)
class Addresses:
    """What a server can be reached by."""

    public4: str | None = None
    public6: str | None = None
    private4: str | None = None


def addresses_of(raw: Json, networks: Networks, exposes: bool) -> Addresses:
    """The addresses of a server as nova lists it."""
    every = [(name, item) for name, items in (raw.get("addresses") or {}).items() for item in items]
    fixed4 = [(name, item["addr"]) for name, item in every if item["version"] == 4 and not _floats(item)]
    floating4 = next((item["addr"] for _, item in every if item["version"] == 4 and _floats(item)), None)
    external4 = next((address for name, address in fixed4 if name in networks.external), None)
    private4 = _private(fixed4, networks)
    public4 = raw.get("accessIPv4") or external4 or floating4 or _routable(fixed4, networks)
    if not public4 and not exposes:
        public4 = private4
    public6 = raw.get("accessIPv6") or next((item["addr"] for _, item in every if item["version"] == 6), None)
    return Addresses(public4 or None, public6 or None, private4 or public4 or None)


def _floats(item: Json) -> bool:
    return bool(item.get("OS-EXT-IPS:type") == "floating")


def _private(fixed4: list[tuple[str, str]], networks: Networks) -> str | None:
    """The first on a network that is known to be internal, else on any that isn't known to lead outside."""
    inside = [address for name, address in fixed4 if name in networks.internal]
    return next(iter(inside + [address for name, address in fixed4 if name not in networks.external]), None)


def _routable(fixed4: Iterable[tuple[str, str]], networks: Networks) -> str | None:
    """A network called `public`, as some clouds have without neutron; else an address that the world can reach."""
    listed = [(name, address) for name, address in fixed4 if name not in networks.internal]
    for name, address in listed:
        if name == "public":
            return address
    return next((address for _, address in listed if ipaddress.ip_address(address).is_global), None)
