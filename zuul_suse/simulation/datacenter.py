# SPDX-License-Identifier: Apache-2.0
"""A fake datacenter in virtual time: it has latency, boot times that vary, others' servers, and outages.

Made by `Simulation`, one per site; `plan_outages` has its outages begin and end. What it counts here is the truth that
a run is judged by: what was asked of it, what is in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from zuul_suse.datacenter import Order, Quota, Server, ServerState, TryElsewhere
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.simulation.scenario import LOST_ANSWERS, SLOW, Outage, Site
from zuul_suse.simulation.virtual_threads import VirtualThreads

CALLS_STRUCK = {"unreachable", "black-hole", "too-many-requests", SLOW}  # the others concern creating only
TIMEOUT = 60.0  # after which a client gives a call up that nobody answers
NODE_MARK = "nodepool_node_id"


class PlayedDatacenter(FakeDatacenter):
    """See the module."""

    SLOWER, BOOTS_SLOWER = 25.0, 2.5

    def __init__(self, site: Site, threads: VirtualThreads, luck: Random) -> None:
        super().__init__(
            site.name,
            # Cores and RAM are as scarce as servers are, for nodes somewhat larger than the usual one.
            {"max-servers": site.max_servers, "max-cores": site.max_servers * 5, "max-ram": site.max_servers * 10240},
            clock=threads.clock,
        )
        self.site = site
        self.created = 0
        self.creates_at: list[float] = []
        self._threads = threads
        self._luck = luck
        self._active: list[Outage] = []
        self._known: dict[str, Server] = {}
        self._listing: list[Server] | None = None  # until something changes
        self._changes_at = math.inf
        self.released = threads.signal()  # type: ignore[assignment]
        for number in range(site.foreign):
            self._servers.put(
                f"foreign-{number}", {"name": f"foreign-{number}", "need": [1, 4, 8192], "metadata": {"owner": "other"}}
            )

    def plan_outages(self, outages: Sequence[Outage]) -> None:
        """Have those that concern this datacenter begin and end in their time."""
        for outage in outages:
            if self.name in outage.datacenters:
                self._threads.at(outage.at, lambda outage=outage: self._active.append(outage))  # type: ignore[misc]
                self._threads.at(outage.end, lambda outage=outage: self._active.remove(outage))  # type: ignore[misc]

    # Truth

    def ours(self) -> dict[str, str]:
        """Id and node of the servers in it that bear our mark."""
        records = self._servers.all().items()
        return {key: record["metadata"][NODE_MARK] for key, record in records if NODE_MARK in record["metadata"]}

    def foreign(self) -> int:
        """How many of others' servers are still there."""
        return sum("owner" in record["metadata"] for record in self._servers.all().values())

    def room_for_us(self) -> Quota:
        """What fits beside others' servers."""
        return self.limits_unchecked() - Quota(self.site.foreign, self.site.foreign * 4, self.site.foreign * 8192)

    def load(self) -> float:
        """The part of the room for servers that is taken."""
        return len(self._servers.all()) / self.site.max_servers

    # Calls

    def _play_fault(self, call: str) -> str:
        fault = self._strikes(call)
        self._travel(fault, 1 if call in ("create", "delete") else 2)
        self.fault = "none" if fault in (SLOW, LOST_ANSWERS) else fault
        if call == "create":
            self._prepare(fault)
        return super()._play_fault(call)

    def _strikes(self, call: str) -> str:
        """The fault that this call meets."""
        for outage in self._active:
            concerned = call == "create" or outage.fault in CALLS_STRUCK
            if concerned and (outage.share >= 1 or self._luck.random() < outage.share):
                return outage.fault
        return "none"

    def _travel(self, fault: str, halves: int = 1) -> None:
        """Half of the way: what changes something takes time before and after it does. Lists go all of it at once."""
        slowness = self.SLOWER if fault == SLOW else 1.0
        self._threads.sleep(self.site.latency * slowness * halves * self._luck.uniform(0.4, 0.7))

    def _prepare(self, fault: str) -> None:
        """Note the create call, and how long its server will take."""
        self.creates_at.append(self._threads.clock())
        slowness = self.BOOTS_SLOWER if fault == SLOW else 1.0
        self._options["boot-delay"] = self.site.boot_time * slowness * math.exp(self._luck.gauss(0, 0.2))

    def create(self, order: Order) -> str:
        fault = self._strikes("create")
        server_id = super().create(order)
        self._listing = None
        self.created += 1
        self._travel(fault)
        if fault == LOST_ANSWERS:
            self.released.wait(TIMEOUT)
            raise TryElsewhere(f"{self.name}: timed out")
        return server_id

    def delete(self, server_id: str) -> None:
        super().delete(server_id)
        self._known.pop(server_id, None)
        self._listing = None
        self._travel("none")

    def _read_servers(self) -> list[Server]:
        """As ever, but put together anew only when something has changed: a day has half a million lists."""
        if self._listing is None or self._clock() >= self._changes_at:
            self._changes_at = math.inf
            self._listing = super()._read_servers()
        return self._listing

    def _server(self, server_id: str, record: dict[str, Any]) -> Server:
        server = self._known.get(server_id)
        if server is None or server.state is ServerState.BUILDING:
            server = self._known[server_id] = super()._server(server_id, record)
            if server.state is ServerState.BUILDING and record["active-at"] is not None:
                self._changes_at = min(self._changes_at, record["active-at"])
        return server
