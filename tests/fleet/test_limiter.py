# SPDX-License-Identifier: Apache-2.0
"""Requests per second."""

from __future__ import annotations

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
