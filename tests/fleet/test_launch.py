# SPDX-License-Identifier: Apache-2.0
"""Create and delete machines over fake datacenters with faults."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from zuul_suse.datacenter import Gone, NoCapacity, Server
from zuul_suse.fleet.launch import BOOTING, CREATING, DeleteMachine, LaunchFailed

from .conftest import Bench

Make = Callable[..., Bench]


def test_launch_ends_with_a_server_and_an_address(bench: Make) -> None:
    one = bench(nbg=5)
    machine = one.launch()
    server = one.run(machine)
    assert isinstance(server, Server)
    assert machine.address == f"nbg/{server.id}"
    assert one.twins["nbg"].calls["create"] == 1


def test_advance_makes_no_call_itself(bench: Make) -> None:
    one = bench(nbg=5)
    one.twins["nbg"].fault = "black-hole"
    machine = one.launch()
    began = time.monotonic()
    for _ in range(100):
        machine.advance()
    assert time.monotonic() - began < 1
    assert machine.state == CREATING


@pytest.mark.parametrize("fault", ["create-refused", "server-error", "never-boots", "unreachable", "no-capacity"])
def test_launch_moves_on_and_leaves_nothing_behind(bench: Make, fault: str) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = fault
    machine = one.launch()
    assert isinstance(one.run(machine), Server)
    assert str(machine.address).startswith("prg/")
    one.twins["nbg"].fault = "none"
    for _ in range(5):
        time.sleep(0.01)
        one.poll()
    assert one.ids("nbg") == set()
    assert len(one.ids("prg")) == 1


def test_launch_leaves_a_black_hole_and_its_late_server_is_deleted(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "never-boots"
    enter = one.twins["nbg"]._enter

    def slow(call: str) -> str:
        if call == "create":
            one.twins["nbg"].released.wait(30)
        return enter(call)

    one.twins["nbg"]._enter = slow  # type: ignore[method-assign]
    machine = one.launch()
    assert isinstance(one.run(machine), Server)
    assert str(machine.address).startswith("prg/")
    one.twins["nbg"].released.set()
    for _ in range(50):
        time.sleep(0.01)
        one.poll()
    assert one.twins["nbg"].calls["create"] == 1
    assert one.twins["nbg"].calls["delete"] == 1
    assert one.ids("nbg") == set()


def test_server_that_vanishes_moves_the_launch(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "never-boots"
    machine = one.launch()
    while machine.state != BOOTING:
        machine.advance()
        time.sleep(0.01)
    one.twins["nbg"].delete(next(iter(one.ids("nbg"))))
    began = one.clock.now
    assert isinstance(one.run(machine), Server)
    assert one.clock.now - began < 20, "the launch waited for a server that it could see was gone"
    assert str(machine.address).startswith("prg/")


def test_failure_everywhere_names_every_datacenter(bench: Make) -> None:
    one = bench(nbg=5, prg=5)
    one.twins["nbg"].fault = "create-refused"
    one.twins["prg"].fault = "server-error"
    with pytest.raises(LaunchFailed, match="nbg: internal server error; prg: the server failed: injected"):
        one.run(one.launch())


def test_no_room_anywhere_is_not_a_failure(bench: Make) -> None:
    one = bench(nbg=1, prg=1)
    for key in ("a", "b"):
        one.run(one.launch(key))
    with pytest.raises(NoCapacity, match=r"nbg: free: 0 servers.*prg: free: 0 servers"):
        one.run(one.launch("c"))


def test_datacenter_that_says_it_is_full_is_left_alone_for_a_while(bench: Make) -> None:
    one = bench(nbg=50)
    one.twins["nbg"].fault = "no-capacity"
    with pytest.raises(NoCapacity):
        one.run(one.launch("a"))
    one.twins["nbg"].fault = "none"
    with pytest.raises(NoCapacity, match="said that it is full"):
        one.run(one.launch("b"))
    assert one.fleet.members["nbg"].breaker.state == "closed"
    one.clock.now += 31
    assert one.run(one.launch("c"))


def test_claims_hold_room_until_the_list_shows_the_server(bench: Make) -> None:
    one = bench(nbg=2)
    first, second, third = (one.launch(key) for key in "abc")
    first.advance()
    second.advance()
    with pytest.raises(NoCapacity):
        third.advance()
    one.run(first)
    one.run(second)
    candidate = one.fleet.members["nbg"].candidate()
    assert candidate.used == 2
    assert candidate.free is not None
    assert candidate.free.instances == 0


def test_claim_of_a_dropped_launch_expires(bench: Make) -> None:
    one = bench(nbg=1)
    one.fleet.claim("dropped", one.launch()._need)
    assert one.fleet.place(one.launch()._need).name is None
    one.clock.now += 121
    assert one.fleet.place(one.launch()._need).name == "nbg"


def test_datacenter_without_the_image_is_left_out(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    machine = one.launch(prg="leap-in-prg")
    assert one.run(machine)
    assert str(machine.address).startswith("prg/")


def test_breaker_opens_after_failures_and_lists_close_nothing(bench: Make) -> None:
    one = bench(nbg=50, prg=50)
    one.twins["nbg"].fault = "server-error"
    for number in range(6):
        one.run(one.launch(f"n{number}", prefer="nbg"))
    assert one.fleet.members["nbg"].breaker.state == "open"
    assert one.twins["nbg"].calls["create"] == 3
    assert one.fleet.limits().instances == 50


def test_probe_brings_a_datacenter_back(bench: Make) -> None:
    one = bench(nbg=50)
    one.twins["nbg"].fault = "unreachable"
    for _ in range(3):
        one.poll()
    assert one.fleet.limits().instances == 0
    with pytest.raises(NoCapacity, match="its breaker is open"):
        one.run(one.launch("a"))
    one.twins["nbg"].fault = "none"
    one.clock.now += 31
    first, second = one.launch("b"), one.launch("c")
    first.advance()
    with pytest.raises(NoCapacity, match=r"breaker is half-open|probe is under way"):
        second.advance()
    assert one.run(first)
    assert one.fleet.members["nbg"].breaker.state == "closed"


def test_deletion_ends_when_the_list_lacks_the_server(bench: Make) -> None:
    one = bench(nbg=5)
    machine = one.launch()
    one.run(machine)
    assert machine.address
    assert one.run(DeleteMachine(one.fleet, machine.address))
    assert one.ids("nbg") == set()


def test_deleting_what_is_gone_is_done(bench: Make) -> None:
    assert (one := bench(nbg=5)).run(DeleteMachine(one.fleet, "nbg/nothing"))


def test_deleting_in_an_unknown_datacenter_says_gone(bench: Make) -> None:
    with pytest.raises(Gone, match='datacenter "old" is not one of nbg'):
        DeleteMachine(bench(nbg=5).fleet, "old/server").advance()


def test_dead_datacenter_does_not_hold_a_deletion_up(bench: Make) -> None:
    one = bench(nbg=5)
    machine = one.launch()
    one.run(machine)
    assert machine.address
    one.twins["nbg"].fault = "unreachable"
    assert one.run(DeleteMachine(one.fleet, machine.address))
    assert len(one.ids("nbg")) == 1
    one.twins["nbg"].fault = "none"
    for _ in range(5):
        time.sleep(0.01)
        one.poll()
    assert one.ids("nbg") == set()
