# SPDX-License-Identifier: Apache-2.0
"""Floating IPs: one per server of ours, marked in its description with the server and Nodepool's node.

Called in worker threads: `attach` once a server is active (two requests: its port, the new address), `detach` before
it is deleted (one request, if this process attached it). What a killed process left behind is found by the mark.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from zuul_suse.datacenter import Belonging, TryElsewhere
from zuul_suse.datacenter.openstack.catalog import Catalog
from zuul_suse.datacenter.openstack.mark import mark_of, read_mark
from zuul_suse.datacenter.openstack.session import Json, Region


class FloatingIPs:
    """See the module."""

    def __init__(self, place: str, region: Region, catalog: Catalog, network: str | None) -> None:
        self._place = place
        self._region = region
        self._catalog = catalog
        self._network = network
        self._lock = threading.Lock()  # worker threads attach and detach
        self._of_server: dict[str, str] = {}

    def attach(self, server_id: str, metadata: Mapping[str, str]) -> str:
        """Make an address for the server and return it."""
        network = self._catalog.external_network_id(self._network)
        ports = self._region.all("network", "/ports", "ports", {"device_id": server_id})
        port, fixed = _port_of(ports)
        if port is None:
            raise TryElsewhere(f"{self._place}: server {server_id} has no port with an IPv4 address")
        body: Json = {
            "floating_network_id": network,
            "port_id": port,
            "fixed_ip_address": fixed,
            "description": mark_of(server_id, metadata),
        }
        answer = self._region.call("network", "POST", "/floatingips", json={"floatingip": body})
        made = self._region.json(answer)["floatingip"]
        with self._lock:
            self._of_server[server_id] = made["id"]
        return str(made["floating_ip_address"])

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


def _port_of(ports: list[Json]) -> tuple[str | None, str | None]:
    """The first port with an IPv4 address, and that address."""
    for port in ports:
        for fixed in port.get("fixed_ips") or []:
            if ":" not in fixed["ip_address"]:
                return str(port["id"]), str(fixed["ip_address"])
    return None, None
