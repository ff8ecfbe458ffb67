# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""Requests that fit nowhere now, in a real launcher: who waits, who overtakes, who is served first."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nodepool.zk import zookeeper as zk

from .conftest import Installation, wait_for
from .twin import Twin

PATIENCE = 12


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    return Twin(tmp_path_factory.mktemp("datacenters") / "nbg")


@pytest.fixture(scope="module")
def nodepool(install: Callable[..., Installation], twin: Twin) -> Installation:
    """One datacenter for six servers, and two pools: one of them may have three."""
    datacenter = {"name": "nbg", "kind": "fake", "state-dir": str(twin.folder), "boot-delay": 0.5, "max-servers": 6}
    provider = {
        "name": "suse",
        "driver": "suse",
        "boot-timeout": 20,
        "patience": PATIENCE,
        "datacenters": [datacenter],
        "cloud-images": [{"name": "leap"}],
        "pools": [
            {"name": "main", "labels": [{"name": name, "cloud-image": "leap"} for name in ("asked", "spare")]},
            {"name": "small", "max-servers": 3, "labels": [{"name": "little", "cloud-image": "leap"}]},
        ],
    }
    return install(provider, {"asked": 0, "spare": 0, "little": 0})


@pytest.fixture(autouse=True)
def _empty(nodepool: Installation, twin: Twin) -> Iterator[None]:
    """Nothing of one test stays for the next, also after a failure."""
    wait_for("the last test's servers are gone", lambda: not twin.servers() and not nodepool.nodes(), 60)
    time.sleep(1.5)  # the launcher's list
    yield
    twin.fault("none")
    nodepool.end()


def state(nodepool: Installation, request: Any) -> str:
    return str(nodepool.zk.getNodeRequest(request.id).state)


def passes(nodepool: Installation, count: int) -> None:
    """So many passes of each PoolWorker."""
    mark = "Starting handler assignment"
    want = nodepool.log.count(mark) + 2 * count
    wait_for(f"{count} passes", lambda: nodepool.log.count(mark) >= want, 30)


def test_large_request_waits_while_a_small_one_behind_it_gets_through(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request("asked", "asked"))
    large = nodepool.request(*["asked"] * 5)
    passes(nodepool, 2)
    read = len(nodepool.log)
    small = nodepool.fulfilled(nodepool.request("asked"), 10)
    assert state(nodepool, large) == zk.REQUESTED
    assert "Paus" not in nodepool.log[read:]
    nodepool.give_back(held + small)
    nodes = nodepool.fulfilled(large, 30)
    assert len(nodes) == 5
    assert {node.az for node in nodes} == {"nbg"}
    nodepool.give_back(nodes)


def test_waiting_requests_are_not_locked_again_and_again(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request("asked", "asked"))
    waiting = [nodepool.request(*["asked"] * 5) for _ in range(30)]
    passes(nodepool, 2)
    read = len(nodepool.log)
    passes(nodepool, 4)
    said = nodepool.log[read:]
    assert said.count("Request is locked by someone else") >= 60
    assert "Assigning node request" not in said
    for request in waiting:
        nodepool.zk.deleteNodeRequest(request)
    nodepool.give_back(held)


def test_withdrawn_request_has_nothing_kept_for_it(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request("asked", "asked"))
    large = nodepool.request(*["asked"] * 5)
    time.sleep(PATIENCE + 2)
    late = nodepool.request("asked")
    passes(nodepool, 3)
    assert state(nodepool, late) == zk.REQUESTED, "the room is kept for the large one"
    nodepool.zk.deleteNodeRequest(large)
    passes(nodepool, 4)  # a promise to a request of which nobody hears would last for three times as long
    assert state(nodepool, late) != zk.REQUESTED
    nodepool.give_back(held + nodepool.fulfilled(late))


def test_large_request_is_not_overtaken_for_ever(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request("asked", "asked"))
    large = nodepool.request(*["asked"] * 5)
    began = time.monotonic()
    passes(nodepool, 1)
    small = nodepool.fulfilled(nodepool.request("asked"), 10)
    time.sleep(max(0.0, PATIENCE + 2 - (time.monotonic() - began)))
    late = nodepool.request("asked")
    passes(nodepool, 3)
    assert state(nodepool, late) == zk.REQUESTED, "there was room, but it was kept for the large one"
    nodepool.give_back(held)
    passes(nodepool, 3)
    assert state(nodepool, late) == zk.REQUESTED
    nodepool.give_back(small)
    large_nodes = nodepool.fulfilled(large, 30)
    late_nodes = nodepool.fulfilled(late, 20)
    nodepool.give_back(large_nodes + late_nodes)


