# SPDX-License-Identifier: Apache-2.0
"""Who waits, who overtakes, and for whom a datacenter or a pool is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zuul_suse.datacenter import Quota
from zuul_suse.fleet import Member
from zuul_suse.fleet.queue import SPARE_RANK, Queue

from .conftest import Bench, demand

Make = Callable[..., Bench]
CHECK, GATE = ("200", 0), ("100", 0)


@pytest.fixture
def one(bench: Make) -> Bench:
    return bench(nbg=5, prg=3)


@pytest.fixture
def queue(one: Bench) -> Queue:
    return Queue(one.fleet, patience=60)


def wait(queue: Queue, key: str, count: int = 4, rank: tuple[str, int] = CHECK, lacks_pool: bool = False) -> None:
    queue.wait(key, "main", rank, [demand()] * count, lacks_pool)


def test_nothing_is_kept_while_nobody_waits(queue: Queue) -> None:
    assert queue.closed_to("x", "main", CHECK) == {}
    assert queue.first("main") is None


def test_others_pass_at_first_and_spare_servers_do_not(queue: Queue) -> None:
    wait(queue, "large")
    assert queue.closed_to("small", "main", CHECK) == {}
    assert queue.closed_to("spare", "main", SPARE_RANK, spare=True) == {"nbg": "kept for request large"}


def test_datacenter_is_kept_when_patience_is_over_and_only_that_one(one: Bench, queue: Queue) -> None:
    wait(queue, "large")
    one.clock.now += 59
    wait(queue, "large")
    assert queue.closed_to("small", "main", CHECK) == {}
    one.clock.now += 2
    wait(queue, "large")
    assert queue.closed_to("small", "main", CHECK) == {"nbg": "kept for request large"}
    assert queue.closed_to("small", "other pool", CHECK) == {"nbg": "kept for request large"}
    assert queue.closed_to("large", "main", CHECK) == {}
    assert queue.closed_to("urgent", "main", GATE) == {}


def test_what_waits_longer_or_is_more_important_is_first(one: Bench, queue: Queue) -> None:
    wait(queue, "a")
    one.clock.now += 1
    wait(queue, "b")
    first = queue.first("main")
    assert first is not None
    assert first.key == "a"
    wait(queue, "c", rank=GATE)
    first = queue.first("main")
    assert first is not None
    assert first.key == "c"


def test_two_pools_never_keep_the_same_datacenter_from_each_other(one: Bench, queue: Queue) -> None:
    queue.wait("a", "main", CHECK, [demand()] * 4, False)
    one.clock.now += 1
    queue.wait("b", "other", CHECK, [demand()] * 4, False)
    one.clock.now += 10
    for key, pool in (("a", "main"), ("b", "other")):
        queue.wait(key, pool, CHECK, [demand()] * 4, False)
    queue._patience = 5
    assert queue.closed_to("a", "main", CHECK) == {}
    assert queue.closed_to("b", "other", CHECK) == {"nbg": "kept for request a"}


def test_target_is_where_it_fits_soonest_counting_spare_servers(one: Bench) -> None:
    for name in ("nbg", "prg"):
        one.fleet.claim({f"{name}-{n}": demand() for n in range(3)}, prefer=name)
    plain = Queue(one.fleet, 60)
    wait(plain, "x", count=3)
    assert (first := plain.first("main")) is not None
    assert first.target == "nbg"
    spare = Queue(one.fleet, 60, lambda name: Quota(3, 6, 3 * 4096) if name == "prg" else Quota())
    wait(spare, "x", count=3)
    assert (first := spare.first("main")) is not None
    assert first.target == "prg"


def test_target_moves_when_its_datacenter_goes_out(one: Bench, queue: Queue) -> None:
    wait(queue, "x", count=3)
    assert (first := queue.first("main")) is not None
    assert first.target == "nbg"
    for _ in range(3):
        one.fleet.members["nbg"].breaker.failed()
    one.clock.now += 2
    assert (first := queue.first("main")) is not None
    assert first.target == "prg"


def test_pool_is_kept_for_what_lacks_room_in_it(one: Bench, queue: Queue) -> None:
    wait(queue, "large", lacks_pool=True)
    assert queue.closed_to("small", "main", CHECK) == {}
    for _ in range(7):
        one.clock.now += 10
        wait(queue, "large", lacks_pool=True)
    assert queue.closed_to("small", "main", CHECK) is None
    assert queue.closed_to("small", "other", CHECK) == {}
    assert queue.closed_to("large", "main", CHECK) == {}


def test_withdrawn_request_is_forgotten(one: Bench, queue: Queue) -> None:
    wait(queue, "gone")
    one.clock.now += 16
    assert queue.first("main") is None
    assert len(queue) == 0


def test_time_of_waiting_is_told(one: Bench, queue: Queue) -> None:
    wait(queue, "x")
    one.clock.now += 7
    assert queue.leave("x") == 7
    assert queue.leave("x") == 0


def test_withdrawn_request_that_the_shell_drops_makes_way_at_once(one: Bench, queue: Queue) -> None:
    wait(queue, "gone")
    wait(queue, "next")
    assert (first := queue.first("main")) is not None
    assert first.key == "gone"
    queue.drop(lambda key: key == "gone")
    assert (first := queue.first("main")) is not None
    assert first.key == "next"


class Rank:
    """One that counts how often it is compared."""

    compared = 0

    def __init__(self, value: int) -> None:
        self.value = value

    def __lt__(self, other: Rank) -> bool:
        Rank.compared += 1
        return self.value < other.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rank) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


def test_work_does_not_grow_with_the_square_of_those_who_wait(
    one: Bench, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass of a PoolWorker asks with every request for the first of them; every rank differs, as in Zuul."""
    looks: list[str] = []
    candidate = Member.candidate
    monkeypatch.setattr(Member, "candidate", lambda self, demands: looks.append(self.name) or candidate(self, demands))
    demands = [demand()] * 4
    count, passes = 400, 5
    for number in range(passes):
        one.clock.now += 1
        for key in range(count):
            first = queue.first("main")
            assert first is None or first.key == "0"
            queue.closed_to(str(key), "main", Rank(key + number % 2))
            queue.wait(str(key), "main", Rank(key + number % 2), demands, False)
    assert len(queue) == count
    assert len(looks) <= 2 * passes + 2, "one look at each datacenter in a pass"
    assert Rank.compared < passes * count * 20
    one.clock.now += 1
    for key in range(count):
        first = queue.first("main")
        assert first is not None
        assert first.key == str(key)
        queue.leave(str(key))
    assert queue.first("main") is None


def test_target_is_kept_when_a_rank_changes(one: Bench, queue: Queue) -> None:
    wait(queue, "x", rank=CHECK)
    assert (first := queue.first("main")) is not None
    wait(queue, "x", rank=GATE)
    assert (again := queue.first("main")) is not None
    assert (again.target, again.since, again.rank) == (first.target, first.since, GATE)
