# SPDX-License-Identifier: Apache-2.0
"""A fleet over fake datacenters that is polled by hand, on a clock that is turned by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from zuul_suse.datacenter import Order, Quota, Server
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Demand, Fleet, Member
from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.launch import CreateMachine
from zuul_suse.fleet.threads import Machine

from .clock import Clock

NEED = Quota(1, 2, 4096)


def demand(images: Mapping[str, str] | None = None, need: Quota = NEED, **weights: float) -> Demand:
    """A server of that size; if there are images, only where there is one."""

    def order(name: str) -> Order | str:
        if images and name not in images:
            return "has no such image"
        return Order("np1", (images or {}).get(name, "leap"), need)

    return Demand(order, weights)


class ByHand(Machine):
    """Real threads, and time as the test turns it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock  # type: ignore[method-assign,assignment]
        self.sleep = lambda seconds: None  # type: ignore[method-assign,assignment]


class Bench:
    """The fleet and its datacenters."""

    def __init__(self, clock: Clock, **sizes: int) -> None:
        self.clock = clock
        self.twins = {name: FakeDatacenter(name, {"max-servers": size}, clock=clock) for name, size in sizes.items()}
        self.fleet = Fleet(Member(twin, rate=1e6, threads=ByHand(clock)) for twin in self.twins.values())

    def poll(self) -> None:
        """Every datacenter is listed once, a second later."""
        self.clock.now += 1
        for member in self.fleet.members.values():
            member.poller.poll()

    def poll_until(self, done: Callable[[], bool]) -> None:
        """List until it is so; what worker threads do in between takes as long as the machine is slow."""
        for _ in range(500):
            time.sleep(0.01)
            self.poll()
            if done():
                return
        pytest.fail("it never came to be")

    def launch(self, key: str = "node-1", prefer: str | None = None, **images: str) -> CreateMachine:
        return CreateMachine(self.fleet, key, demand(images), prefer=prefer, boot_timeout=60)

    def run(self, machine: CreateMachine | DeleteMachine) -> Server | bool:
        """Turn the crank until the machine has ended; real time passes only for its worker threads."""
        for _ in range(300):
            done = machine.advance()
            if done:
                return done
            time.sleep(0.01)
            self.poll()
        pytest.fail(f"still {machine.state}")

    def ids(self, name: str) -> set[str]:
        twin = self.twins[name]
        fault, twin.fault = twin.fault, "none"
        try:
            return {server.id for server in twin.list_servers()}
        finally:
            twin.fault = fault


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**sizes: int) -> Bench:
        made.append(Bench(Clock(), **sizes))
        made[-1].poll()
        return made[-1]

    yield make
    for one in made:
        one.fleet.close()
