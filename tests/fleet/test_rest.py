# SPDX-License-Identifier: Apache-2.0
"""Datacenters that ask to be left alone: obeyed for every call, and an outage when nothing else comes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from zuul_suse.datacenter import LONGEST_REST, DatacenterError, NoCapacity, TryElsewhere
from zuul_suse.fleet.breaker import Breaker
from zuul_suse.fleet.launch import CreateMachine
from zuul_suse.fleet.metrics import LeftAlone

from .conftest import Bench, demand

Make = Callable[..., Bench]


def refuse(one: Bench, call: str, error: Callable[[], DatacenterError]) -> None:
    """Have every call of this name fail with it, behind the gate."""
    twin = one.twins["nbg"]
    play = twin._play_fault

    def played(name: str) -> str:
        fault = play(name)
        if name == call:
            raise error()
        return fault

    twin._play_fault = played  # type: ignore[method-assign]


def answered(one: Bench, machine: CreateMachine) -> None:
    """Turn the launch until its create call was answered; no time passes."""
    for _ in range(500):
        machine.advance()
        if machine.waits:
            return
        time.sleep(0.01)
    pytest.fail("no answer")


def test_next_list_waits_for_as_long_as_the_datacenter_asks(bench: Make) -> None:
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    member.pace.coming("node-1")
    one.twins["nbg"].fault = "too-many-requests"
    one.poll()
    assert member._poll_due(one.clock.now, 0.1) == one.clock.now + 60
    assert str(one.fleet.place([demand()])) == "nbg: wants to be left alone for 60 s"


def test_unbroken_row_of_such_answers_is_an_outage(bench: Make) -> None:
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    refuse(one, "list_servers", lambda: NoCapacity("nbg: too many requests", 5.0))
    for _ in range(3):
        one.poll()
        assert member.limiter.rests_for == 5
        one.clock.now += 5
    assert member.breaker.state == "open"
    assert one.fleet.place([demand()]).name is None


def test_limits_that_are_put_off_hide_no_outage(bench: Make) -> None:
    """Every answer asks for a minute: limits that are due before each list must not keep lists from being asked for."""
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    one.twins["nbg"].fault = "too-many-requests"
    one.clock.now += 301
    for _ in range(4):
        member.poller.poll()
        one.clock.now += 60
    assert one.twins["nbg"].calls["list_servers"] == 1 + 3
    assert member.breaker.state != "closed"
    one.twins["nbg"].fault = "none"
    limits = one.twins["nbg"].calls["limits"]
    member.poller.poll()
    assert one.twins["nbg"].calls["limits"] == limits + 1


def test_list_that_was_not_asked_for_is_no_failure(bench: Make) -> None:
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    member.limiter.rest(60)
    for _ in range(5):
        one.poll()
    assert member.breaker.state == "closed"
    assert one.twins["nbg"].calls["list_servers"] == 1


def test_failing_lists_become_rarer_though_servers_are_awaited(bench: Make) -> None:
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    member.breaker = Breaker(threshold=99, clock=one.clock)
    for key in ("node-1", "node-2"):
        member.pace.coming(key)
        one.clock.now += 1
    member.pace.came("node-1")
    gaps = []
    for error in (NoCapacity("nbg: too many requests", 0.0), *[TryElsewhere("nbg: down")] * 5):
        member.poller._list_servers = lambda error=error: (_ for _ in ()).throw(error)  # type: ignore[misc]
        one.poll()
        gaps.append(member._poll_due(one.clock.now, 0.1) - one.clock.now)
    assert gaps == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(
    ("hint", "rests"),
    [(0.0, 30.0), (-1.0, 30.0), (float("nan"), 30.0), (5.0, 5.0), (200.0, 200.0), (1e9, LONGEST_REST)],
)
def test_hint_of_a_full_datacenter_has_bounds_in_placement_too(bench: Make, hint: float, rests: float) -> None:
    one = bench(nbg=5)
    member = one.fleet.members["nbg"]
    refuse(one, "create", lambda: NoCapacity("nbg: Quota exceeded", hint))
    answered(one, one.launch())
    began = one.clock.now
    while member.candidate([demand()]).rests is not None:
        one.clock.now += 1
    assert one.clock.now - began == rests


def test_creates_that_are_put_off_again_and_again_become_rarer(bench: Make) -> None:
    one = bench(nbg=5)
    refuse(one, "create", lambda: NoCapacity("nbg: too many requests", 1.0))
    machine = one.launch()
    for _ in range(120):
        for _ in range(5):
            machine.advance()
            time.sleep(0.002)
        one.poll()
    assert 5 <= one.twins["nbg"].calls["create"] <= 9


def test_request_that_is_not_made_names_the_time_that_is_left(bench: Make) -> None:
    one = bench(nbg=5)
    one.fleet.members["nbg"].limiter.rest(60)
    with pytest.raises(LeftAlone, match="nbg: wants to be left alone for 60 s more"):
        one.twins["nbg"].limits()
