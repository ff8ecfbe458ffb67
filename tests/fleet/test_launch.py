# SPDX-License-Identifier: Apache-2.0
"""Create and delete machines over fake datacenters with faults."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from zuul_suse.datacenter import Quota, Server, ServerState
from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.launch import BOOTING, CREATING, PLACING, CreateMachine, LaunchFailed
from zuul_suse.fleet.throttle import Throttle

from .conftest import Bench, demand

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
    one.poll_until(lambda: not one.ids("nbg"))
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


def test_only_so_many_creates_are_under_way_and_other_calls_are_not_held_up(bench: Make) -> None:
    one = bench(nbg=50)
    twin, member = one.twins["nbg"], one.fleet.members["nbg"]
    under_way: list[str] = []
    enter = twin._enter

    def hold(call: str) -> str:
        if call == "create":
            under_way.append(call)
            twin.released.wait(30)
        return enter(call)

    twin._enter = hold  # type: ignore[method-assign]
    machines = [one.launch(f"node-{number}") for number in range(10)]
    for machine in machines:
        machine.advance()
    one.poll_until(lambda: len(under_way) >= Throttle.START)
    time.sleep(0.1)
    assert len(under_way) == Throttle.START
    assert member.call(lambda: "answered").result(10) == "answered"
    twin.released.set()
    for machine in machines:
        assert isinstance(one.run(machine), Server)
    assert len(under_way) == 10


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


def waiting(machine: CreateMachine) -> str:
    """Why the launch waits, after it has had time to look around."""
    for _ in range(20):
        machine.advance()
        time.sleep(0.01)
    assert machine.state == PLACING
    return machine.waits


def test_no_room_anywhere_is_waited_for(bench: Make) -> None:
    one = bench(nbg=1, prg=1)
    for key in ("a", "b"):
        one.run(one.launch(key))
    third = one.launch("c")
    assert re.search(r"nbg: free: 0 servers.*prg: free: 0 servers", waiting(third))
    one.twins["prg"].delete(next(iter(one.ids("prg"))))
    assert one.run(third)
    assert str(third.address).startswith("prg/")


def test_waiting_launches_look_for_room_once_a_second(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench(nbg=0)
    machine = one.launch()
    looks = []
    place = one.fleet.place
    monkeypatch.setattr(one.fleet, "place", lambda *args, **kwargs: looks.append(1) or place(*args, **kwargs))
    for _ in range(40):
        machine.advance()
        one.clock.now += 0.25
    assert 9 <= len(looks) <= 11


@pytest.mark.parametrize("fault", ["no-capacity", "no-host"])
def test_datacenter_that_is_full_is_left_alone_for_a_while_and_not_blamed(bench: Make, fault: str) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = fault
    for key in "abcd":
        machine = one.launch(key)
        one.run(machine)
        assert str(machine.address).startswith("prg/")
    assert one.twins["nbg"].calls["create"] == 1
    assert one.fleet.members["nbg"].breaker.state == "closed"
    one.twins["nbg"].fault = "none"
    one.clock.now += 31
    machine = one.launch("e")
    assert one.run(machine)
    assert str(machine.address).startswith("nbg/")
    for _ in range(5):
        time.sleep(0.01)
        one.poll()
    assert len(one.ids("nbg")) == 1


def test_datacenter_is_left_alone_for_as_long_as_it_asks(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "too-many-requests"
    machine = one.launch("a")
    one.run(machine)
    assert str(machine.address).startswith("prg/")
    calls = dict(one.twins["nbg"].calls)
    for _ in range(5):
        one.poll()
    assert one.fleet.members["nbg"].breaker.state == "closed"
    assert one.twins["nbg"].calls == calls, "it was asked though it wanted to be left alone"
    one.twins["nbg"].fault = "none"
    one.clock.now += 60
    one.poll()
    machine = one.launch("b")
    assert one.run(machine)
    assert str(machine.address).startswith("nbg/")


def test_every_datacenter_is_tried_once_before_a_launch_fails(bench: Make) -> None:
    one = bench(nbg=50, prg=40, bln=30, ffm=20)
    for twin in one.twins.values():
        twin.fault = "create-refused"
    with pytest.raises(LaunchFailed):
        one.run(one.launch())
    assert {name: twin.calls["create"] for name, twin in one.twins.items()} == dict.fromkeys(one.twins, 1)


def test_launch_that_failed_waits_for_a_full_datacenter_and_tries_again_meanwhile(bench: Make) -> None:
    one = bench(nbg=50, prg=0)
    size = Quota(1, 10, 99999)
    one.fleet.members["prg"].poller.snapshot = replace(
        one.fleet.members["prg"].poller.snapshot,
        limits=size,
        servers={"full": Server("full", "full", ServerState.ACTIVE, need=size)},
    )
    one.twins["nbg"].fault = "create-refused"
    machine = one.launch()
    while machine.state == PLACING and not machine.waits:
        machine.advance()
        time.sleep(0.01)
    while not machine.waits:
        machine.advance()
        time.sleep(0.01)
    assert "internal server error" in machine.waits
    one.twins["nbg"].fault = "none"
    one.clock.now += 31
    machine.advance()
    assert machine.datacenter == "nbg"


def test_label_that_no_datacenter_can_make_fails_at_once(bench: Make) -> None:
    one = bench(nbg=5)
    with pytest.raises(LaunchFailed, match="nbg: has no such image"):
        one.run(one.launch(elsewhere="leap"))


def hanging(one: Bench) -> CreateMachine:
    """A launch whose create call has had no answer for 29 s; its boot may take 60."""
    one.twins["nbg"].fault = "black-hole"
    machine = one.launch()
    machine.advance()
    time.sleep(0.05)
    one.clock.now += 29
    machine.advance()
    assert machine.datacenter == "nbg"
    return machine


def test_create_call_that_hangs_is_left_after_half_a_minute(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    machine = hanging(one)
    one.clock.now += 2
    machine.advance()
    assert machine.datacenter == "prg"
    one.twins["nbg"].released.set()


def test_launch_that_waits_for_a_thread_leaves_when_the_breaker_opens(bench: Make) -> None:
    one = bench(nbg=50, prg=20)
    one.twins["nbg"].fault = "black-hole"
    machines = [one.launch(f"n{number}", prefer="nbg") for number in range(5)]
    for machine in machines:
        machine.advance()
    time.sleep(0.05)
    for _ in range(3):
        one.fleet.members["nbg"].breaker.failed()
    for machine in machines:
        machine.advance()
    assert [machine.datacenter for machine in machines] == ["nbg"] * 2 + ["prg"] * 3
    one.twins["nbg"].released.set()


def test_datacenter_that_is_full_is_asked_for_its_limits_again(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "no-capacity"
    one.run(one.launch())
    one.twins["nbg"].fault = "none"
    one.poll()
    assert one.twins["nbg"].calls["limits"] == 2
    one.poll()
    assert one.twins["nbg"].calls["limits"] == 2


def test_overloaded_datacenter_is_better_than_none(bench: Make) -> None:
    one = bench(nbg=50)
    machine = hanging(one)
    one.clock.now += 30
    machine.advance()
    assert machine.datacenter == "nbg"
    one.clock.now += 2
    with pytest.raises(LaunchFailed, match="nbg: no answer to the create call"):
        machine.advance()
    one.twins["nbg"].released.set()


@pytest.mark.parametrize("others", [{}, {"prg": 5}])
def test_server_is_left_when_the_list_hangs_only_if_there_is_room_elsewhere(
    bench: Make, others: dict[str, int]
) -> None:
    one = bench(nbg=50, **others)
    one.twins["nbg"].fault = "never-boots"
    machine = one.launch()
    while machine.state != BOOTING:
        machine.advance()
        time.sleep(0.01)
    poller = one.fleet.members["nbg"].poller
    poller._asking, poller.asked_at = True, one.clock.now
    one.clock.now += 21
    machine.advance()
    assert machine.datacenter == ("prg" if others else "nbg")


def test_server_is_exposed_before_it_counts_as_reachable(bench: Make) -> None:
    one = bench(nbg=50)
    one.twins["nbg"].hides = one.twins["nbg"].exposes = True
    machine = one.launch()
    server = one.run(machine)
    assert isinstance(server, Server)
    assert server.ipv4 == f"fake-floating-{server.id}"
    assert one.twins["nbg"].calls["expose"] == 1


@pytest.mark.parametrize("fault", ["expose-refused", "no-addresses"])
def test_server_that_gets_no_address_is_left(bench: Make, fault: str) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].hides = one.twins["nbg"].exposes = True
    one.twins["nbg"].fault = fault
    machine = one.launch()
    one.run(machine)
    assert str(machine.address).startswith("prg/")
    blamed = one.fleet.members["nbg"].breaker._failures["launch"]
    assert blamed == (1 if fault == "expose-refused" else 0)
    one.twins["nbg"].fault = "none"
    one.poll_until(lambda: not one.ids("nbg"))


def test_console_of_a_server_that_does_not_boot_is_logged_before_it_goes(
    bench: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "never-boots"
    machine = CreateMachine(one.fleet, "a", demand(), boot_timeout=60, console_log=True)
    one.run(machine)
    one.poll_until(lambda: "which its launch left behind" in caplog.text)
    assert "a fake server has nothing to say" in caplog.text
    assert caplog.text.index("nothing to say") < caplog.text.index("which its launch left behind")
    assert one.ids("nbg") == set()


def test_no_console_is_read_unless_it_is_wanted(bench: Make) -> None:
    one = bench(nbg=50, prg=5)
    one.twins["nbg"].fault = "never-boots"
    one.run(one.launch())
    assert "console_log" not in one.twins["nbg"].calls


def test_claims_hold_room_until_the_list_shows_the_server(bench: Make) -> None:
    one = bench(nbg=2)
    first, second, third = (one.launch(key) for key in "abc")
    first.advance()
    second.advance()
    assert waiting(third)
    one.run(first)
    one.run(second)
    candidate = one.fleet.members["nbg"].candidate([demand()])
    assert candidate.used == 2
    assert candidate.free is not None
    assert candidate.free.instances == 0


def test_claim_of_a_dropped_launch_expires(bench: Make) -> None:
    one = bench(nbg=1)
    one.fleet.claim({"dropped": demand()})
    assert one.fleet.place([demand()]).name is None
    one.clock.now += 121
    assert one.fleet.place([demand()]).name == "nbg"


def test_room_for_a_whole_request_is_claimed_in_one_datacenter_or_not_at_all(bench: Make) -> None:
    one = bench(nbg=3, prg=2)
    assert one.fleet.claim({key: demand() for key in "abcd"}).name is None
    assert one.fleet.claim({key: demand() for key in "abc"}).name == "nbg"
    assert one.fleet.claim({key: demand() for key in "def"}).name is None
    assert one.fleet.claim({key: demand() for key in "de"}).name == "prg"


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
    assert "its breaker is open" in waiting(one.launch("a"))
    one.twins["nbg"].fault = "none"
    one.clock.now += 31
    first, second = one.launch("b"), one.launch("c")
    first.advance()
    second.advance()
    assert re.search(r"breaker is half-open|probe is under way", second.waits)
    assert one.run(first)
    assert one.fleet.members["nbg"].breaker.state == "closed"


def test_probe_that_hears_that_it_is_full_closes_the_breaker(bench: Make) -> None:
    one = bench(nbg=50)
    one.twins["nbg"].fault = "unreachable"
    for _ in range(3):
        one.poll()
    one.twins["nbg"].fault = "no-capacity"
    one.clock.now += 31
    one.poll()
    waiting(one.launch("a"))
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


def test_dead_datacenter_does_not_hold_a_deletion_up(bench: Make) -> None:
    one = bench(nbg=5)
    machine = one.launch()
    one.run(machine)
    assert machine.address
    one.twins["nbg"].fault = "unreachable"
    assert one.run(DeleteMachine(one.fleet, machine.address))
    assert len(one.ids("nbg")) == 1
    one.twins["nbg"].fault = "none"
    one.poll_until(lambda: not one.ids("nbg"))
