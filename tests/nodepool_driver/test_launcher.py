# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and untyped Nodepool
"""The driver in a real, unmodified nodepool-launcher, over two datacenters of kind fake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from nodepool.zk import zookeeper as zk

from .conftest import Installation, wait_for
from .twin import Twin

LEAK = "left-by-nobody"
FOREIGN = "of-somebody-else"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    root = tmp_path_factory.mktemp("datacenters")
    return {name: Twin(root / name) for name in ("nbg", "prg")}


@pytest.fixture(scope="module")
def nodepool(install: Callable[..., Installation], twins: dict[str, Twin]) -> Installation:
    # There before the launcher: its clean-up must see a leak twice, a minute apart.
    twins["nbg"].add(LEAK, nodepool_provider_name="suse", nodepool_node_id="9999999999")
    twins["nbg"].add(FOREIGN, nodepool_provider_name="other", nodepool_node_id="9999999998")
    for kind in ("port", "floating-ip", "volume"):
        twins["prg"].add_belonging(kind, f"leaked-{kind}", nodepool_provider_name="suse", nodepool_node_id="9999999997")
        twins["prg"].add_belonging(kind, f"foreign-{kind}", nodepool_provider_name="x", nodepool_node_id="9999999997")
        twins["prg"].add_belonging(kind, f"unmarked-{kind}")
    # nbg is much bigger, so that launches begin there.
    datacenters = [
        {"name": name, "kind": "fake", "state-dir": str(twin.folder), "boot-delay": 0.5, "max-servers": size}
        for (name, twin), size in zip(twins.items(), (60, 6), strict=True)
    ]
    labels = [
        {"name": name, "cloud-image": "leap", "cpus": 2, "ram": 4096, "config": {"a": "b"}}
        for name in ("ready", "asked", "huge")
    ]
    labels[2]["cpus"] = 100_000
    provider = {
        "name": "suse",
        "driver": "suse",
        "boot-timeout": 10,
        "datacenters": datacenters,
        "cloud-images": [{"name": "leap", "username": "zuul", "python-path": "/usr/bin/python3"}],
        "pools": [{"name": "main", "max-servers": 8, "labels": labels}],
    }
    return install(provider, {"ready": 1, "asked": 0, "huge": 0})


@pytest.fixture
def asked(nodepool: Installation) -> Iterator[Callable[..., list[Any]]]:
    """Requests nodes and gives them back when the test is over."""
    taken: list[Any] = []

    def request(*labels: str) -> list[Any]:
        nodes = nodepool.fulfilled(nodepool.request(*labels))
        taken.extend(nodes)
        return nodes

    yield request
    nodepool.give_back([node for node in taken if node.lock])


def server_of(node: Any, twins: dict[str, Twin]) -> dict[str, Any] | None:
    datacenter, server_id = node.external_id.split("/")
    return twins[datacenter].servers().get(server_id)


def test_min_ready_node_comes_up_without_being_asked_for(nodepool: Installation) -> None:
    node = wait_for("a ready node", lambda: next((n for n in nodepool.nodes("ready") if n.state == zk.READY), None), 40)
    assert node.az == "nbg"
    assert node.interface_ip.startswith("fake-")


def test_request_is_fulfilled_with_a_node_that_has_what_the_label_says(
    asked: Callable[..., list[Any]], twins: dict[str, Twin]
) -> None:
    (node,) = asked("asked")
    server = server_of(node, twins)
    assert server is not None
    assert server["image"] == "leap"
    assert server["need"] == [1, 2, 4096]
    assert server["config"] == {"a": "b"}
    assert server["metadata"]["nodepool_provider_name"] == "suse"
    assert server["metadata"]["nodepool_node_id"] == node.id
    assert (node.username, node.connection_type, node.connection_port) == ("zuul", "ssh", 22)
    assert node.host_keys == ["ssh-rsa FAKEKEY"]
    assert node.resources == {"cores": 2, "instances": 1, "ram": 4096}
    assert node.cloud == node.az


def test_released_node_is_deleted_in_its_datacenter(
    asked: Callable[..., list[Any]], nodepool: Installation, twins: dict[str, Twin]
) -> None:
    (node,) = asked("asked")
    nodepool.give_back([node])
    wait_for("the server is gone", lambda: server_of(node, twins) is None, 20)
    wait_for("the node is gone", lambda: node.id not in {n.id for n in nodepool.nodes()}, 20)


def test_nodes_of_one_request_share_a_datacenter(asked: Callable[..., list[Any]]) -> None:
    nodes = asked("asked", "asked", "asked")
    assert [node.az for node in nodes] == ["nbg"] * 3
    assert len({node.external_id for node in nodes}) == 3


@pytest.mark.parametrize("fault", ["create-refused", "server-error", "unreachable"])
def test_launch_moves_to_the_other_datacenter(
    fault: str, asked: Callable[..., list[Any]], nodepool: Installation, twins: dict[str, Twin]
) -> None:
    before = set(twins["nbg"].servers())
    read = len(nodepool.log)
    twins["nbg"].fault(fault)
    try:
        (node,) = asked("asked")
    finally:
        twins["nbg"].fault("none")
    assert node.az == "prg"
    said = nodepool.log[read:]
    assert "Creating np" in said.split("Launch leaves datacenter nbg")[0], "the launch did not begin in nbg"
    assert "Launch leaves datacenter nbg" in said
    wait_for("nothing stays behind in nbg", lambda: set(twins["nbg"].servers()) <= before, 20)


def test_request_that_fits_nowhere_fails_at_once(nodepool: Installation) -> None:
    request = nodepool.request("huge")
    wait_for("the request fails", lambda: nodepool.zk.getNodeRequest(request.id).state == zk.FAILED, 15)
    assert "nbg: needs 1 servers, 100000 cores, 4096 MiB, the limits are 60 servers, 1000 cores" in nodepool.log


def test_request_that_fits_nowhere_now_waits_for_room(
    asked: Callable[..., list[Any]], nodepool: Installation, twins: dict[str, Twin]
) -> None:
    ballast = [(twins["nbg"], f"ballast-{n}") for n in range(60)] + [(twins["prg"], f"ballast-{n}") for n in range(6)]
    for twin, name in ballast:
        twin.add(name)
    read = len(nodepool.log)
    time.sleep(31)  # the slowest poll
    request = nodepool.request("asked")
    wait_for("it waits", lambda: "No datacenter has room now" in nodepool.log[read:], 15)
    assert nodepool.zk.getNodeRequest(request.id).state == zk.REQUESTED
    for twin, name in ballast:
        twin.remove(name)
    nodepool.give_back(nodepool.fulfilled(request, 40))


def test_leaked_server_is_removed_and_a_foreign_one_is_not(nodepool: Installation, twins: dict[str, Twin]) -> None:
    wait_for("the leaked server is gone", lambda: LEAK not in twins["nbg"].servers(), 100, pause=1)
    assert FOREIGN in twins["nbg"].servers()


def test_leaked_belongings_are_removed_and_foreign_ones_are_not(twins: dict[str, Twin]) -> None:
    def leaked() -> list[str]:
        return [name for name in twins["prg"].belongings() if name.startswith("leaked-")]

    wait_for("leaked ports, floating IPs and volumes are gone", lambda: not leaked(), 100, pause=1)
    kinds = ("port", "floating-ip", "volume")
    assert twins["prg"].belongings() == {f"{whose}-{kind}" for whose in ("foreign", "unmarked") for kind in kinds}


def test_server_that_a_launch_left_before_a_restart_is_removed(
    asked: Callable[..., list[Any]], twins: dict[str, Twin]
) -> None:
    """The reaper that knew of it is gone with its launcher; the node's record tells that it has another server."""
    (node,) = asked("asked")
    marks = {"nodepool_provider_name": "suse", "nodepool_node_id": node.id}
    twins["prg"].add("left-in-mid-launch", **marks)
    wait_for("the left server is gone", lambda: "left-in-mid-launch" not in twins["prg"].servers(), 150, pause=1)
    assert server_of(node, twins) is not None


def test_changed_configuration_takes_the_place_of_the_old_one(
    asked: Callable[..., list[Any]], nodepool: Installation
) -> None:
    config = yaml.safe_load(nodepool.config_file.read_text())
    config["providers"][0]["pools"][0]["labels"][1]["ram"] = 8192
    nodepool.config_file.write_text(yaml.safe_dump(config))
    read = len(nodepool.log)
    wait_for("the old provider has stopped", lambda: "StateMachineProvider.suse: Stopped" in nodepool.log[read:], 30)
    (node,) = asked("asked")
    assert node.resources["ram"] == 8192


def test_launcher_wrote_no_traceback(nodepool: Installation) -> None:
    """Last in this file: faults of datacenters are told in words."""
    assert "Traceback" not in nodepool.log
