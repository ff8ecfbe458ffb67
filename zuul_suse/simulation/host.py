# SPDX-License-Identifier: Apache-2.0
"""Plays what Nodepool does with the fleet: requests, ready nodes, launches and their retries, deletions.

Made by `Simulation`; its loops are virtual threads with Nodepool's own periods. It uses the fleet as the Nodepool shell
does and, like Nodepool, has one loop that advances all launches and one that advances all deletions. It has no leak
detection of its own: what the fleet forgets stays there and is counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from zuul_suse.datacenter import DatacenterError, Gone, Order, Quota
from zuul_suse.fleet import Demand, Fleet
from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.launch import CreateMachine
from zuul_suse.simulation.datacenter import NODE_MARK
from zuul_suse.simulation.demand import Wish
from zuul_suse.simulation.journal import Journal, Wait
from zuul_suse.simulation.node import DELETING, FAILED, READY, USED, Node, Request
from zuul_suse.simulation.scenario import Label, Scenario
from zuul_suse.simulation.virtual_threads import VirtualThreads

PASS = 1.0  # Nodepool's PoolWorker and its main loop
TURN = 0.25  # our shell's period for launches and deletions
CLEANING = 5.0  # Nodepool's DeletedNodeWorker
HANDLING = 0.03  # the PoolWorker's work for one request
EVICTION_PAUSE = 300.0  # Nodepool makes room by a ready node only if none went within this time
LAUNCH_TIMEOUT = 1800.0


class Host:
    """See the module."""

    def __init__(
        self, fleet: Fleet, scenario: Scenario, threads: VirtualThreads, journal: Journal, luck: Random
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.requests: list[Request] = []  # unfinished ones, in the order in which they are looked at
        self._fleet = fleet
        self._scenario = scenario
        self._threads = threads
        self._journal = journal
        self._luck = luck
        self._labels = {label.name: label for label in scenario.labels}
        self._demands = {
            (label.name, spare): self._demand(label, spare) for label in scenario.labels for spare in (False, True)
        }
        self._numbers = itertools.count(1)
        self._evicted_at = -EVICTION_PAUSE
        self._building: dict[str, Node] = {}
        self._spare: dict[str, dict[str, Node]] = {label.name: {} for label in scenario.labels}  # ready and nobody's
        self._dying: dict[str, Node] = {}

    def begin(self, wishes: Iterable[Wish]) -> None:
        """Start the loops, and have the requests come in their time."""
        for wish in wishes:
            self._threads.at(wish.at, lambda wish=wish: self._come(wish))  # type: ignore[misc]
        self._threads.start(self._every(PASS, self._work), "pool-worker")
        self._threads.start(self._every(PASS, self._keep_ready), "min-ready")
        self._threads.start(self._every(TURN, self._advance_launches), "create")
        self._threads.start(self._every(TURN, self._advance_deletions), "delete")
        self._threads.start(self._every(CLEANING, self._clean), "deleted-node-worker")

    def _every(self, period: float, work: Callable[[], object]) -> Callable[[], None]:
        def loop() -> None:
            while True:
                work()
                self._threads.sleep(period)

        return loop

    @property
    def building(self) -> int:
        """How many nodes are being launched."""
        return len(self._building)

    @property
    def ready(self) -> int:
        """How many nodes are ready and nobody's."""
        return sum(len(nodes) for nodes in self._spare.values())

    @property
    def waiting(self) -> int:
        """How many requests of users are not fulfilled."""
        return sum(not request.spare for request in self.requests)

    # Requests

    def _come(self, wish: Wish) -> None:
        request = Request(f"r{next(self._numbers):06d}", wish.at, list(wish.labels), wish.hold)
        # Requests for spare nodes are looked at last, as in Nodepool.
        place = sum(not known.spare for known in self.requests)
        self.requests.insert(place, request)

    def _work(self) -> None:
        """One pass of the PoolWorker."""
        now = self._threads.clock()
        full: set[tuple[str, ...]] = set()  # what didn't fit in this pass won't a moment later
        for request in list(self.requests):
            if request.nodes or request.done:
                continue
            shape = ("spare" if request.spare else "", *request.labels)
            if shape in full or not self._serve(request):
                full.add(shape)
                request.done = request.spare  # Nodepool declines it and asks again
        for request in self.requests:
            if request.nodes and all(node.state in (READY, FAILED) for node in request.nodes):
                self._finish(request, now)
        self.requests = [request for request in self.requests if not request.done]
        if full - {shape for shape in full if shape[0]}:
            self._make_room()

    def _serve(self, request: Request) -> bool:
        """All its nodes in one datacenter: where most of them are ready, else where there is room; False if nowhere."""
        if not request.spare:
            ready = self._ready_nodes(request.labels)
            for datacenter in sorted(ready, key=lambda name: -len(ready[name])):
                if self._take(request, ready[datacenter], datacenter):
                    return True
        return self._take(request, [], None)

    def _ready_nodes(self, labels: list[str]) -> dict[str, list[Node]]:
        """Unused nodes that such a request could have, by datacenter."""
        found: dict[str, list[Node]] = {}
        for label, count in Counter(labels).items():
            taken: Counter[str] = Counter()
            for node in self._spare[label].values():
                name = str(node.datacenter)
                if taken[name] < count and not self._fleet.members[name].is_out():
                    taken[name] += 1
                    found.setdefault(name, []).append(node)
        return found

    def _take(self, request: Request, ready: list[Node], datacenter: str | None) -> bool:
        """Claim room for what isn't ready, all in one step, then launch it."""
        missing = list((Counter(request.labels) - Counter(node.label for node in ready)).elements())
        if missing:
            keys = [f"{next(self._numbers):07d}" for _ in missing]
            demands = {key: self._demands[label, request.spare] for key, label in zip(keys, missing, strict=True)}
            others = {name: "" for name in self._fleet.members if datacenter not in (None, name)}
            datacenter = self._fleet.claim(demands, exclude=others).name
            if datacenter is None:
                return False
            self._threads.sleep(HANDLING)
            for key, label in zip(keys, missing, strict=True):
                self._launch(request, key, label, datacenter)
        for node in ready:
            del self._spare[node.label][node.key]
            node.request = request
            request.nodes.append(node)
        return True

    def _finish(self, request: Request, now: float) -> None:
        request.done = True
        request.failed = any(node.state == FAILED for node in request.nodes)
        if request.spare or request.failed:
            self._journal.failed += not request.spare
            for node in request.nodes:
                if node.state == FAILED:
                    self._release(node)
                else:
                    node.request = None
                    self._spare[node.label][node.key] = node
            return
        self._journal.waits.append(Wait(request.at, len(request.labels), now - request.at, request.launched))
        for node in request.nodes:
            node.state = USED
            self._threads.at(now + request.hold, lambda node=node: self._release(node))  # type: ignore[misc]

    def _release(self, node: Node) -> None:
        node.state = DELETING
        self._dying[node.key] = node

    def _make_room(self) -> None:
        """A ready node that nobody uses goes, the oldest first."""
        now = self._threads.clock()
        if now - self._evicted_at < EVICTION_PAUSE:
            return
        unused = [node for nodes in self._spare.values() for node in nodes.values()]
        if unused:
            oldest = min(unused, key=lambda node: node.key)
            del self._spare[oldest.label][oldest.key]
            self._release(oldest)
            self._evicted_at = now
            self._journal.evicted += 1

    def _keep_ready(self) -> None:
        """Ask for what is missing, label by label, when all that was asked for before is done with."""
        asked = {request.labels[0] for request in self.requests if request.spare}
        now = self._threads.clock()
        for label in self._labels.values():
            if label.name not in asked:
                for _ in range(label.min_ready - len(self._spare[label.name])):
                    self.requests.append(Request(f"s{next(self._numbers):06d}", now, [label.name], 0.0, spare=True))

    # Launches

    def _demand(self, label: Label, spare: bool) -> Demand:
        order = Order("node", "image", Quota(1, label.cpus, label.ram))

        def order_in(datacenter: str) -> Order | str:
            if label.datacenters and datacenter not in label.datacenters:
                return "the label isn't offered there"
            return order

        return Demand(order_in, label.weights, spare)

    def _node_demand(self, node: Node) -> Demand:
        """The label's, with the mark by which a server is known as this node's."""
        plain = self._demands[node.label, node.request is not None and node.request.spare]

        def order_in(datacenter: str) -> Order | str:
            order = plain.order(datacenter)
            if isinstance(order, str):
                return order
            return replace(order, name=f"np{node.key}", metadata={NODE_MARK: node.key})

        return replace(plain, order=order_in)

    def _launch(self, request: Request, key: str, label: str, prefer: str) -> None:
        node = Node(key, label, self._threads.clock(), request)
        self.nodes[key] = self._building[key] = node
        request.nodes.append(node)
        request.launched += 1
        self._journal.began += 1
        self._start_machine(node, prefer, ())

    def _start_machine(self, node: Node, prefer: str | None, avoid: tuple[str, ...]) -> None:
        node.attempts += 1
        node.attempt_began = self._threads.clock()
        node.machine = CreateMachine(
            self._fleet,
            node.key,
            self._node_demand(node),
            prefer=prefer,
            avoid=avoid,
            boot_timeout=self._scenario.boot_timeout,
            new_tag=lambda: f"{self._luck.getrandbits(64):016x}",
        )

    def _advance_launches(self) -> None:
        for node in list(self._building.values()):
            self._advance(node)

    def _advance(self, node: Node) -> None:
        if node.deletion is not None:  # of what a failed attempt left; Nodepool launches anew after it
            if not self._deleted(node.deletion):
                return
            node.deletion = None
            self._start_machine(node, None, (node.avoid,) if node.avoid else ())
        machine = node.machine
        if machine is None:
            return  # its ssh host keys are being read
        before = machine.datacenter
        try:
            if self._threads.clock() - node.attempt_began > LAUNCH_TIMEOUT:
                raise DatacenterError("launch-timeout")
            server = machine.advance()
        except DatacenterError:
            self._note_leaving(before, None)
            self._retry(node, machine)
            return
        node.address = machine.address
        if server is None:
            self._note_leaving(before, machine.datacenter)
            return
        node.machine = None
        node.datacenter = machine.datacenter
        self._journal.boots.append(self._threads.clock() - node.began)
        self._journal.launched[str(machine.datacenter)] += 1
        self._threads.at(self._threads.clock() + self._luck.uniform(1, 4), lambda: self._reached(node))

    def _note_leaving(self, before: str | None, after: str | None) -> None:
        if before is not None and before != after:
            self._journal.leavings.append((self._threads.clock(), before))

    def _reached(self, node: Node) -> None:
        node.state = READY
        del self._building[node.key]

    def _retry(self, node: Node, machine: CreateMachine) -> None:
        node.address, node.avoid = machine.address, machine.datacenter
        machine.abandon()
        if node.attempts >= self._scenario.launch_retries:
            node.machine, node.state = None, FAILED
            del self._building[node.key]
            return
        self._journal.retried += 1
        if node.address is not None:
            node.deletion = DeleteMachine(self._fleet, node.address)
        else:
            self._start_machine(node, None, (node.avoid,) if node.avoid else ())

    # Deletions

    def _clean(self) -> None:
        for node in list(self._dying.values()):
            if node.address is None:
                self._gone(node)
            elif node.deletion is None:
                node.deletion = DeleteMachine(self._fleet, node.address)

    def _advance_deletions(self) -> None:
        for node in list(self._dying.values()):
            if node.deletion is not None and self._deleted(node.deletion):
                self._gone(node)

    def _gone(self, node: Node) -> None:
        del self.nodes[node.key]
        del self._dying[node.key]

    @staticmethod
    def _deleted(machine: DeleteMachine) -> bool:
        try:
            return machine.advance()
        except Gone:
            return True
