# SPDX-License-Identifier: Apache-2.0
"""How often a datacenter is listed, and how soon a server that is up is seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from zuul_suse.fleet.pace import Pace

from .clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


class Run:
    """Servers that are made and come up as told, and a poller that does what the pace says."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        self.clock, self.pace = clock, pace
        self.lists = 0
        self.lags: list[float] = []
        self._last = clock.now - 100

    def boot(self, made: Sequence[float], up: Sequence[float], seconds: float) -> None:
        began = self.clock.now
        seen: set[int] = set()
        announced: set[int] = set()
        while self.clock.now < began + seconds and len(seen) < len(made):
            now = self.clock.now - began
            for number, at in enumerate(made):
                if at <= now and number not in announced:
                    announced.add(number)
                    self.pace.coming(str(number))
            if self.clock.now >= self.pace.due(self._last, 0.3):
                self.lists += 1
                self._last = self.clock.now
                for number, at in enumerate(up):
                    if at <= now and number not in seen:
                        seen.add(number)
                        self.lags.append(now - at)
                        self.pace.came(str(number))
            self.clock.now += 0.05


def test_hundred_servers_that_come_one_after_the_other_share_lists(clock: Clock, pace: Pace) -> None:
    run = Run(clock, pace)
    run.boot([n * 0.1 for n in range(100)], [5 + n / 1.5 for n in range(100)], 120)
    lags = sorted(run.lags)
    assert len(lags) == 100
    assert run.lists <= 40
    assert lags[94] <= 2.0


def test_servers_that_come_slowly_wait_no_longer_for_their_list(clock: Clock, pace: Pace) -> None:
    """As in one of three regions on one machine: boots take long, and a server comes in two seconds."""
    run = Run(clock, pace)
    run.boot([n * 0.3 for n in range(33)], [23 + 2 * n for n in range(33)], 120)
    lags = sorted(run.lags)
    assert len(lags) == 33
    assert run.lists <= 36
    assert lags[-2] <= 2.5
    assert lags[-1] <= 3.6


def test_servers_that_come_fast_are_looked_for_more_often(clock: Clock, pace: Pace) -> None:
    run = Run(clock, pace)
    run.boot([0.0] * 100, [5 + n / 8 for n in range(100)], 60)
    assert run.lists <= 30
    assert sorted(run.lags)[-20] <= 1.5


def test_single_server_is_seen_within_a_second_and_not_looked_for_before_it_can_be_up(clock: Clock, pace: Pace) -> None:
    for _ in range(3):
        Run(clock, pace).boot([0.0], [20.0], 60)
    run = Run(clock, pace)
    run.boot([0.0], [20.0], 60)
    assert run.lags[0] <= 1.1
    assert run.lists <= 8


def test_boot_that_is_faster_than_the_last_ones_is_seen_at_the_slow_pace_at_worst(clock: Clock, pace: Pace) -> None:
    for _ in range(25):
        Run(clock, pace).boot([0.0], [100.0], 200)
    run = Run(clock, pace)
    run.boot([0.0], [3.0], 60)
    assert run.lags[0] <= 10.1


def test_while_no_boot_was_seen_yet_lists_become_rarer(clock: Clock, pace: Pace) -> None:
    run = Run(clock, pace)
    run.boot([n * 0.1 for n in range(100)], [60.0] * 100, 70)
    assert run.lists <= 21
    assert max(run.lags) <= 3.6


def test_nobody_waits_means_slow(clock: Clock, pace: Pace) -> None:
    assert pace.due(0.0, 0.1) == Pace.SLOW
    pace.coming("a")
    assert pace.due(clock.now + 2, 0.1) == clock.now + 2 + Pace.QUICK
    pace.forget("a")
    assert pace.due(0.0, 0.1) == Pace.SLOW


def test_who_waits_for_room_has_others_servers_looked_at_more_often(clock: Clock, pace: Pace) -> None:
    pace.want_room()
    assert pace.due(clock.now, 0.1) == clock.now + Pace.WARY
    clock.now += Pace.WANTED
    assert pace.due(clock.now, 0.1) == clock.now + Pace.SLOW


def test_deletions_share_lists(clock: Clock, pace: Pace) -> None:
    pace.going("a")
    assert pace.due(clock.now, 0.1) == clock.now + Pace.QUICK
    for number in range(50):
        pace.going(str(number))
    assert pace.due(clock.now, 0.1) == clock.now + Pace.RELAXED


def test_lists_are_hurried_less_and_less_for_what_does_not_go(clock: Clock, pace: Pace) -> None:
    pace.going("a")
    began = last = clock.now
    lists = [last := pace.due(last, 0.1) for _ in range(60)]
    assert sum(at <= began + 5 for at in lists) == 5
    assert sum(at <= began + 60 for at in lists) <= 20
    assert lists[-1] - lists[-2] == Pace.SLOW
    last = lists[-1]
    assert pace.due(last, 0.1, youngest=last) == last + Pace.QUICK


def test_list_that_takes_long_is_not_asked_for_again_at_once(clock: Clock, pace: Pace) -> None:
    pace.coming("a")
    assert pace.due(clock.now, 4.0) == clock.now + 6.0


def test_what_nobody_waits_for_any_more_is_forgotten(clock: Clock, pace: Pace) -> None:
    pace.coming("dropped")
    clock.now += Pace.DROPPED + 1
    assert pace.due(clock.now, 0.1) == clock.now + Pace.SLOW
