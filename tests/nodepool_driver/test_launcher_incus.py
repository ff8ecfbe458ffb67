# SPDX-License-Identifier: Apache-2.0
"""The driver in a real nodepool-launcher, with a real LXD or Incus server as its datacenter."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from nodepool.zk import zookeeper as zk

from zuul_suse.datacenter import ImageFile
from zuul_suse.datacenter.incus import IncusDatacenter

from ..datacenter.lxd_daemon import Daemon
from .conftest import Installation, wait_for


@pytest.fixture(scope="module")
def local(daemon: Daemon) -> IncusDatacenter:
    return IncusDatacenter("local", daemon.options())


@pytest.fixture(scope="module")
def nodepool(
    install: Callable[..., Installation],
    daemon: Daemon,
    local: IncusDatacenter,
    tiny_image: Path,
) -> Installation:
    image = local.upload_image(ImageFile("tiny", tiny_image, "tar"))
    datacenters = [
        {"name": "dead", "kind": "incus", "url": str(daemon.folder / "nobody.socket")},
        {"name": "local", "kind": "incus", **daemon.options()},
    ]
    label = {"name": "tiny", "cloud-image": "tiny", "cpus": 1, "ram": 64, "config": {"user.colour": "green"}}
    provider = {
        "name": "suse",
        "driver": "suse",
        "boot-timeout": 30,
        "datacenters": datacenters,
        "cloud-images": [{"name": "tiny", "image": image, "username": "root"}],
        "pools": [{"name": "main", "max-servers": 2, "labels": [label]}],
    }
    return install(provider, {"tiny": 0})


def test_node_comes_up_with_scanned_host_keys_and_goes_when_released(
    nodepool: Installation, local: IncusDatacenter
) -> None:
    began = time.monotonic()
    (node,) = nodepool.fulfilled(nodepool.request("tiny"), 60)
    print(f"request fulfilled after {time.monotonic() - began:.1f} s")
    datacenter, server_id = node.external_id.split("/")
    assert datacenter == node.az == "local"
    assert any(key.startswith("ssh-ed25519 ") for key in node.host_keys)
    with socket.create_connection((node.interface_ip, node.connection_port), timeout=5) as link:
        assert link.recv(4) == b"SSH-"
    (server,) = local.list_servers()
    assert server.id == server_id
    assert server.metadata["nodepool_provider_name"] == "suse"
    assert server.metadata["nodepool_node_id"] == node.id
    assert server.metadata["colour"] == "green"
    nodepool.give_back([node])
    wait_for("the container is gone", lambda: not local.list_servers(), 30)
    wait_for("the node is gone", lambda: not nodepool.nodes(), 20)


def test_pool_at_its_limit_waits_and_goes_on(nodepool: Installation, local: IncusDatacenter) -> None:
    both = nodepool.fulfilled(nodepool.request("tiny", "tiny"), 60)
    third = nodepool.request("tiny")
    wait_for("the third is looked at", lambda: nodepool.log.count(f"{third.id}] Request is locked by") >= 2, 20)
    assert len(local.list_servers()) == 2
    assert nodepool.zk.getNodeRequest(third.id).state == zk.REQUESTED
    assert "Pausing request handling" not in nodepool.log
    nodepool.give_back(both[:1])
    (node,) = nodepool.fulfilled(third, 60)
    nodepool.give_back([node, both[1]])
    wait_for("all containers are gone", lambda: not local.list_servers(), 30)


def test_outage_is_told_once_in_words(nodepool: Installation) -> None:
    """Last in this file: the dead datacenter was asked again and again meanwhile."""
    assert nodepool.log.count("nodepool.driver.suse.suse.dead: Can't list") == 1
    assert "Traceback" not in nodepool.log
