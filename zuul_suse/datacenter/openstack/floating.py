# SPDX-License-Identifier: Apache-2.0
"""Floating IPs: one per server of ours, marked in its description with the server and Nodepool's node.

Called in worker threads: `attach` once a server is active (two requests: its ports, the new address), `detach` before
it is deleted (one request, if this process attached it). What a killed process left behind is found by the mark.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from zuul_suse.datacenter import Belonging, DatacenterError, Gone, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.catalog import Catalog
from zuul_suse.datacenter.openstack.mark import mark_of, read_mark
from zuul_suse.datacenter.openstack.session import Json, Region

REMEMBERED = 20_000  # servers with an address
_UNREACHABLE = "not reachable from subnet"  # neutron's ExternalGatewayForFloatingIPNotFound


@dataclass(frozen=True)
class Given:
    """A floating IP and the server's own address behind it."""

    address: str
    fixed: str


@dataclass(frozen=True)
class _Port:
    id: str
    network: str | None
    fixed: str
    created: str


class FloatingIPs:
    """See the module."""

    def __init__(self, place: str, region: Region, catalog: Catalog, network: str | None) -> None:
        self._place = place
        self._region = region
        self._catalog = catalog
        self._network = network
        self._lock = threading.Lock()  # worker threads attach and detach
        self._of_server: dict[str, str] = {}
        self._routed: str | None = None  # a network whose port was given an address

    def attach(self, server_id: str, metadata: Mapping[str, str]) -> Given:
        """Make an address for the server. Of several ports neutron refuses those that no router leads to."""
        network = self._catalog.external_network_id(self._network)
        description = mark_of(server_id, metadata)
        if description is None:  # an address without the node's mark would never be found again
            raise WrongConfiguration(f"{self._place}: the provider's name is too long to mark a floating IP with")
        refusal: DatacenterError | None = None
        for port in self._ports(server_id, network):
            body: Json = {
                "floating_network_id": network,
                "port_id": port.id,
                "fixed_ip_address": port.fixed,
                "description": description,
            }
            try:
                answer = self._region.call("network", "POST", "/floatingips", json={"floatingip": body})
            except Gone as error:
                if _UNREACHABLE not in str(error):
                    raise TryElsewhere(str(error)) from error  # the port or the server went meanwhile
                refusal = WrongConfiguration(str(error))
                continue
            floating, address = self._region.made(answer, "floatingip", "id", "floating_ip_address")
            with self._lock:
                self._of_server[server_id] = floating
                self._routed = port.network
                while len(self._of_server) > REMEMBERED:  # of servers that went without our doing
                    self._of_server.pop(next(iter(self._of_server)))
            return Given(address, port.fixed)
        raise refusal or TryElsewhere(f"{self._place}: server {server_id} has no port with an IPv4 address")

    def _ports(self, server_id: str, external: str) -> list[_Port]:
        """The server's ports that can have a floating IP, the best first.

        Of several the newest on the network that is `nat_destination` in clouds.yaml, as in openstacksdk; without that
        first one on a network where it worked last, then the oldest.
        """
        ports = _ports_of(self._region.all("network", "/ports", "ports", {"device_id": server_id}))
        ports = [port for port in ports if port.network != external]
        if len(ports) < 2:
            return ports
        ports.sort(key=lambda port: port.created)
        destination = self._catalog.nat_destination()
        if destination is None:
            return sorted(ports, key=lambda port: port.network != self._routed)
        there = [port for port in reversed(ports) if port.network == destination]
        if not there:
            raise WrongConfiguration(
                f"{self._place}: server {server_id} has no port on network {destination}, which is nat_destination in"
                " clouds.yaml"
            )
        return there

    def detach(self, server_id: str) -> None:
        """Delete the address that this process gave the server, if any."""
        with self._lock:
            floating = self._of_server.pop(server_id, None)
        if floating is not None:
            self._region.call("network", "DELETE", f"/floatingips/{floating}", ok=(404,))

    def marked(self) -> list[Belonging]:
        """All addresses with our mark, in use or not."""
        found = []
        for raw in self._region.all("network", "/floatingips", "floatingips"):
            read = read_mark(raw.get("description"))
            if read is not None:
                found.append(Belonging("floating-ip", raw["id"], read[0], read[1]))
        return found


def _ports_of(listed: list[Json]) -> list[_Port]:
    """Ports with an IPv4 address; of each its first one."""
    ports = []
    for raw in listed:
        for fixed in raw.get("fixed_ips") or []:
            address = str(fixed.get("ip_address") or ":")
            if ":" not in address:
                created = str(raw.get("created_at") or "")
                ports.append(_Port(str(raw["id"]), raw.get("network_id"), address, created))
                break
    return ports
