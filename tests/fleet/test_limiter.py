# SPDX-License-Identifier: Apache-2.0
"""Requests per second."""

from __future__ import annotations

from zuul_suse.datacenter import LONGEST_REST
from zuul_suse.fleet.limiter import Limiter

from .clock import Clock


def test_turns_are_a_gap_apart() -> None:
    clock = Clock()
    limiter = Limiter(4, clock=clock, sleep=clock.sleep)
    for _ in range(9):
        limiter.wait()
    assert clock.now == 1002.0


def test_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    limiter = Limiter(1, clock=clock, sleep=clock.sleep)
    clock.now += 100
    for _ in range(3):
        limiter.wait()
    assert clock.now == 1102.0


def test_burst_is_saved_up() -> None:
    clock = Clock()
    limiter = Limiter(1, burst=3, clock=clock, sleep=clock.sleep)
    clock.now += 100
    for _ in range(4):
        limiter.wait()
    assert clock.now == 1101.0


def test_nobody_gets_a_turn_while_the_datacenter_rests_and_turns_are_a_gap_apart_after() -> None:
    clock = Clock()
    limiter = Limiter(1, clock=clock, sleep=clock.sleep)
    limiter.wait()
    limiter.rest(30)
    assert limiter.rests_for == 30
    limiter.wait()
    assert clock.now == 1030.0
    limiter.wait()
    assert clock.now == 1031.0
    assert limiter.rests_for == 0


def test_who_waits_for_a_turn_as_the_rest_begins_waits_for_its_end() -> None:
    clock = Clock()
    limiter = Limiter(1, clock=clock, sleep=lambda seconds: rest_once() or clock.sleep(seconds))
    rests = [30.0]

    def rest_once() -> None:
        if rests:
            limiter.rest(rests.pop())

    limiter.wait()
    limiter.wait()
    assert clock.now >= 1030.0


def test_rest_has_an_end_whatever_was_asked_for() -> None:
    clock = Clock()
    limiter = Limiter(1, clock=clock, sleep=clock.sleep)
    limiter.rest(1e9)
    assert limiter.rests_for == LONGEST_REST
