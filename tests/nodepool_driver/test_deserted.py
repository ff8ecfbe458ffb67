# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""Which servers of nodes that Nodepool knows may be deleted: those of a node that is proven to have another one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Fleet, Member
from zuul_suse.nodepool_driver.leftovers import Deserted

NODE = "0000000007"


class Records:
    """ZooKeeper's records of nodes."""

    def __init__(self, state: str, address: Any) -> None:
        self.node = SimpleNamespace(id=NODE, state=state, external_id=address, provider="suse")

    def nodeIterator(self, cached_ids: bool) -> Iterator[Any]:
        yield self.node


class Cloud:
    """Projects, each of which one or more datacenters are."""

    def __init__(self, folder: Path, **projects: str) -> None:
        self.twins = {
            name: FakeDatacenter(name, {"state-dir": str(folder / project)}) for name, project in projects.items()
        }
        members = [
            Member(twin, rate=1e6, owns=lambda server: server.metadata.get("nodepool_provider_name") == "suse")
            for twin in self.twins.values()
        ]
        self.fleet = Fleet(members)
        self.deserted = Deserted("suse", self.fleet, logging.getLogger("test"))

    def put(self, name: str, server_id: str, node: str | None = NODE, provider: str = "suse") -> None:
        metadata = {"nodepool_provider_name": provider, "nodepool_node_id": node} if node else {}
        self.twins[name]._servers.put(server_id, {"metadata": metadata})

    def left(self, records: Records, rounds: int = 4) -> set[str]:
        """Servers that are there after some rounds of Nodepool's clean-up."""
        for _ in range(rounds):
            for member in self.fleet.members.values():
                member.poller.poll()
                for call in [doomed.call for doomed in member.reaper._doomed.values() if doomed.call]:
                    call.exception(10)
            self.deserted.look(records)
        return {server.id for twin in self.twins.values() for server in twin.list_servers()}


STATES = ["ready", "in-use", "used", "hold", "building", "deleting"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("projects", "stored"),
    [
        ({"nbg": "p"}, "nbg/s1"),
        ({"a": "p", "b": "p"}, "a/s1"),  # two datacenters on one project
        ({"a": "p", "b": "p"}, "b/s1"),
        ({"a": "p", "b": "p"}, "old/s1"),
        ({"nuremberg": "p"}, "nbg/s1"),  # renamed
        ({"nbg": "p", "prg": "q"}, "prg/s1"),  # names exchanged
        ({"nbg": "p"}, "s1"),  # it was another driver's
        ({"nbg": "p"}, "removed/s2"),  # its server is where this configuration doesn't reach
        ({"nbg": "p"}, "nbg/s2"),  # the record is all that tells of s2
        ({"nbg": "p"}, None),
        ({"nbg": "p"}, ""),
        ({"nbg": "p"}, {"vm": "s1"}),
    ],
)
def test_server_of_a_known_node_stays(tmp_path: Path, state: str, projects: dict[str, str], stored: Any) -> None:
    cloud = Cloud(tmp_path, **projects)
    cloud.put(next(iter(projects)), "s1")
    assert cloud.left(Records(state, stored)) == {"s1"}
    cloud.fleet.close()


def test_server_that_bears_the_name_of_a_node_of_another_provider_is_no_proof(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, nbg="p")
    cloud.put("nbg", "s1")
    cloud.put("nbg", "s2", provider="other")
    cloud.put("nbg", "s3", node="0000000008")
    for stored in ("nbg/s2", "nbg/s3"):
        assert cloud.left(Records("in-use", stored)) == {"s1", "s2", "s3"}
    cloud.fleet.close()


@pytest.mark.parametrize("stored", ["prg/s2", "brno/s2", "s2"])
@pytest.mark.parametrize("state", ["ready", "in-use", "used", "hold"])
def test_server_that_a_launch_left_in_another_datacenter_goes(tmp_path: Path, state: str, stored: str) -> None:
    cloud = Cloud(tmp_path, nbg="p", prg="q")
    cloud.put("nbg", "s1")
    cloud.put("prg", "s2")
    cloud.put("nbg", "foreign", provider="x")
    cloud.put("nbg", "unmarked", node=None)
    assert cloud.left(Records(state, stored), rounds=2) == {"s1", "s2", "foreign", "unmarked"}, "it was seen only once"
    assert cloud.left(Records(state, stored)) == {"s2", "foreign", "unmarked"}
    cloud.fleet.close()


def test_server_of_a_node_that_is_being_made_stays(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, nbg="p", prg="q")
    cloud.put("nbg", "s1")
    cloud.put("prg", "s2")
    assert cloud.left(Records("building", "prg/s2")) == {"s1", "s2"}
    cloud.fleet.close()
