# SPDX-License-Identifier: Apache-2.0

"""Requests for several nodes in a real launcher: whatever fails, all of them end in one datacenter."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from nodepool.zk import zookeeper as zk

from .conftest import Installation, wait_for
from .twin import Twin


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    root = tmp_path_factory.mktemp("datacenters")
    return {name: Twin(root / name) for name in ("a", "b", "c")}


@pytest.fixture(scope="module")
def nodepool(install: Callable[..., Installation], twins: dict[str, Twin]) -> Installation:
    """Requests go to `a` first, which is much bigger."""
    datacenters = [
        {"name": name, "kind": "fake", "state-dir": str(twin.folder), "boot-delay": 0.5, "max-servers": size}
        for (name, twin), size in zip(twins.items(), (60, 6, 6), strict=True)
    ]
    provider = {
        "name": "suse",
        "driver": "suse",
        "boot-timeout": 10,
        "datacenters": datacenters,
        "cloud-images": [{"name": "leap"}],
        "pools": [{"name": "main", "labels": [{"name": name, "cloud-image": "leap"} for name in ("ready", "asked")]}],
    }
    return install(provider, {"ready": 1, "asked": 0})


@pytest.fixture(autouse=True)
def _well(nodepool: Installation, twins: dict[str, Twin]) -> Iterator[None]:
    """A ready node in `a` to begin with, and nothing of the last test's elsewhere."""
    wait_for("a ready node", lambda: {(node.az, node.state) for node in nodepool.nodes()} == {("a", zk.READY)}, 60)
    wait_for("the last test's servers are gone", lambda: not (twins["b"].servers() or twins["c"].servers()), 60)
    time.sleep(2)  # the launcher's passes, each of which reads the nodes once
    yield
    twins["a"].fault("none")
    nodepool.end()


def test_ready_node_is_given_back_when_the_others_move(nodepool: Installation, twins: dict[str, Twin]) -> None:
    ready = nodepool.nodes("ready")
    twins["a"].fault("create-refused")
    nodes = nodepool.fulfilled(nodepool.request("asked", "ready", "asked"), 60)
    assert [node.type[0] for node in nodes] == ["asked", "ready", "asked"]
    assert len({node.az for node in nodes}) == 1
    assert nodes[0].az != "a"
    left = [nodepool.zk.getNode(node.id) for node in ready]
    assert {(node.state, node.allocated_to) for node in left} == {(zk.READY, None)}
    assert re.search(r"Node \d+ stays behind in datacenter a", nodepool.log)
    assert len(twins[nodes[0].az].servers()) == 3


def test_ready_node_is_used_beside_those_that_are_made(nodepool: Installation) -> None:
    ready = nodepool.nodes("ready")
    nodes = nodepool.fulfilled(nodepool.request("asked", "ready"), 30)
    assert [node.az for node in nodes] == ["a", "a"]
    assert nodes[1].id in {node.id for node in ready}


@pytest.mark.parametrize("fault", ["create-refused", "server-error", "no-host"])
def test_request_whose_datacenter_fails_moves_as_one(
    fault: str, nodepool: Installation, twins: dict[str, Twin]
) -> None:
    before, read = set(twins["a"].servers()), len(nodepool.log)
    twins["a"].fault(fault)
    nodes = nodepool.fulfilled(nodepool.request("asked", "asked", "asked"), 60)
    assert len({node.az for node in nodes}) == 1
    assert nodes[0].az != "a"
    assert "Launch leaves datacenter a" in nodepool.log[read:], "it did not begin in a"
    assert {node.external_id.split("/")[0] for node in nodes} == {nodes[0].az}
    twins["a"].fault("none")
    wait_for("nothing stays behind", lambda: set(twins["a"].servers()) <= before, 40)
    assert len(twins[nodes[0].az].servers()) == 3


def test_launcher_wrote_no_traceback(nodepool: Installation) -> None:
    """Of all above; Nodepool writes one for every launch that fails for good, as in the test below."""
    assert "Traceback" not in nodepool.log


def test_request_that_every_datacenter_refuses_waits_and_recovers_by_itself(
    nodepool: Installation, twins: dict[str, Twin]
) -> None:
    for twin in twins.values():
        twin.fault("create-refused")
    request = nodepool.request("asked", "asked")
    wait_for("it is taken back", lambda: "Request waits: its label rests" in nodepool.log, 120)
    time.sleep(3)
    assert nodepool.zk.getNodeRequest(request.id).state == zk.REQUESTED
    for twin in twins.values():
        twin.fault("none")
    nodes = nodepool.fulfilled(request, 120)
    assert len({node.az for node in nodes}) == 1
