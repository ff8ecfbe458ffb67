# SPDX-License-Identifier: Apache-2.0
"""Open, half-open, closed."""

from __future__ import annotations

import pytest

from zuul_suse.fleet.breaker import Breaker

from .clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(threshold=3, rest=30, longest_rest=100, clock=clock)


def opened(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.failed()


def test_opens_at_the_threshold(breaker: Breaker) -> None:
    breaker.failed()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.admits()
    assert not breaker.enter()


def test_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"


def test_lists_that_work_do_not_hide_launches_that_fail(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.failed("launch")
        breaker.succeeded("list")
    assert breaker.state == "open"


def test_one_probe_at_a_time_after_a_rest(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 29
    assert not breaker.enter()
    clock.now += 1
    assert breaker.state == "half-open"
    assert breaker.enter()
    assert not breaker.admits()
    assert not breaker.enter()
    breaker.leave()
    assert breaker.enter()


def test_probe_that_arrives_closes_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 30
    breaker.enter()
    breaker.succeeded()
    assert breaker.state == "closed"


def test_list_alone_does_not_close_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    breaker.succeeded("list")
    assert breaker.state == "open"


def test_list_that_comes_back_ends_the_rest_if_lists_had_failed(breaker: Breaker, clock: Clock) -> None:
    for source, state in (("list", "half-open"), ("launch", "open")):
        for rest in (0, 30, 60):  # opens, and two probes fail
            clock.now += rest
            for _ in range(3):
                breaker.failed(source)
        clock.now += 31
        assert breaker.state == "open", source
        breaker.succeeded("list")
        assert breaker.state == state, source
        breaker.succeeded()


def test_lists_that_go_on_working_shorten_no_rest(breaker: Breaker, clock: Clock) -> None:
    breaker.failed("list", hung=True)
    breaker.succeeded("list")
    for rest in (30, 60):
        clock.now += rest
        assert breaker.enter()
        breaker.failed()  # servers don't start
        breaker.succeeded("list")
    clock.now += 60
    assert breaker.state == "open"


def test_failed_probe_of_an_outage_does_not_keep_it_open_after_the_lists_are_back(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.failed("list", hung=True)
    for rest in (30, 60):
        clock.now += rest
        breaker.enter()
        breaker.failed()
    clock.now += 31
    assert breaker.state == "open"
    breaker.succeeded("list")
    assert breaker.state == "half-open"


def test_call_that_hung_opens_it_at_once(breaker: Breaker) -> None:
    breaker.failed("list", hung=True)
    assert breaker.state == "open"


def test_probe_is_overdue_when_nobody_came_for_a_while(breaker: Breaker, clock: Clock) -> None:
    assert not breaker.overdue
    opened(breaker)
    clock.now += 59
    assert breaker.state == "half-open"
    assert not breaker.overdue
    clock.now += 1
    assert breaker.overdue
    breaker.enter()
    assert not breaker.overdue


def test_each_failed_probe_doubles_the_rest(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    for rest in (30, 60, 100, 100):
        clock.now += rest - 1
        assert breaker.state == "open", rest
        clock.now += 1
        assert breaker.enter(), rest
        breaker.failed()


def test_probe_that_never_reports_is_forgotten(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 30
    assert breaker.enter()
    clock.now += 101
    assert breaker.enter()
