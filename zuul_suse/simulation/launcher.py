# SPDX-License-Identifier: Apache-2.0
"""Plays what Nodepool does with nodes: launches and their retries, ready nodes that nobody has yet, deletions.

Owned by `host.Host`. As in our shell one loop advances all launches and one all deletions, when there is news
for them. It has no leak detection of its own: what the fleet forgets stays there and is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from zuul_suse.datacenter import DatacenterError, Gone, Order, Quota
from zuul_suse.fleet import Demand, Fleet
from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.launch import CreateMachine
from zuul_suse.simulation.datacenter import NODE_MARK
from zuul_suse.simulation.journal import Journal
from zuul_suse.simulation.node import DELETING, FAILED, READY, Node, Request
from zuul_suse.simulation.scenario import Label, Scenario
from zuul_suse.simulation.virtual_threads import BlockedError, VirtualSignal, VirtualThreads

TURN = 1.0  # our shell looks at launches and deletions when there is news, and so often
CLEANING = 5.0  # Nodepool's DeletedNodeWorker
SCAN = (1.0, 4.0)  # seconds until a server's ssh answered with its host keys
LAUNCH_TIMEOUT = 1800.0


class Launcher:
    """See the module."""

    def __init__(
        self, fleet: Fleet, scenario: Scenario, threads: VirtualThreads, journal: Journal, luck: Random
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.spare: dict[str, dict[str, Node]] = {label.name: {} for label in scenario.labels}  # ready and nobody's
        self.changes = 0  # of the ready nodes
        self.building: dict[str, Node] = {}
        self.dying: dict[str, Node] = {}
        self._demands = {
            (label.name, spare): _demand(label, spare) for label in scenario.labels for spare in (False, True)
        }
        self._fleet = fleet
        self._scenario = scenario
        self._threads = threads
        self._journal = journal
        self._luck = luck
        self._work = [(self.building, threads.signal()), (self.dying, threads.signal())]

    def begin(self) -> None:
        """Start the loops."""
        for member in self._fleet.members.values():
            member.on_news = self._hear
        for (nodes, news), advance in zip(self._work, (self._advance_launch, self._advance_deletion), strict=True):
            self._threads.start(partial(self._turn, nodes, news, advance), "turn")
        self._threads.start(self._clean, "deleted-node-worker")

    def _hear(self) -> None:
        """There is an answer, a list or a new node."""
        for nodes, news in self._work:
            if nodes:
                news.set()

    def _turn(self, nodes: dict[str, Node], news: VirtualSignal, advance: Callable[[Node], None]) -> None:
        while True:
            news.clear()
            began = self._threads.clock()
            for node in list(nodes.values()):
                advance(node)
            if self._threads.clock() != began:
                raise BlockedError("a state machine's advance waited for something")
            news.wait(TURN if nodes else None)

    # Nodes

    def demand(self, label: str, spare: bool) -> Demand:
        """What a node of this label wants."""
        return self._demands[label, spare]

    def launch(self, request: Request, key: str, label: str, prefer: str) -> None:
        """Begin to make a node for a request; room was claimed under the key."""
        node = Node(key, label, self._threads.clock(), request)
        self.nodes[key] = self.building[key] = node
        request.nodes.append(node)
        request.launched += 1
        self._journal.began += 1
        self._start_machine(node, prefer)
        self._hear()

    def take(self, node: Node, request: Request) -> None:
        """A ready node goes to a request."""
        del self.spare[node.label][node.key]
        self.changes += 1
        node.request = request
        request.nodes.append(node)
        request.reused.append(node)

    def give_back(self, node: Node) -> None:
        """A ready node is nobody's."""
        node.request = None
        self.changes += 1
        self.spare[node.label][node.key] = node

    def release(self, node: Node) -> None:
        """A node is to be deleted."""
        self.spare[node.label].pop(node.key, None)
        self.changes += 1
        node.state, node.released_at = DELETING, self._threads.clock()
        self.dying[node.key] = node

    # Launches

    def _start_machine(self, node: Node, prefer: str | None = None) -> None:
        plain = self._demands[node.label, node.request is not None and node.request.spare]

        def order_in(datacenter: str) -> Order | str:
            order = plain.order(datacenter)
            if isinstance(order, str):
                return order
            return replace(order, name=f"np{node.key}", metadata={NODE_MARK: node.key})

        node.attempts += 1
        node.attempt_began = self._threads.clock()
        node.machine = CreateMachine(
            self._fleet,
            node.key,
            replace(plain, order=order_in),
            prefer=prefer,
            avoid=(node.avoid,) if node.avoid else (),
            boot_timeout=self._scenario.boot_timeout,
            checked=True,
            new_tag=lambda: f"{self._luck.getrandbits(64):016x}",
        )

    def _advance_launch(self, node: Node) -> None:
        if node.deletion is not None:  # of what a failed attempt left; Nodepool launches anew after it
            if not _deleted(node.deletion):
                return
            node.deletion = None
            self._start_machine(node)
        machine = node.machine
        if machine is None:
            return
        if node.scanned_at is not None and machine.has_moved:  # it begins again where its request is now
            node.scanned_at, node.attempt_began = None, self._threads.clock()
        if node.scanned_at is not None:
            self._check(node, machine, node.scanned_at)
        elif machine.stirs():
            self._advance_machine(node, machine)

    def _advance_machine(self, node: Node, machine: CreateMachine) -> None:
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
        node.datacenter = machine.datacenter
        self._journal.boots.append(self._threads.clock() - node.began)
        node.scanned_at = self._threads.clock() + self._luck.uniform(*SCAN)
        self._threads.at(node.scanned_at, self._hear)

    def _note_leaving(self, before: str | None, after: str | None) -> None:
        if before is not None and before != after:
            self._journal.leavings.append((self._threads.clock(), before))

    def _check(self, node: Node, machine: CreateMachine, scanned_at: float) -> None:
        """Its ssh host keys are there; it is ready when all nodes of its request are."""
        if self._threads.clock() < scanned_at or not machine.is_settled():
            return
        self._journal.launched[str(node.datacenter)] += 1
        node.machine, node.state = None, READY
        del self.building[node.key]
        self._fleet.release(node.key)
        self._hear()

    def _retry(self, node: Node, machine: CreateMachine) -> None:
        node.address, node.avoid = machine.address, machine.datacenter
        machine.abandon()
        if node.attempts >= self._scenario.launch_retries:
            node.machine, node.state = None, FAILED
            del self.building[node.key]
            self._fleet.end(node.key)
            return
        self._journal.retried += 1
        if node.address is not None:
            node.deletion = DeleteMachine(self._fleet, node.address)
        else:
            self._start_machine(node)

    # Deletions

    def _clean(self) -> None:
        while True:
            for node in list(self.dying.values()):
                if node.address is None:
                    self._gone(node)
                elif node.deletion is None:
                    node.deletion = DeleteMachine(self._fleet, node.address)
            self._hear()
            self._threads.sleep(CLEANING)

    def _advance_deletion(self, node: Node) -> None:
        if node.deletion is not None and _deleted(node.deletion):
            self._gone(node)

    def _gone(self, node: Node) -> None:
        del self.nodes[node.key]
        del self.dying[node.key]


def _deleted(machine: DeleteMachine) -> bool:
    try:
        return machine.stirs() and machine.advance()
    except Gone:
        return True


def _demand(label: Label, spare: bool) -> Demand:
    order = Order("node", label.name, Quota(1, label.cpus, label.ram))

    def order_in(datacenter: str) -> Order | str:
        if label.datacenters and datacenter not in label.datacenters:
            return "the label isn't offered there"
        return order

    return Demand(order_in, label.weights, spare, label.name)
