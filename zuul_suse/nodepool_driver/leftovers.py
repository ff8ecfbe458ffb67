# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""What may have leaked: images, and ports, floating IPs and volumes that outlived their servers.

Nodepool's clean-up asks for all that bears the marks of a provider, compares with its records, and has deleted what it
found without an owner twice. Its one clean-up thread serves all providers and must not be held up: see `fleet.leaks`.
What bears no mark, or another provider's, is never even handed on. Servers whose node has another server by now are
found here too: a launch left them, and the launcher that knew of it is gone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from nodepool.driver import statemachine
from nodepool.zk import zookeeper

from zuul_suse.datacenter import Belonging, DatacenterError, Gone, Image
from zuul_suse.fleet import Fleet, Member, split_server

SETTLED = (zookeeper.READY, zookeeper.IN_USE, zookeeper.USED, zookeeper.HOLD)


class SuseResource(statemachine.Resource):  # type: ignore[misc]
    """A server, an image or a belonging of a server, for Nodepool to find those that leaked."""

    def __init__(
        self,
        metadata: Mapping[str, str],
        kind: str,
        datacenter: str,
        external_id: str,
        belonging: Belonging | None = None,
    ) -> None:
        super().__init__(dict(metadata), kind)
        self.datacenter = datacenter
        self.external_id = external_id
        self.belonging = belonging


def list_leftovers(fleet: Fleet, log: logging.Logger) -> Iterator[SuseResource]:
    """Images and belongings of all datacenters, one round of them: see `fleet.leaks`."""
    for member, found in fleet.leaks.round(log):
        if isinstance(found, Image):
            yield SuseResource(found.metadata, "image", member.name, found.id)
        else:
            yield SuseResource(found.metadata, found.kind, member.name, found.id, found)


def delete_leftover(member: Member, resource: SuseResource, log: logging.Logger) -> None:
    """Begin to delete it."""
    what = f"{resource.type} {resource.external_id} in datacenter {member.name}"
    log.info("Deleting leaked %s", what)
    if resource.type == "instance":
        member.reaper.abandon(resource.external_id)
        member.poller.wake()
        return

    def delete() -> None:
        try:
            if resource.belonging is not None:
                member.datacenter.delete_belonging(resource.belonging)
            else:
                member.datacenter.delete_image(resource.external_id)
        except Gone:
            log.info("Leaked %s is gone already", what)
        except DatacenterError as error:
            member.heed(error)
            log.warning("Can't delete leaked %s, will try again: %s", what, error)

    member.call(delete)


class Deserted:
    """Servers of nodes that are settled on another one; a server that is found twice is given to the reaper.

    Only a node's own server proves that: it is listed too, by the id in the node's record, and bears the node's mark.
    Which datacenter the record names proves nothing: it may have been renamed, be listed under two names, be known to
    another launcher only, or the record may be another driver's.
    """

    def __init__(self, provider: str, fleet: Fleet, log: logging.Logger) -> None:
        self._provider = provider
        self._fleet = fleet
        self._log = log
        self._suspects: set[str] = set()

    def look(self, zk: Any) -> None:
        """One round, in Nodepool's clean-up thread; reads memory only."""
        listed: dict[str, dict[str, str]] = defaultdict(dict)  # addresses of a node's servers by their ids
        for address, server in self._fleet.servers():
            if server.metadata.get("nodepool_provider_name") == self._provider:
                listed[server.metadata.get("nodepool_node_id", "")][server.id] = address
        found = set()
        for node in zk.nodeIterator(cached_ids=True):
            if node.provider != self._provider or node.state not in SETTLED:
                continue
            servers = listed.get(node.id, {})
            own = split_server(node.external_id)[1]
            if own in servers:
                found |= {address for server_id, address in servers.items() if server_id != own}
        for address in found & self._suspects:
            datacenter, server_id = split_server(address)
            self._log.info("Server %s was left by its launch: its node has another one", address)
            self._fleet.member(datacenter).reaper.abandon(server_id)
            self._fleet.member(datacenter).poller.wake()
        self._suspects = found
