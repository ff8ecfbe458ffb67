# SPDX-License-Identifier: Apache-2.0
"""A datacenter that has come back is found out, though others have more room and nobody needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from zuul_suse.fleet.pace import Pace

from .conftest import Bench, demand

Make = Callable[..., Bench]
SPARE = replace(demand(), spare=True)


def recovered(bench: Make) -> Bench:
    """`prg` is small, was away and is well again, and has rested; `nbg` has much room."""
    one = bench(nbg=100, prg=10)
    one.twins["prg"].fault = "create-refused"
    for number in range(3):
        one.run(one.launch(f"n{number}", prefer="prg"))
    one.twins["prg"].fault = "none"
    assert one.fleet.members["prg"].breaker.state == "open"
    one.clock.now = one.fleet.members["prg"].breaker._opened_at + 31  # type: ignore[operator]
    assert one.fleet.members["prg"].breaker.state == "half-open"
    return one


def test_spare_server_is_the_probe(bench: Make) -> None:
    one = recovered(bench)
    assert one.fleet.place([demand()]).name == "nbg"
    assert one.fleet.place([SPARE, SPARE]).name == "nbg", "several at once are no probe"
    assert one.fleet.claim({"a": SPARE}).name == "prg"
    assert one.fleet.claim({"b": SPARE}).name == "nbg", "one probe at a time"


def test_any_server_is_the_probe_when_no_spare_one_came(bench: Make) -> None:
    one = recovered(bench)
    one.clock.now += 31
    assert one.fleet.place([demand()]).name == "prg"
    assert one.run(one.launch("late"))
    assert one.fleet.members["prg"].breaker.state == "closed"


def test_list_that_hung_takes_the_datacenter_out_at_once(bench: Make) -> None:
    one = bench(nbg=100)
    twin = one.twins["nbg"]
    twin.fault = "unreachable"
    one.poll()
    assert one.fleet.members["nbg"].breaker.state == "closed"
    twin.fault = "black-hole"
    twin.released.wait = lambda _: setattr(one.clock, "now", one.clock.now + 60)  # type: ignore[assignment]
    one.poll()
    assert one.fleet.members["nbg"].breaker.state == "open"


def test_list_that_failed_is_asked_for_again_sooner_than_nothing_happens(bench: Make) -> None:
    one = bench(nbg=100)
    member, twin = one.fleet.members["nbg"], one.twins["nbg"]
    assert member._poll_due(0, 0.1) == Pace.SLOW
    twin.fault = "unreachable"
    one.poll()
    assert member.breaker.state == "closed"
    assert member._poll_due(0, 0.1) == Pace.WARY < Pace.SLOW
    one.poll()
    one.poll()
    assert member.breaker.state == "open"
    assert member._poll_due(0, 0.1) == Pace.WARY


def test_datacenter_that_is_full_again_and_again_is_left_alone_for_longer(bench: Make) -> None:
    one = bench(nbg=100)
    member = one.fleet.members["nbg"]

    def rests() -> float:
        member.is_full()
        member.is_full()  # a launch that was under way hears the same
        began = one.clock.now
        while member.candidate([demand()]).rests is not None:
            one.clock.now += 1
        return one.clock.now - began

    assert [rests() for _ in range(4)] == [30, 60, 120, 120]
    assert one.run(one.launch("arrives"))
    assert rests() == 30
