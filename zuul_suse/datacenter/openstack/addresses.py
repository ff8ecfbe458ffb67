# SPDX-License-Identifier: Apache-2.0
"""A server's addresses: which is public, which is private, as Nodepool's own driver derives them, but from the list.

Nova says of each address its network, version and whether it is floating; neutron and clouds.yaml say which networks
lead outside. Pure; called by `servers` for every server of every list. Where nothing says that an address
is public, and no floating IP is wanted, the fixed one is taken to be reachable: so it is in a cloud without a NAT.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from zuul_suse.datacenter.openstack.session import Json

_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")


@dataclass(frozen=True)
class Networks:
    """Names of networks: those that lead outside and those that surely don't, for IPv4 and for IPv6.

    `denied` are those of which clouds.yaml itself says that they don't. `default` is its `default_interface`: servers
    are reached by their address there. `private`: they are reached by their private address, and no floating IPs are
    used. `floats`: whether the cloud has floating IPs.
    """

    external: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset()
    external6: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    default: str | None = None
    private: bool = False
    floats: bool = True


NO_NETWORKS = Networks()


@dataclass(frozen=True)
class Addresses:
    """What a server can be reached by. `connect` is the one to use, if that isn't `public4` or else `public6`.

    `awaits_floating`: it needs a floating IP and has none yet.
    """

    public4: str | None = None
    public6: str | None = None
    private4: str | None = None
    connect: str | None = None
    awaits_floating: bool = False


@dataclass(frozen=True)
class _Address:
    network: str
    text: str
    version: int
    floating: bool


def networks_of(listed: Iterable[Json], config: Json) -> Networks:
    """What neutron and this cloud's entry in clouds.yaml say of networks. Without neutron only the latter knows; its
    word beats neutron's."""
    external, denied, external6, denied6 = set[str](), set[str](), set[str](), set[str]()
    default: str | None = None
    for entry in config.get("networks") or ():
        name, routes = str(entry["name"]), bool(entry.get("routes_externally"))
        (external if entry.get("routes_ipv4_externally", routes) else denied).add(name)
        (external6 if entry.get("routes_ipv6_externally", routes) else denied6).add(name)
        default = name if entry.get("default_interface") else default
    internal = set(denied)
    for raw in listed:
        name = str(raw.get("name"))
        names = {name, str(raw.get("id"))}
        outside = bool(raw.get("router:external"))
        if names & external or ((outside or raw.get("provider:physical_network")) and not names & denied):
            external.add(name)
        else:
            internal.add(name)
        if names & external6 or (outside and not names & denied6):
            external6.add(name)
        if names & denied:
            denied.add(name)
        if default in names:
            default = name
    source = config.get("floating_ip_source")
    return Networks(
        external=frozenset(external),
        internal=frozenset(internal),
        external6=frozenset(external6),
        denied=frozenset(denied),
        default=default,
        private=config.get("private") is True,
        floats=bool(source) and str(source).lower() != "none",
    )


def addresses_of(raw: Json, networks: Networks, exposes: bool, prefer_ipv6: bool = False) -> Addresses:
    """The addresses of a server as nova lists it. `exposes`: floating IPs are given where one is needed."""
    every = list(_read(raw))
    exposes = exposes and networks.floats and not networks.private
    fixed4 = [item for item in every if item.version == 4 and not item.floating]
    floating4 = next((item.text for item in every if item.version == 4 and item.floating), None)
    external4 = next((item.text for item in fixed4 if item.network in networks.external), None)
    private4 = _private(fixed4, networks)
    public4 = raw.get("accessIPv4") or external4 or floating4 or _routable(fixed4, networks)
    awaits = exposes and not public4 and bool(fixed4)
    if not public4 and not exposes:
        public4 = private4
    public6 = raw.get("accessIPv6") or _best6(every, networks)
    return Addresses(
        public4 or None,
        public6 or None,
        private4 or public4 or None,
        _connect(every, networks, private4, public6 if prefer_ipv6 else None, prefer_ipv6),
        awaits,
    )


def with_floating(raw: Json, address: str, fixed: str | None) -> Json:
    """The server as nova will list it once it knows of a floating IP for the address `fixed`."""
    listed: dict[str, list[Json]] = {name: list(items) for name, items in (raw.get("addresses") or {}).items()}
    if any(item.get("addr") == address for items in listed.values() for item in items):
        return raw
    names = [name for name, items in listed.items() if any(item.get("addr") == fixed for item in items)]
    name = next(iter([*names, *listed]), "")
    listed.setdefault(name, []).append({"addr": address, "version": 4, "OS-EXT-IPS:type": "floating"})
    return raw | {"addresses": listed}


def _read(raw: Json) -> Iterator[_Address]:
    """Every address that could ever be of use; what isn't one is passed over."""
    for network, items in (raw.get("addresses") or {}).items():
        for item in items or ():
            try:
                address = ipaddress.ip_address(item["addr"])
            except (ValueError, KeyError, TypeError):
                continue
            if address.version == 4 or not (address.is_link_local or address.is_loopback):
                yield _Address(network, item["addr"], address.version, item.get("OS-EXT-IPS:type") == "floating")


def _private(fixed4: Sequence[_Address], networks: Networks) -> str | None:
    """The first on a network that is known to be internal, else on any that isn't known to lead outside."""
    inside = [item.text for item in fixed4 if item.network in networks.internal]
    return next(iter(inside + [item.text for item in fixed4 if item.network not in networks.external]), None)


def _routable(fixed4: Sequence[_Address], networks: Networks) -> str | None:
    """A network called `public`, as some clouds have without neutron; else an address that the world can reach."""
    for item in fixed4:
        if item.network == "public" and item.network not in networks.internal:
            return item.text
    listed = [item.text for item in fixed4 if item.network not in networks.denied]
    return next((text for text in listed if ipaddress.ip_address(text).is_global), None)


def _best6(every: Iterable[_Address], networks: Networks) -> str | None:
    """The first on a network that leads outside, else the first that isn't only for this site (fc00::/7)."""

    def rank(item: _Address) -> tuple[bool, bool]:
        outside = item.network in networks.external6 or item.network == "public"
        return not outside, ipaddress.ip_address(item.text) in _UNIQUE_LOCAL

    found = sorted((item for item in every if item.version == 6), key=rank)
    return found[0].text if found else None


def _connect(
    every: Sequence[_Address], networks: Networks, private4: str | None, preferred6: str | None, prefer_ipv6: bool
) -> str | None:
    """Where clouds.yaml names a network to connect by, or says that a cloud is private, that counts."""
    if networks.default is not None:
        versions = (6, 4) if prefer_ipv6 else (4,)
        there = [item for item in every if item.network == networks.default and item.version in versions]
        if there:
            return min(there, key=lambda item: (versions.index(item.version), not item.floating)).text
    if networks.private and private4:
        return private4
    return preferred6
