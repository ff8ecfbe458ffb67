# SPDX-License-Identifier: Apache-2.0
"""Addresses that a host stored, and a configuration that has changed since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zuul_suse.datacenter import Gone
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Fleet, Member, join_server, split_server
from zuul_suse.fleet.deletion import LOOKING, DeleteMachine
from zuul_suse.fleet.reaper import LAUNCH_TAG

from .conftest import Bench

Make = Callable[..., Bench]


def has(one: Bench, name: str, server_id: str = "s1", tag: str | None = "t1") -> None:
    one.twins[name]._servers.put(server_id, {"metadata": {LAUNCH_TAG: tag} if tag else {}})
    one.poll()


def test_addresses_survive_a_round() -> None:
    assert split_server(join_server("nbg", "a/b")) == ("nbg", "a/b")


@pytest.mark.parametrize("stored", [None, 7, {"id": "s1"}, ["nbg", "s1"], "", "/"])
def test_what_is_no_address_is_nowhere(bench: Make, stored: object) -> None:
    one = bench(nbg=5)
    has(one, "nbg")
    assert one.fleet.find(stored) is None
    assert one.fleet.datacenter_of(stored) is None


@pytest.mark.parametrize("stored", ["", "/", "nbg/", "old/"])
def test_address_without_an_id_is_gone(bench: Make, stored: str) -> None:
    one = bench(nbg=5)
    with pytest.raises(Gone):
        DeleteMachine(one.fleet, stored).advance()
    assert not one.twins["nbg"].calls.get("delete")


@pytest.mark.parametrize("address", ["old/s1", "s1", "gone/s1"])
def test_server_under_a_name_of_the_past_is_deleted_where_it_is(bench: Make, address: str) -> None:
    one = bench(nbg=5, prg=5)
    has(one, "prg")
    has(one, "prg", "s2", "t2")
    assert one.fleet.datacenter_of(address) == "prg"
    assert one.run(DeleteMachine(one.fleet, address))
    assert one.ids("prg") == {"s2"}


def test_server_that_no_datacenter_has_is_gone_only_when_all_were_listed_since(bench: Make) -> None:
    one = bench(nbg=5, prg=5)
    one.twins["prg"].fault = "unreachable"
    machine = DeleteMachine(one.fleet, "old/s1")
    for _ in range(5):
        assert not machine.advance()
        one.poll()
    assert machine.state == LOOKING
    one.twins["prg"].fault = "none"
    has(one, "prg")
    assert one.run(machine)
    for _ in range(2):  # the reaper may have it, for the breaker of a datacenter that was out is open
        one.poll()
    assert one.ids("prg") == set()
    with pytest.raises(Gone, match=r'"old/s1" is in none of the datacenters nbg, prg'):
        one.run(DeleteMachine(one.fleet, "old/s1"))


def test_server_of_somebody_else_is_left_alone(bench: Make) -> None:
    one = bench(nbg=5)
    has(one, "nbg", tag=None)
    assert one.fleet.find("old/s1") is None
    with pytest.raises(Gone):
        one.run(DeleteMachine(one.fleet, "old/s1"))
    assert one.ids("nbg") == {"s1"}


def test_name_that_is_another_datacenters_by_now_loses_no_server(bench: Make) -> None:
    one = bench(nbg=5, prg=5)
    has(one, "prg")
    assert one.fleet.datacenter_of("nbg/s1") == "prg"
    assert one.run(DeleteMachine(one.fleet, "nbg/s1"))
    assert one.ids("prg") == set()


@pytest.fixture
def shared(tmp_path: Path, bench: Make) -> Bench:
    """Two names for one project."""
    one = bench(a=5, b=5)
    one.fleet.close()
    for name in one.twins:
        one.twins[name] = FakeDatacenter(name, {"state-dir": str(tmp_path)}, clock=one.clock)
    one.fleet = Fleet(Member(twin, rate=1e6, clock=one.clock) for twin in one.twins.values())
    one.poll()
    return one


def test_server_of_a_project_that_two_datacenters_share_counts_once(shared: Bench) -> None:
    has(shared, "a")
    assert [address for address, _ in shared.fleet.servers()] == ["a/s1"]
    assert shared.fleet.datacenter_of("b/s1") == "b"
    assert shared.fleet.datacenter_of("old/s1") == "a"


@pytest.mark.parametrize("address", ["a/s1", "b/s1", "old/s1", "s1"])
def test_server_of_a_project_that_two_datacenters_share_is_deleted_once(shared: Bench, address: str) -> None:
    has(shared, "a")
    has(shared, "b", "s2", "t2")
    assert shared.run(DeleteMachine(shared.fleet, address))
    assert shared.ids("a") == shared.ids("b") == {"s2"}
    assert shared.run(DeleteMachine(shared.fleet, "b/s1")), "it is gone already"


def test_servers_of_one_name_in_two_datacenters_are_two(bench: Make) -> None:
    one = bench(nbg=5, prg=5)
    has(one, "nbg", tag=None)
    has(one, "prg", tag=None)
    has(one, "nbg", "s2", "t1")
    has(one, "prg", "s2", "t2")
    assert len(one.fleet.servers()) == 4
