# SPDX-License-Identifier: Apache-2.0
"""Launches of one request end in one datacenter, whatever happens to which of them and when."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from zuul_suse.datacenter import NoCapacity, Order, Quota, TryElsewhere, WrongConfiguration
from zuul_suse.fleet.group import Groups
from zuul_suse.fleet.launch import CHECKING, COMPLETE, CreateMachine, LaunchFailed

from .conftest import Bench, demand

Make = Callable[..., Bench]


class Request:
    """A request for some nodes, as a shell handles it."""

    def __init__(self, one: Bench, count: int, checked: bool = False, prefer: str | None = None) -> None:
        self.one = one
        self.keys = [f"node-{number}" for number in range(count)]
        claimed = one.fleet.claim({f"request:{key}": demand() for key in self.keys}, prefer=prefer)
        assert claimed.name is not None, claimed
        self.began_in = claimed.name
        for key in self.keys:
            one.fleet.rename(f"request:{key}", key)
        self.machines = {key: self.machine(key, checked) for key in self.keys}

    def machine(self, key: str, checked: bool = False) -> CreateMachine:
        return CreateMachine(self.one.fleet, key, demand(), prefer=self.began_in, boot_timeout=60, checked=checked)

    def turn(self) -> list[str]:
        """Every machine once; the datacenters of those that have a server."""
        arrived = [key for key, machine in self.machines.items() if machine.advance()]
        time.sleep(0.005)
        self.one.poll()
        return [str(self.machines[key].address).split("/")[0] for key in arrived]

    def run(self) -> list[str]:
        for _ in range(500):
            arrived = self.turn()
            if len(arrived) == len(self.machines):
                return arrived
        pytest.fail(f"still {[(machine.state, machine.waits) for machine in self.machines.values()]}")


def fails_once(one: Bench, name: str, number: int, error: Exception) -> None:
    """The datacenter's nth create fails, the others work."""
    twin = one.twins[name]
    create, count = twin.create, [0]

    def counting(order: Order) -> str:
        count[0] += 1
        if count[0] == number:
            raise error
        return create(order)

    twin.create = counting  # type: ignore[method-assign]


def holds(one: Bench, **counts: int) -> None:
    """So many servers are there in the end, and nothing else is claimed."""
    for twin in one.twins.values():
        twin.fault = "none"
    one.poll_until(lambda: {name: len(one.ids(name)) for name in one.twins} == counts)


@pytest.mark.parametrize("fault", ["create-refused", "no-capacity", "server-error", "no-host", "never-boots"])
def test_request_whose_datacenter_fails_moves_as_one(bench: Make, fault: str) -> None:
    one = bench(a=60, b=10, c=10)
    one.twins["a"].fault = fault
    request = Request(one, 3)
    assert request.began_in == "a"
    assert request.run() == ["b"] * 3
    holds(one, a=0, b=3, c=0)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "error", [NoCapacity("Quota exceeded"), TryElsewhere("500"), WrongConfiguration("403 policy")], ids=repr
)
def test_one_create_of_three_that_fails_moves_all(bench: Make, number: int, error: Exception) -> None:
    one = bench(a=60, b=10)
    fails_once(one, "a", number, error)
    assert Request(one, 3).run() == ["b"] * 3
    holds(one, a=0, b=3)


@pytest.mark.parametrize("checked", [False, True])
def test_servers_that_are_up_are_given_up_when_the_last_one_fails(bench: Make, checked: bool) -> None:
    one = bench(a=60, b=10)
    request = Request(one, 3, checked)
    late = request.machines.pop("node-2")
    for _ in range(20):
        arrived = request.turn()
    assert {machine.state for machine in request.machines.values()} == {COMPLETE if checked else CHECKING}
    assert arrived == (["a", "a"] if checked else []), "a server was handed out while its request may still move"
    one.twins["a"].fault = "server-error"
    request.machines["node-2"] = late
    assert not late.advance()
    while late.datacenter != "b":
        request.turn()
    assert request.run() == ["b"] * 3
    holds(one, a=0, b=3)


def test_datacenter_that_goes_out_is_left_by_all_though_one_is_ready(bench: Make) -> None:
    one = bench(a=60, b=10)
    request = Request(one, 3)
    late = [request.machines.pop(key) for key in ("node-1", "node-2")]
    for _ in range(20):
        request.turn()
    one.twins["a"].fault = "unreachable"
    for _ in range(3):
        one.poll()
    request.machines |= dict(zip(("node-1", "node-2"), late, strict=True))
    assert request.run() == ["b"] * 3
    holds(one, a=0, b=3)


def test_request_moves_only_where_all_of_it_has_room(bench: Make) -> None:
    one = bench(a=60, small=2, b=5)
    one.twins["a"].fault = "create-refused"
    assert Request(one, 3).run() == ["b"] * 3
    assert "create" not in one.twins["small"].calls


def test_launch_retries_beside_the_others_where_nothing_else_has_room(bench: Make) -> None:
    one = bench(a=60, small=2)
    fails_once(one, "a", 2, NoCapacity("Quota exceeded"))
    request = Request(one, 3)
    assert request.run() == ["a"] * 3
    assert one.twins["a"].calls["create"] == 3
    holds(one, a=3, small=0)


def test_launch_without_a_claim_goes_beside_the_others(bench: Make) -> None:
    """As Nodepool makes one for a ready node that somebody else was quicker to take."""
    one = bench(a=4, b=60)
    request = Request(one, 2, prefer="a")
    one.fleet.join(one.fleet.group_of("node-0"), "late", demand())
    request.machines["late"] = request.machine("late")
    assert request.run() == ["a"] * 3
    assert "create" not in one.twins["b"].calls


