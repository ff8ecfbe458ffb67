# SPDX-License-Identifier: Apache-2.0
"""The OpenStack of tests/cloud as a datacenter of the sandbox, by the file that it offers for that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from zuul_suse.sandbox import nodepool
from zuul_suse.sandbox.state import State

from ..cloud.cloud import Cloud
from .conftest import without_gerrit

pytestmark = pytest.mark.cloud


def servers(cloud: Cloud) -> list[Any]:
    """Those that the sandbox's provider made."""
    return [
        server
        for region in cloud.regions
        for server in cloud.connect(region).compute.servers()
        if server.metadata.get("nodepool_provider_name") == "cloud"
    ]


def test_its_node_becomes_ready_beside_the_sandboxs_own(cloud: Cloud, short_folder: Path) -> None:
    command = without_gerrit(short_folder)
    command("up", "--nodepool-part", str(cloud.nodepool_part))
    state = State(command.state_dir)
    end = time.monotonic() + 120
    try:
        while not (ready := [node for node in nodepool.nodes(state) if node["state"] == "ready"]):
            assert time.monotonic() < end, nodepool.nodes(state)
            time.sleep(1)
        node = next(node for node in ready if node["provider"] == "cloud")
        assert cloud.label in node["label"]
        region, _, server = node["server_id"].partition("/")
        assert cloud.connect(region).compute.get_server(server).status == "ACTIVE"
    finally:
        command("down")
        for left in servers(cloud):  # of a node that was ready when the sandbox went
            cloud.connect(left.location.region_name).compute.delete_server(left, ignore_missing=True)
