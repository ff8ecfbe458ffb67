# SPDX-License-Identifier: Apache-2.0
"""Threads on a virtual clock behave as threads do, and no time passes."""

from __future__ import annotations

import threading
import time

import pytest

from zuul_suse.fleet.limiter import Limiter
from zuul_suse.simulation.virtual_threads import BlockedError, VirtualThreads


@pytest.fixture
def threads() -> VirtualThreads:
    return VirtualThreads()


def test_sleepers_wake_in_the_order_of_their_time(threads: VirtualThreads) -> None:
    seen: list[tuple[float, str]] = []

    def sleeper(name: str, seconds: float) -> None:
        for _ in range(2):
            threads.sleep(seconds)
            seen.append((threads.clock(), name))

    real = threading.active_count()  # other tests' and the runner's own
    threads.start(lambda: sleeper("slow", 1000), "slow")
    threads.start(lambda: sleeper("quick", 400), "quick")
    began = time.monotonic()
    threads.run(5000)
    assert time.monotonic() - began < 1
    assert seen == [(400, "quick"), (800, "quick"), (1000, "slow"), (2000, "slow")]
    assert threads.clock() == 5000
    assert threading.active_count() <= real


def test_pool_has_so_many_workers_and_the_others_queue(threads: VirtualThreads) -> None:
    pool = threads.pool(2, "pool")

    def work() -> float:
        threads.sleep(10)
        return threads.clock()

    calls = [pool.submit(work) for _ in range(4)]
    late = pool.submit(work)
    late.cancel()
    threads.run(15)
    assert [call.done() for call in calls] == [True, True, False, False]
    threads.run(100)
    assert [call.result(0) for call in calls] == [10, 10, 20, 20]
    assert late.cancelled()


def test_error_in_a_call_is_its_result(threads: VirtualThreads) -> None:
    call = threads.pool(1, "pool").submit(lambda: 1 / 0)
    threads.run(1)
    with pytest.raises(ZeroDivisionError):
        call.result(0)


def test_signal_wakes_at_once_and_a_timeout_in_its_time(threads: VirtualThreads) -> None:
    signal = threads.signal()
    seen: list[tuple[float, bool]] = []

    def waiter() -> None:
        for _ in range(2):
            seen.append((threads.clock(), signal.wait(10)))
            signal.clear()
        seen.append((threads.clock(), signal.wait()))

    threads.start(waiter, "waiter")
    threads.at(3, signal.set)
    threads.at(50, signal.set)
    threads.run(100)
    assert [given for _, given in seen] == [True, False, True]
    assert seen[-1][0] == 13
    threads.close()


def test_limiter_of_the_fleet_waits_in_virtual_time(threads: VirtualThreads) -> None:
    limiter = Limiter(2, clock=threads.clock, sleep=threads.sleep)
    turns: list[float] = []

    def caller() -> None:
        limiter.wait()
        turns.append(threads.clock())

    for number in range(4):
        threads.start(caller, str(number))
    threads.run(10)
    assert turns == [0, 0.5, 1, 1.5]


def test_waiting_outside_of_a_thread_is_told(threads: VirtualThreads) -> None:
    with pytest.raises(BlockedError):
        threads.sleep(1)


def test_threads_that_wait_for_ever_are_ended(threads: VirtualThreads) -> None:
    ended: list[str] = []

    def waiter() -> None:
        try:
            threads.signal().wait()
        finally:
            ended.append("waiter")

    threads.start(waiter, "waiter")
    threads.run(1)
    threads.close()
    assert ended == ["waiter"]
