# SPDX-License-Identifier: Apache-2.0
"""Nodes whose servers went with a crash are given back, and no others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zuul_suse.sandbox import nodepool
from zuul_suse.sandbox.state import State


def node(number: int, server: str, provider: str = nodepool.PROVIDER, state: str = "ready") -> dict[str, Any]:
    return {"id": f"{number:010}", "provider": provider, "server_id": server, "state": state}


def test_only_ready_nodes_of_its_own_datacenter_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [
        node(1, "local/np1"),
        node(2, "local/gone"),
        node(3, "region1/6f1d", provider="cloud"),
        node(4, "local/gone-too", state="in-use"),
    ]
    deleted: list[str] = []
    monkeypatch.setattr(nodepool, "nodes", lambda state: known)
    monkeypatch.setattr(nodepool.datacenter, "instances", lambda state: ["np1", "of-nobody"])
    run = SimpleNamespace(run=lambda command, **_: deleted.append(command[-1]))
    monkeypatch.setattr(nodepool, "subprocess", run)
    assert nodepool.forget_lost_nodes(State(tmp_path)) == ["0000000002"]
    assert deleted == ["0000000002"]
