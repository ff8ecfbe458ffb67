# SPDX-License-Identifier: Apache-2.0
"""Plays what Nodepool and our shell in it do with requests: who is served from where, who waits, who makes way.

Made by `Simulation`; its loops are virtual threads with Nodepool's own periods. A request's nodes come from one
datacenter, ready ones where most of them are, and room for the others is claimed in one step; one that fits nowhere
waits in the fleet's own queue and holds nobody up. See nodepool_driver/handler.py, which does this in a real Nodepool.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
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
LOOK = 5.0  # at the latest after so long what didn't fit is tried again though nothing has changed
HANDLING = 0.03  # the PoolWorker's work for one request
PATIENCE = 60.0  # our shell's default
GOING = 300.0  # for so long a node that is being deleted is worth waiting for
POOL, RANK = "main", ("100",)

Shape = tuple[bool, tuple[str, ...]]  # what a request asks for: spare or not, and its labels


class Host:
    """See the module."""

    def __init__(
        self, fleet: Fleet, scenario: Scenario, threads: VirtualThreads, journal: Journal, luck: Random
    ) -> None:
        self.launcher = Launcher(fleet, scenario, threads, journal, luck)
        self._waiting: dict[Shape, deque[Request]] = {}  # in the order in which they came
        self._fresh: list[Request] = []  # those of them that no pass has looked at yet
        self._full: set[Shape] = set()  # what didn't fit
        self._full_since: object = None  # as things stood then
        self._begun: list[Request] = []  # their nodes are chosen and aren't all ready yet
        self._queued: set[str] = set()  # keys of launches that are in the queue
        self._fleet = fleet
        self._threads = threads
        self._journal = journal
        self._labels = {label.name: label for label in scenario.labels}
        self._numbers = itertools.count(1)
        self._queue = Queue(fleet, PATIENCE, self._spare_in, forgotten=math.inf)

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
        return len(self.unfulfilled())

    def unfulfilled(self) -> list[Request]:
        """Requests of users that are not fulfilled."""
        waiting = [request for (spare, _), line in self._waiting.items() if not spare for request in line]
        return waiting + [request for request in self._begun if not request.spare]

    # Requests

    def _come(self, wish: Wish) -> None:
        self._ask(Request(f"r{next(self._numbers):06d}", wish.at, list(wish.labels), wish.hold))

    def _ask(self, request: Request) -> None:
        self._waiting.setdefault((request.spare, tuple(request.labels)), deque()).append(request)
        self._fresh.append(request)

    def _work(self) -> None:
        """One pass of the PoolWorker: in order, those of users first. What didn't fit doesn't while nothing changes, so
        of those that ask for the same only the first is tried; it is the one, too, that room may be promised to."""
        self._queue_launches()
        self._make_way()
        self._look_around()
        heads = [(shape[0], line[0].key, shape) for shape, line in self._waiting.items()]
        heapq.heapify(heads)
        while heads:
            *_, shape = heapq.heappop(heads)
            line = self._waiting[shape]
            if shape in self._full or not self._serve(line[0]):
                self._full.add(shape)
                self._put_off(shape)
                continue
            self._begun.append(line.popleft())
            if line:
                heapq.heappush(heads, (shape[0], line[0].key, shape))
            else:
                del self._waiting[shape]
        for request in self._fresh:
            if not request.spare and not request.nodes:
                self._wait(request)
        self._fresh.clear()
        now = self._threads.clock()
        for request in self._begun:
            if request.group is not None and request.group.datacenter not in (None, request.datacenter):
                self._follow(request, request.group.datacenter)
            if all(node.state in (READY, FAILED) for node in request.nodes):
                self._finish(request, now)
        self._begun = [request for request in self._begun if request.nodes and not request.done]

    def _look_around(self) -> None:
        """Whether anything has changed by which something may fit now; some of it does so by time alone."""
        first = self._queue.first(POOL)
        promised = None if first is None else (first.key, first.target)
        standing = [member.standing() for member in self._fleet.members.values()]
        now = (standing, promised, self.launcher.changes, self._threads.clock() // LOOK)
        if now != self._full_since:
            self._full_since = now
            self._full.clear()

    def _put_off(self, shape: Shape) -> None:
        if shape[0]:
            del self._waiting[shape]  # Nodepool declines them and asks again
        else:
            self._wait(self._waiting[shape][0])

    def _wait(self, request: Request) -> None:
        demands = [self.launcher.demand(label, False) for label in request.labels]
        self._queue.wait(request.key, POOL, RANK, demands, lacks_pool=False)

    def _queue_launches(self) -> None:
        """A launch that left one place and finds no room elsewhere waits like a request: else all would overtake it."""
        waiting = set()
        for node in self.launcher.building.values():
            spare = node.request is None or node.request.spare
            wanted = node.machine.wanted() if node.machine is not None and not spare else []
            if wanted:
                self._queue.wait(node.key, POOL, RANK, wanted, lacks_pool=False)
                waiting.add(node.key)
        for key in self._queued - waiting:
            self._queue.leave(key)
        self._queued = waiting

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
        failed = any(node.state == FAILED for node in request.nodes)
        demands = [self.launcher.demand(label, request.spare) for label in request.labels]
        taken_back = failed and not request.spare and self._fleet.takes_back(request.key, demands)
        request.done = not taken_back
        if request.spare or failed:
            self._journal.failed += not request.spare and not taken_back
            for node in request.nodes:
                if node.state == FAILED:
                    self.launcher.release(node)
                else:
                    self.launcher.give_back(node)
            request.nodes, request.reused, request.group = [], [], None
            if taken_back:
                self._waiting.setdefault((request.spare, tuple(request.labels)), deque()).appendleft(request)
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
        asked = {labels[0] for spare, labels in self._waiting if spare}
        asked |= {request.labels[0] for request in self._begun if request.spare}
        now = self._threads.clock()
        for label in self._labels.values():
            if label.name not in asked and (True, (label.name,)) not in self._full:
                for _ in range(label.min_ready - len(self.launcher.spare[label.name])):
                    self._ask(Request(f"s{next(self._numbers):06d}", now, [label.name], 0.0, spare=True))