def test_pool_at_its_own_limit_lets_smaller_requests_pass(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request("little"))
    large = nodepool.request(*["little"] * 3)
    passes(nodepool, 2)
    small = nodepool.fulfilled(nodepool.request("little"), 10)
    assert state(nodepool, large) == zk.REQUESTED
    nodepool.give_back(held + small)
    nodepool.give_back(nodepool.fulfilled(large, 30))


def test_unused_node_makes_way(nodepool: Installation, twin: Twin) -> None:
    held = nodepool.fulfilled(nodepool.request(*["asked"] * 5))
    (spare,) = nodepool.fulfilled(nodepool.request("spare"))
    spare.state = zk.READY
    spare.allocated_to = None
    nodepool.zk.storeNode(spare)
    nodepool.zk.unlockNode(spare)
    (node,) = nodepool.fulfilled(nodepool.request("asked"), 20)
    assert f"Ready node {spare.id} makes way for request" in nodepool.log
    nodepool.give_back([*held, node])


def test_launch_that_waits_for_room_is_one_of_those_who_wait(nodepool: Installation, twin: Twin) -> None:
    """It was promised room and lost it; nobody makes way for it or lets it go first unless it is in the queue."""
    held = nodepool.fulfilled(nodepool.request(*["asked"] * 4))
    (spare,) = nodepool.fulfilled(nodepool.request("spare"))
    spare.state = zk.READY
    spare.allocated_to = None
    nodepool.zk.storeNode(spare)
    nodepool.zk.unlockNode(spare)
    twin.fault("no-capacity")
    request = nodepool.request("asked")
    wait_for("its launch to wait", lambda: "Launch waits for room" in nodepool.log, 20)
    made_way = f"Ready node {spare.id} makes way for request 0"
    wait_for("the unused node to make way", lambda: made_way in nodepool.log, 20)
    twin.fault("none")
    nodepool.give_back([*held, *nodepool.fulfilled(request, 60)])


def test_launcher_stops_while_a_launch_waits_for_room(install: Callable[..., Installation], tmp_path: Path) -> None:
    twin = Twin(tmp_path / "nbg")
    provider = {
        "name": "suse",
        "driver": "suse",
        "datacenters": [{"name": "nbg", "kind": "fake", "state-dir": str(twin.folder), "max-servers": 1}],
        "cloud-images": [{"name": "leap"}],
        "pools": [{"name": "main", "labels": [{"name": "asked", "cloud-image": "leap"}]}],
    }
    made = install(provider, {"asked": 0})
    twin.fault("no-capacity")
    made.request("asked")
    wait_for("its launch to wait", lambda: "Launch waits for room" in made.log, 20)
    assert made.launcher is not None
    made.launcher.send_signal(signal.SIGINT)  # the orderly way; SIGTERM ends it at once
    assert made.launcher.wait(30) == 0


def test_ready_node_is_used_though_nothing_new_fits(nodepool: Installation) -> None:
    held = nodepool.fulfilled(nodepool.request(*["asked"] * 4))
    ready = nodepool.fulfilled(nodepool.request("spare", "spare"))
    for node in ready:
        node.state = zk.READY
        node.allocated_to = None
        nodepool.zk.storeNode(node)
        nodepool.zk.unlockNode(node)
    passes(nodepool, 1)
    again = nodepool.fulfilled(nodepool.request("spare", "spare"), 10)
    assert {node.id for node in again} == {node.id for node in ready}
    nodepool.give_back(held + again)


def test_launcher_wrote_no_traceback(nodepool: Installation) -> None:
    """Last in this file."""
    assert "Traceback" not in nodepool.log


def test_request_for_a_spare_node_is_declined_when_nothing_fits(
    install: Callable[..., Installation], tmp_path: Path
) -> None:
    twin = Twin(tmp_path / "nbg")
    twin.add("ballast")
    provider = {
        "name": "suse",
        "driver": "suse",
        "datacenters": [{"name": "nbg", "kind": "fake", "state-dir": str(twin.folder), "max-servers": 1}],
        "cloud-images": [{"name": "leap"}],
        "pools": [{"name": "main", "labels": [{"name": "spare", "cloud-image": "leap"}]}],
    }
    made = install(provider, {"spare": 1})
    wait_for("it is declined", lambda: "Declining a request for a spare node: there is no room" in made.log, 20)
    assert not made.nodes()
    twin.remove("ballast")
    # An idle datacenter is listed every half minute.
    wait_for("the spare node", lambda: [node for node in made.nodes() if node.state == zk.READY], 75)
