# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""Nodepool's own launchers in our loop: retries of one node of a request, as scans of host keys and timeouts bring."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from nodepool.driver import statemachine
from nodepool.zk import zookeeper as zk

from nodepool import exceptions
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.nodepool_driver.adapter import SuseAdapter
from zuul_suse.nodepool_driver.demand import demand_for
from zuul_suse.nodepool_driver.loop import turn_launcher

from .conftest import open_adapter

SECTION: dict[str, Any] = {
    "name": "suse",
    "driver": "suse",
    "boot-timeout": 30,
    "launch-retries": 2,
    "datacenters": [
        {"name": "nbg", "kind": "fake", "max-servers": 50},
        {"name": "prg", "kind": "fake", "max-servers": 20},
    ],
    "cloud-images": [{"name": "leap"}],
    "pools": [{"name": "main", "labels": [{"name": "leap", "cloud-image": "leap"}]}],
}


class Scan:
    """In place of Nodepool's scan: succeeds, or fails as often as a test wants."""

    failures: dict[str, int]
    held: set[str]  # nodes whose scan isn't finished

    def __init__(self, node: Any, *_: Any) -> None:
        self.node = node
        self.exception: Exception | None = None
        if self.failures.get(node.id, 0) > 0:
            self.failures[node.id] -= 1
            self.exception = exceptions.ConnectionTimeoutException("no ssh")

    @property
    def complete(self) -> bool:
        return self.node.id not in self.held

    def result(self) -> list[str]:
        if self.exception:
            raise self.exception
        return ["ssh-rsa KEY"]


class Request:
    """A request for three nodes in Nodepool's own launchers, over a fleet of two fake datacenters."""

    def __init__(self, adapter: SuseAdapter) -> None:
        self.adapter, self.fleet = adapter, adapter.fleet
        self.starts = ThreadPoolExecutor(1)
        manager = SimpleNamespace(
            provider=adapter.config,
            adapter=adapter,
            state_machine_start_worker=self.starts,
            nodescan_worker=SimpleNamespace(addRequest=lambda scan: None, removeRequest=lambda scan: None),
            quotaNeededByLabel=lambda *_: None,
        )
        request = SimpleNamespace(id="100-1", event_id=None, requestor="tests", getSafeAttributes=dict)
        stored = SimpleNamespace(storeNode=lambda node: None)
        self.pw = SimpleNamespace(nodepool=SimpleNamespace(statsd=None), running=True)
        handler = SimpleNamespace(pw=self.pw, zk=stored, manager=manager, request=request, chosen_az="nbg")
        handler.pool = adapter.config.pools["main"]
        label = handler.pool.labels["leap"]
        ids = ["1", "2", "3"]
        assert self.fleet.claim({key: demand_for(label, None) for key in ids}).name == "nbg"
        self.launchers: list[Any] = []
        for node_id in ids:
            node = zk.Node(node_id)
            node.state, node.type, node.provider, node.pool = zk.BUILDING, ["leap"], "suse", "main"
            self.launchers.append(statemachine.StateMachineNodeLauncher(handler, node, adapter.config))
            self.launchers[-1].launch()
        self.under_way = list(self.launchers)

    def turn_until(self, done: Callable[[], Any]) -> None:
        """As `loop.run_loop` does."""
        deadline = time.monotonic() + 20
        while not done():
            assert time.monotonic() < deadline, [(one.node.state, one.state_machine.state) for one in self.launchers]
            self.under_way = [one for one in self.under_way if not turn_launcher(one, self.fleet)]
            time.sleep(0.01)

    def end(self) -> None:
        self.turn_until(lambda: not self.under_way)

    @property
    def states(self) -> list[str]:
        return [launcher.node.state for launcher in self.launchers]

    @property
    def places(self) -> list[str]:
        return [launcher.node.az for launcher in self.launchers]


@pytest.fixture
def request_for_three(monkeypatch: pytest.MonkeyPatch) -> Iterator[Request]:
    monkeypatch.setattr(Scan, "failures", {}, raising=False)
    monkeypatch.setattr(Scan, "held", set(), raising=False)
    monkeypatch.setattr(statemachine, "NodescanRequest", Scan)
    with open_adapter(SECTION) as adapter:
        list(adapter.listInstances())
        while not all(member.limits for member in adapter.fleet.members.values()):
            time.sleep(0.01)
        made = Request(adapter)
        yield made
        made.starts.shutdown()


def servers(request: Request, name: str) -> int:
    twin = request.fleet.members[name].datacenter
    assert isinstance(twin, FakeDatacenter)
    return len(twin.list_servers())


def test_nodes_of_a_request_are_ready_together(request_for_three: Request) -> None:
    Scan.held = {"3"}
    one = request_for_three
    one.turn_until(lambda: all(launcher.nodescan_request for launcher in one.launchers))
    for _ in range(20):
        one.under_way = [launcher for launcher in one.under_way if not turn_launcher(launcher, one.fleet)]
    assert one.states == [zk.BUILDING] * 3, "one was ready while its request could still move"
    Scan.held = set()
    one.end()
    assert one.states == [zk.READY] * 3
    assert one.places == ["nbg"] * 3
    assert len(one.fleet._groups) == 0


def test_failed_scan_of_one_node_moves_all(request_for_three: Request) -> None:
    one = request_for_three
    Scan.failures = {"2": 1}
    one.end()
    assert one.states == [zk.READY] * 3
    assert one.places == ["prg"] * 3
    assert [launcher.node.external_id.split("/")[0] for launcher in one.launchers] == ["prg"] * 3
    assert [launcher.attempts for launcher in one.launchers] == [1, 2, 1], "a move costs the others no attempt"
    deadline = time.monotonic() + 10
    while servers(one, "nbg"):
        assert time.monotonic() < deadline, "servers stay behind"
        time.sleep(0.05)


def test_timeout_of_one_launch_moves_all(request_for_three: Request) -> None:
    one = request_for_three
    Scan.held = {"1", "2", "3"}
    one.turn_until(lambda: all(launcher.nodescan_request for launcher in one.launchers))
    late = one.launchers[2]
    late.nodescan_request, late.state_machine.complete = None, False
    late.state_machine.start_time -= 100_000
    Scan.held = set()
    one.end()
    assert one.states == [zk.READY] * 3
    assert one.places == ["prg"] * 3


def test_others_end_when_one_has_used_up_its_retries(request_for_three: Request) -> None:
    one = request_for_three
    Scan.failures = {"2": 10}
    one.end()
    assert one.states == [zk.READY, zk.FAILED, zk.READY]
    assert len(one.fleet._groups) == 0


def test_nothing_is_held_when_the_pool_has_ended(request_for_three: Request) -> None:
    """Nodepool stops a provider when all its launches have ended."""
    one = request_for_three
    Scan.held = {"3"}
    one.turn_until(lambda: all(launcher.nodescan_request for launcher in one.launchers))
    one.pw.running = False
    one.turn_until(lambda: one.states[:2] == [zk.READY] * 2)
    Scan.held = set()
    one.end()
