# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""Datacenters that are renamed, listed twice and drained while a real launcher's nodes are in use. Tests in order."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from nodepool.zk import zookeeper as zk

from .conftest import Installation, wait_for
from .twin import Twin

LEAK = "left-by-nobody"
MARKS = {"nodepool_provider_name": "suse", "nodepool_node_id": "9999999999"}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    root = tmp_path_factory.mktemp("datacenters")
    return {name: Twin(root / name) for name in ("nbg", "prg")}


def datacenter(name: str, twin: Twin, size: int) -> dict[str, Any]:
    return {"name": name, "kind": "fake", "state-dir": str(twin.folder), "max-servers": size}


@pytest.fixture(scope="module")
def nodepool(install: Callable[..., Installation], twins: dict[str, Twin]) -> Installation:
    provider = {
        "name": "suse",
        "driver": "suse",
        "boot-timeout": 10,
        "datacenters": [datacenter("nbg", twins["nbg"], 60), datacenter("prg", twins["prg"], 6)],
        "cloud-images": [{"name": "leap"}],
        "pools": [{"name": "main", "labels": [{"name": name, "cloud-image": "leap"} for name in ("asked", "ready")]}],
    }
    return install(provider, {"ready": 1, "asked": 0})


def reconfigure(nodepool: Installation, change: Callable[[dict[str, Any]], None]) -> None:
    config = yaml.safe_load(nodepool.config_file.read_text())
    change(config["providers"][0])
    read = len(nodepool.log)
    nodepool.config_file.write_text(yaml.safe_dump(copy.deepcopy(config)))
    wait_for("the old provider has stopped", lambda: "StateMachineProvider.suse: Stopped" in nodepool.log[read:], 60)


def ready_node(nodepool: Installation) -> Any:
    return next((node for node in nodepool.nodes("ready") if node.state == zk.READY and not node.allocated_to), None)


@pytest.fixture(scope="module")
def used(nodepool: Installation, twins: dict[str, Twin]) -> Any:
    """A node in use, whose datacenter then gets another name, a second entry, and a drained neighbour."""
    wait_for("a ready node", lambda: ready_node(nodepool), 40)
    (node,) = nodepool.fulfilled(nodepool.request("asked"))
    assert node.az == ready_node(nodepool).az == "nbg"
    node.state = zk.IN_USE
    nodepool.zk.storeNode(node)
    twins["nbg"].add(LEAK, **MARKS)
    datacenters = [
        datacenter("nuremberg", twins["nbg"], 60),
        datacenter("again", twins["nbg"], 60),
        datacenter("prg", twins["prg"], 0),
    ]
    reconfigure(nodepool, lambda provider: provider.update(datacenters=datacenters))
    time.sleep(2)  # the launcher's first list: before it a node's datacenter isn't known under its new name
    return node


def test_ready_node_of_a_renamed_datacenter_is_used(nodepool: Installation, used: Any) -> None:
    before = ready_node(nodepool)
    (node,) = nodepool.fulfilled(nodepool.request("ready"))
    assert node.id == before.id
    nodepool.give_back([node])


def test_datacenter_without_room_for_any_server_gets_none(nodepool: Installation, used: Any) -> None:
    nodes = [nodepool.fulfilled(nodepool.request("asked"))[0] for _ in range(3)]
    assert {node.az for node in nodes} <= {"nuremberg", "again"}
    nodepool.give_back(nodes)


def test_server_in_use_outlives_leak_checks_under_another_name(
    nodepool: Installation, used: Any, twins: dict[str, Twin]
) -> None:
    wait_for("a leaked server is gone", lambda: LEAK not in twins["nbg"].servers(), 200, pause=1)
    twins["nbg"].add(LEAK, **MARKS)  # twice two rounds
    wait_for("another leaked server is gone", lambda: LEAK not in twins["nbg"].servers(), 200, pause=1)
    assert used.external_id.removeprefix("nbg/") in twins["nbg"].servers()


def test_pool_that_is_drained_keeps_its_nodes_and_leaves_requests_to_others(
    nodepool: Installation, used: Any, twins: dict[str, Twin]
) -> None:
    reconfigure(nodepool, lambda provider: provider["pools"][0].update({"max-servers": 0}))
    request = nodepool.request("asked")
    wait_for("nobody takes it", lambda: nodepool.zk.getNodeRequest(request.id).state == zk.FAILED, 30)
    assert "pool is disabled by max_servers" in nodepool.log
    assert used.external_id.removeprefix("nbg/") in twins["nbg"].servers()


def test_node_is_deleted_under_its_datacenters_new_name(
    nodepool: Installation, used: Any, twins: dict[str, Twin]
) -> None:
    nodepool.give_back([used])
    wait_for("the node is gone", lambda: used.id not in {node.id for node in nodepool.nodes()}, 30)
    assert used.external_id.removeprefix("nbg/") not in twins["nbg"].servers()
    assert "Traceback" not in nodepool.log
