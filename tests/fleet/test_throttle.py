# SPDX-License-Identifier: Apache-2.0
"""How many creates are under way: at a cloud that has room, at one that has none, after refusals and at the end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from zuul_suse.fleet.throttle import Throttle
from zuul_suse.simulation.virtual_threads import VirtualThreads


class Cloud:
    """Makes servers on so many cores: each takes a second of one, and all that are under way share them."""

    def __init__(self, threads: VirtualThreads, cores: float) -> None:
        self._threads, self._cores = threads, cores
        self.under_way = self.most = self.asked = 0

    def create(self) -> str:
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        done = 0.0
        while done < 1.0:
            self._threads.sleep(0.05)
            done += 0.05 * min(1.0, self._cores / self.under_way)
        self.under_way -= 1
        return "made"


Make = Callable[..., tuple[Throttle, Cloud, VirtualThreads]]


@pytest.fixture
def make() -> Make:
    def made(cores: float, most: int = 8) -> tuple[Throttle, Cloud, VirtualThreads]:
        threads = VirtualThreads()
        return Throttle(threads.pool(most, "create"), most, threads.clock), Cloud(threads, cores), threads

    return made


def test_cloud_with_room_gets_as_many_at_a_time_as_are_allowed(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)
    calls = [throttle.submit(cloud.create) for _ in range(100)]
    threads.run(30)
    assert throttle.limit == cloud.most == 8
    assert {call.result(0) for call in calls} == {"made"}


def test_cloud_that_slows_down_gets_few_and_makes_as_many(make: Make) -> None:
    throttle, cloud, threads = make(cores=2)
    calls = [throttle.submit(cloud.create) for _ in range(100)]
    threads.run(54)  # 50 s is the least in which two cores can do it
    assert throttle.limit <= 4
    assert all(call.done() for call in calls)


def test_cloud_that_has_room_again_gets_more(make: Make) -> None:
    throttle, cloud, threads = make(cores=1)
    for _ in range(300):
        throttle.submit(cloud.create)
    threads.run(60)
    before = throttle.limit
    cloud._cores = 100
    threads.run(120)
    assert before <= 3 < throttle.limit


def test_cloud_that_has_less_room_gets_fewer(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)
    for _ in range(300):
        throttle.submit(cloud.create)
    threads.run(10)
    before = throttle.limit
    cloud._cores = 1
    threads.run(80)
    assert before == 8
    assert throttle.limit <= 3


def test_single_calls_now_and_then_prove_no_room(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)
    for _ in range(50):
        throttle.submit(cloud.create)
        threads.run(threads.clock() + 2)
    assert throttle.limit == Throttle.START


def test_refusals_teach_nothing_and_hold_nobody_up(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)

    def refuse() -> str:
        raise ValueError("quota")

    refused: list[Future[Any]] = [throttle.submit(refuse) for _ in range(20)]
    made = [throttle.submit(cloud.create) for _ in range(20)]
    threads.run(20)
    assert {str(call.exception(0)) for call in refused} == {"quota"}
    assert {call.result(0) for call in made} == {"made"}
    assert throttle.limit > Throttle.START, "a refusal's haste was taken for how fast a server is made"


def test_call_that_was_withdrawn_is_never_made(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)
    calls = [throttle.submit(cloud.create) for _ in range(5)]
    assert calls[4].cancel()
    threads.run(10)
    assert cloud.asked == 4
    assert [call.cancelled() for call in calls] == [False] * 4 + [True]


def test_at_the_end_what_waits_is_withdrawn(make: Make) -> None:
    throttle, cloud, threads = make(cores=100)
    calls = [throttle.submit(cloud.create) for _ in range(5)]
    throttle.close()
    threads.run(10)
    assert [call.cancelled() for call in calls[2:]] == [True] * 3
