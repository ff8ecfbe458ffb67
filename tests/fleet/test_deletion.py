# SPDX-License-Identifier: Apache-2.0
"""Deletions of servers that won't go, as Nodepool makes them: it begins anew every ten minutes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from zuul_suse.datacenter import TryElsewhere
from zuul_suse.fleet.deletion import COMPLETE, VANISHING, DeleteMachine
from zuul_suse.fleet.pace import Pace

from .conftest import Bench, demand

Make = Callable[..., Bench]


def stuck(one: Bench, count: int, error: Exception | None = None) -> list[str]:
    """So many servers that are there for ever, whatever delete calls are answered."""
    twin, member = one.twins["nbg"], one.fleet.members["nbg"]

    def delete(server_id: str) -> None:
        twin._enter("delete")
        if error is not None:
            raise error

    for _ in range(count):
        order = demand().order("nbg")
        assert not isinstance(order, str)
        twin.create(order)
    one.poll()
    twin.delete = delete  # type: ignore[method-assign]
    return sorted(member.poller.snapshot.servers)


def hour(one: Bench, ids: list[str]) -> int:
    """Delete them as Nodepool does, for an hour; how many lists were due."""
    member = one.fleet.members["nbg"]
    began, lists, last = one.clock.now, 0, one.clock.now
    machines = [DeleteMachine(one.fleet, f"nbg/{server_id}") for server_id in ids]
    begun_at = one.clock.now
    while one.clock.now < began + 3600:
        if one.clock.now - begun_at > 600:
            begun_at = one.clock.now
            machines = [machine for machine in machines if machine.state != COMPLETE]
            machines = [DeleteMachine(one.fleet, machine.address) for machine in machines]
        for machine in machines:
            if machine.state != COMPLETE:
                machine.advance()
        pending = [machine for machine in machines if machine.state not in (COMPLETE, VANISHING)]
        if pending:
            time.sleep(0.01)  # real time passes for worker threads only
            continue
        one.clock.now += 1
        if one.clock.now >= member._poll_due(last, 0.1):
            last, lists = one.clock.now, lists + 1
            member.poller.poll()
            time.sleep(0.002)
    return lists


class Gauges:
    """The last value of each."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def gauge(self, name: str, value: float) -> None:
        self.values[name] = value

    def count(self, name: str) -> None:
        pass

    def time(self, name: str, seconds: float) -> None:
        pass


def test_gauge_counts_those_that_will_not_go(bench: Make) -> None:
    one = bench(nbg=50)
    member, gauges = one.fleet.members["nbg"], Gauges()
    member.metrics = gauges
    ids = stuck(one, 3)
    assert gauges.values["servers.stuck"] == 0
    hour(one, ids)
    assert gauges.values["servers.stuck"] == 3
    for server_id in ids:
        one.twins["nbg"]._servers.take(server_id)
    one.poll()
    assert gauges.values["servers.stuck"] == 0


@pytest.mark.parametrize("error", [None, TryElsewhere("nbg: DELETE servers: 500")])
def test_server_that_will_not_go_costs_next_to_nothing(bench: Make, error: Exception | None) -> None:
    one = bench(nbg=50)
    lists = hour(one, stuck(one, 1, error))
    assert one.twins["nbg"].calls["delete"] <= 20
    assert lists <= 3600 / Pace.SLOW + 40, "more and more rarely, then as if nobody waited"
    assert len(one.fleet.members["nbg"].reaper.stuck) == 1


def test_many_of_them_leave_room_for_creates(bench: Make) -> None:
    one = bench(nbg=50)
    ids = stuck(one, 40)
    hour(one, ids)
    assert one.twins["nbg"].calls["delete"] <= 40 * 20
    assert one.run(one.launch())


def test_it_is_over_when_the_server_goes_after_all(bench: Make) -> None:
    one = bench(nbg=5)
    (server_id,) = stuck(one, 1)
    hour(one, [server_id])
    machine = DeleteMachine(one.fleet, f"nbg/{server_id}")
    machine.advance()
    assert machine.state == VANISHING
    one.twins["nbg"]._servers.take(server_id)
    assert one.run(machine)
    one.poll()
    assert not one.fleet.members["nbg"].reaper.stuck
