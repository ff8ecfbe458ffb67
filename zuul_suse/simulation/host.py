# SPDX-License-Identifier: Apache-2.0
"""Plays what Nodepool and our shell in it do with requests: who is served from where, who waits, who makes way.

Made by `Simulation`; its loops are virtual threads with Nodepool's own periods. A request's nodes come from one
datacenter, ready ones where most of them are, and room for the others is claimed in one step; one that fits nowhere
waits in the fleet's own queue and holds nobody up. See nodepool_driver/handler.py, which does this in a real Nodepool.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random

from zuul_suse.datacenter import Quota, total
from zuul_suse.fleet import Fleet
from zuul_suse.fleet.queue import SPARE_RANK, Queue
from zuul_suse.simulation.demand import Wish
from zuul_suse.simulation.journal import Journal, Wait
from zuul_suse.simulation.launcher import Launcher
from zuul_suse.simulation.node import FAILED, READY, USED, Node, Request
from zuul_suse.simulation.scenario import Scenario
from zuul_suse.simulation.virtual_threads import VirtualThreads

PASS = 1.0  # Nodepool's PoolWorker and its main loop
HANDLING = 0.03  # the PoolWorker's work for one request
PATIENCE = 60.0  # our shell's default
GOING = 300.0  # for so long a node that is being deleted is worth waiting for
POOL, RANK = "main", ("100",)


class Host:
    """See the module."""

    def __init__(
        self, fleet: Fleet, scenario: Scenario, threads: VirtualThreads, journal: Journal, luck: Random
    ) -> None:
        self.launcher = Launcher(fleet, scenario, threads, journal, luck)
        self.requests: list[Request] = []  # unfinished ones, in the order in which they are looked at
        self._fleet = fleet
        self._threads = threads
        self._journal = journal
        self._labels = {label.name: label for label in scenario.labels}
        self._numbers = itertools.count(1)
        self._queue = Queue(fleet, PATIENCE, self._spare_in)

    def begin(self, wishes: Iterable[Wish]) -> None:
        """Start the loops, and have the requests come in their time."""
        for wish in wishes:
            self._threads.at(wish.at, lambda wish=wish: self._come(wish))  # type: ignore[misc]
        self._threads.start(self._every_pass(self._work), "pool-worker")
        self._threads.start(self._every_pass(self._keep_ready), "min-ready")
        self.launcher.begin()

    def _every_pass(self, work: Callable[[], object]) -> Callable[[], None]:
        def loop() -> None:
            while True:
                work()
                self._threads.sleep(PASS)

        return loop

    @property
    def ready(self) -> int:
        """How many nodes are ready and nobody's."""
        return sum(len(nodes) for nodes in self.launcher.spare.values())

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
        self._queue_launches()
        self._make_way()
        full: set[tuple[str, ...]] = set()  # what didn't fit in this pass won't a moment later
        for request in list(self.requests):
            if request.nodes or request.done:
                continue
            shape = ("spare" if request.spare else "", *request.labels)
            first = self._queue.first(POOL)
            known = shape in full and not (first is not None and first.key == request.key)
            if known or not self._serve(request):
                full.add(shape)
                self._put_off(request)
        now = self._threads.clock()
        for request in self.requests:
            if request.group is not None and request.group.datacenter not in (None, request.datacenter):
                self._follow(request, request.group.datacenter)
            if request.nodes and all(node.state in (READY, FAILED) for node in request.nodes):
                self._finish(request, now)
        self.requests = [request for request in self.requests if not request.done]

    def _queue_launches(self) -> None:
        """A launch that left one place and finds no room elsewhere waits like a request: else all would overtake it."""
        for node in self.launcher.building.values():
            spare = node.request is None or node.request.spare
            wanted = node.machine.wanted() if node.machine is not None and not spare else []
            if wanted:
                self._queue.wait(node.key, POOL, RANK, wanted, lacks_pool=False)
            else:
                self._queue.leave(node.key)

    def _put_off(self, request: Request) -> None:
        if request.spare:
            request.done = True  # Nodepool declines it and asks again
        else:
            demands = [self.launcher.demand(label, False) for label in request.labels]
            self._queue.wait(request.key, POOL, RANK, demands, lacks_pool=False)

    def _serve(self, request: Request) -> bool:
        """All its nodes in one datacenter: where most of them are ready, else where there is room; False if nowhere."""
        closed = self._queue.closed_to(request.key, POOL, SPARE_RANK if request.spare else RANK, request.spare) or {}
        if not request.spare:
            ready = self._ready_nodes(request.labels)
            for datacenter in sorted(ready, key=lambda name: -len(ready[name])):
                if self._take(request, ready[datacenter], datacenter, closed):
                    return True
        return self._take(request, [], None, closed)

    def _ready_nodes(self, labels: list[str]) -> dict[str, list[Node]]:
        """Unused nodes that such a request could have, by datacenter."""
        found: dict[str, list[Node]] = {}
        for label, count in Counter(labels).items():
            taken: Counter[str] = Counter()
            for node in self.launcher.spare[label].values():
                name = str(node.datacenter)
                if taken[name] < count and not self._fleet.members[name].is_out():
                    taken[name] += 1
                    found.setdefault(name, []).append(node)
        return found

    def _take(self, request: Request, ready: list[Node], datacenter: str | None, closed: Mapping[str, str]) -> bool:
        """Claim room for what isn't ready, all in one step, then launch it."""
        missing = list((Counter(request.labels) - Counter(node.label for node in ready)).elements())
        if missing:
            keys = [f"{next(self._numbers):07d}" for _ in missing]
            wanted = {key: self.launcher.demand(label, request.spare) for key, label in zip(keys, missing, strict=True)}
            others = {name: "" for name in self._fleet.members if datacenter not in (None, name)}
            datacenter = self._fleet.claim(wanted, exclude={**others, **closed}).name
            if datacenter is None:
                return False
            request.group, request.datacenter = self._fleet.group_of(keys[0]), datacenter
            self._threads.sleep(HANDLING)
            for key, label in zip(keys, missing, strict=True):
                self.launcher.launch(request, key, label, datacenter)
        for node in ready:
            self.launcher.take(node, request)
        if request.group is not None and datacenter is not None:
            kept = {f"{request.key}:{node.key}": self.launcher.demand(node.label, request.spare) for node in ready}
            self._fleet.keep(request.group, kept, datacenter)
        self._queue.leave(request.key)
        return True

    def _follow(self, request: Request, datacenter: str) -> None:
        """Its launches have moved: give ready nodes back, and make others where the launches are now."""
        reused, request.reused, request.datacenter = request.reused, [], datacenter
        for node in reused:
            request.nodes.remove(node)
            self.launcher.give_back(node)
            key = f"{next(self._numbers):07d}"
            self._fleet.rename(f"{request.key}:{node.key}", key)
            self._fleet.join(request.group, key, self.launcher.demand(node.label, request.spare))
            self.launcher.launch(request, key, node.label, datacenter)
        if request.group is not None:
            self._fleet.keep(request.group, {}, datacenter)

    def _finish(self, request: Request, now: float) -> None:
        request.done = True
        failed = any(node.state == FAILED for node in request.nodes)
        if request.spare or failed:
            self._journal.failed += not request.spare
            for node in request.nodes:
                if node.state == FAILED:
                    self.launcher.release(node)
                else:
                    self.launcher.give_back(node)
            return
        self._journal.waits.append(Wait(request.at, len(request.labels), now - request.at, request.launched))
        for node in request.nodes:
            node.state = USED
            self._threads.at(now + request.hold, lambda node=node: self.launcher.release(node))  # type: ignore[misc]

    # Spare nodes

    def _spare_in(self, datacenter: str) -> Quota:
        """What the unused nodes in a datacenter take."""
        spare = [node for nodes in self.launcher.spare.values() for node in nodes.values()]
        labels = [self._labels[node.label] for node in spare if node.datacenter == datacenter]
        return total(Quota(1, label.cpus, label.ram) for label in labels)

    def _make_way(self) -> None:
        """The oldest unused node in the datacenter that was promised to a request, one at a time."""
        first = self._queue.first(POOL)
        if first is None or first.target is None:
            return
        now = self._threads.clock()
        if any(
            node.datacenter == first.target and now - node.released_at < GOING for node in self.launcher.dying.values()
        ):
            return
        unused = [node for nodes in self.launcher.spare.values() for node in nodes.values()]
        oldest = min((node for node in unused if node.datacenter == first.target), key=lambda n: n.key, default=None)
        if oldest is not None:
            self.launcher.release(oldest)
            self._journal.evicted += 1

    def _keep_ready(self) -> None:
        """Ask for what is missing, label by label, when all that was asked for before is done with."""
        asked = {request.labels[0] for request in self.requests if request.spare}
        now = self._threads.clock()
        for label in self._labels.values():
            if label.name not in asked:
                for _ in range(label.min_ready - len(self.launcher.spare[label.name])):
                    self.requests.append(Request(f"s{next(self._numbers):06d}", now, [label.name], 0.0, spare=True))