def test_launch_that_the_shell_begins_anew_takes_all_with_it(bench: Make) -> None:
    """Nodepool's retry after a failed scan of host keys."""
    one = bench(a=60, b=10)
    request = Request(one, 3, checked=True)
    assert request.run() == ["a"] * 3
    assert not request.machines["node-0"].is_settled(), "the others may still fail"
    request.machines["node-1"].reject("no host keys")
    request.machines["node-1"].abandon()
    request.machines["node-1"] = CreateMachine(one.fleet, "node-1", demand(), avoid={"a"}, checked=True)
    request.turn()
    assert request.machines["node-0"].has_moved or request.machines["node-0"].state != COMPLETE
    assert request.run() == ["b"] * 3
    assert [machine.is_settled() for machine in request.machines.values()] == [False, False, True]
    assert request.machines["node-0"].is_settled()
    holds(one, a=1, b=3)  # the shell deletes what it found wanting itself


def test_request_that_no_datacenter_can_make_fails_and_asks_each_once_for_each_node(bench: Make) -> None:
    one = bench(a=60, b=50, c=40)
    for twin in one.twins.values():
        twin.fault = "create-refused"
    request = Request(one, 3)
    with pytest.raises(LaunchFailed, match=r"(\w: internal server error(; )?){3}$"):
        request.run()
    assert all(twin.calls["create"] <= 3 for twin in one.twins.values())


def test_request_whose_only_datacenter_dies_fails_after_a_while(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench(a=60)
    request = Request(one, 3)
    late = request.machines.pop("node-2")
    for _ in range(20):
        request.turn()
    one.twins["a"].fault = "unreachable"
    for _ in range(3):
        one.poll()
    request.machines["node-2"] = late
    with pytest.raises(LaunchFailed):
        request.run()
    late.abandon()
    request.machines["node-2"] = request.machine("node-2")
    monkeypatch.setattr(CreateMachine, "OUTAGE", 60.0)
    with pytest.raises(LaunchFailed):
        request.run()


def test_launch_that_waits_for_room_does_not_hold_the_others_servers_for_ever(bench: Make) -> None:
    """Two requests that each hold what the other one waits for would never end."""
    one = bench(a=3)
    fails_once(one, "a", 2, NoCapacity("Quota exceeded"))
    request = Request(one, 3)
    while len(one.ids("a")) < 2:
        request.turn()
    foreign = one.twins["a"].create(Order("foreign", "leap", Quota(1, 2, 4096)))
    for _ in range(20):
        request.turn()
    waits = [machine.wanted() for machine in request.machines.values()]
    assert sorted(len(wanted) for wanted in waits) == [0, 0, 1], "it waits for one server, beside the others"
    for _ in range(20):
        one.clock.now += 20
        request.turn()
    one.poll_until(lambda: one.ids("a") == {foreign})
    request.turn()
    assert [len(machine.wanted()) for machine in request.machines.values()] == [3, 0, 0], "one stands for all"
    one.twins["a"].delete(foreign)
    assert request.run() == ["a"] * 3


def test_kept_servers_are_replaced_when_the_request_moves(bench: Make) -> None:
    one = bench(a=60, small=2, b=3)
    request = Request(one, 2)
    group = one.fleet.group_of("node-0")
    assert group is not None
    one.fleet.keep(group, {"kept": demand()}, "a")
    one.twins["a"].fault = "create-refused"
    while group.datacenter == "a":
        request.turn()
    assert group.datacenter == "b", "there is no room for the kept one in the small datacenter"
    for _ in range(30):
        assert not request.turn(), "a server was handed out while one of its request's isn't made"
    request.machines["kept"] = CreateMachine(one.fleet, "kept", demand())
    assert request.run() == ["b"] * 3


def test_kept_server_stays_while_launches_retry_beside_it(bench: Make) -> None:
    one = bench(a=60)
    fails_once(one, "a", 1, NoCapacity("Quota exceeded"))
    request = Request(one, 1)
    group = one.fleet.group_of("node-0")
    assert group is not None
    one.fleet.keep(group, {"kept": demand()}, "a")
    assert request.run() == ["a"]
    assert list(group.demands) == ["node-0"]


def test_single_launches_move_freely(bench: Make) -> None:
    one = bench(a=60, b=10, c=5)
    fails_once(one, "a", 1, TryElsewhere("500"))
    requests = []
    for number in range(3):
        machine = CreateMachine(one.fleet, f"single-{number}", demand(), boot_timeout=60)
        one.run(machine)
        requests.append(machine.datacenter)
    assert requests == ["b", "a", "a"]


def test_launches_of_a_lost_request_end_each_by_itself(bench: Make) -> None:
    one = bench(a=60)
    request = Request(one, 3)
    request.machines.pop("node-2")
    for _ in range(20):
        assert not request.turn()
    one.fleet.end("node-2")
    assert request.run() == ["a"] * 2


def test_groups_are_forgotten(bench: Make) -> None:
    one = bench(a=60)
    request = Request(one, 2)
    request.run()
    for key in request.keys:
        one.fleet.release(key)
    assert len(one.fleet._groups) == 0
    one.fleet.claim({"dropped": demand()})
    one.clock.now += Groups.AGE + 1
    one.fleet.claim({"next": demand()})
    assert one.fleet.group_of("dropped") is None
