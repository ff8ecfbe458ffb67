# SPDX-License-Identifier: Apache-2.0
"""Whose fault a failed launch is: a broken label rests and leaves the datacenters to the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from zuul_suse.datacenter import Order, Server, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Demand
from zuul_suse.fleet.blame import Blame, Fault, Subject
from zuul_suse.fleet.breaker import Breaker
from zuul_suse.fleet.launch import CreateMachine, LaunchFailed
from zuul_suse.fleet.queue import Queue

from .clock import Clock
from .conftest import NEED, Bench

Make = Callable[..., Bench]
BAD, GOOD, OTHER, THIRD = (Subject(name, f"image of {name}") for name in ("bad", "good", "other", "third"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> dict[str, Breaker]:
    return {name: Breaker(clock=clock) for name in ("a", "b", "c")}


@pytest.fixture
def blame(breakers: dict[str, Breaker], clock: Clock) -> Blame:
    return Blame(breakers, clock)


def states(breakers: dict[str, Breaker]) -> list[str]:
    return [breaker.state for breaker in breakers.values()]


def fails(blame: Blame, subject: Subject, *datacenters: str, fault: Fault = Fault.OPEN) -> None:
    for name in datacenters:
        blame.failed(subject, name, "it broke", fault)


def test_label_that_fails_everywhere_rests_and_no_breaker_opens(blame: Blame, breakers: dict[str, Breaker]) -> None:
    for _ in range(10):
        fails(blame, BAD, "a", "b", "c")
    assert states(breakers) == ["closed"] * 3
    assert all(blame.obstacle("bad", name) for name in ("b", "c"))
    assert not any(blame.obstacle("good", name) for name in breakers)


def test_labels_of_one_image_that_is_broken_are_one_witness(blame: Blame, breakers: dict[str, Breaker]) -> None:
    for label in ("large", "small", "tiny", "huge"):
        blame.arrived(GOOD, "a")
        fails(blame, Subject(label, "broken"), "a", "b", "c")
    assert states(breakers) == ["closed"] * 3


def test_label_that_fails_in_one_datacenter_and_works_elsewhere_opens_its_breaker(
    blame: Blame, breakers: dict[str, Breaker]
) -> None:
    for _ in range(3):
        fails(blame, GOOD, "a")
        blame.arrived(GOOD, "b")
    assert states(breakers) == ["open", "closed", "closed"]


def test_two_datacenters_that_are_out_are_found_out_by_what_works_in_the_third(
    blame: Blame, breakers: dict[str, Breaker]
) -> None:
    for _ in range(3):
        fails(blame, GOOD, "a", "b")
        blame.arrived(GOOD, "c")
    assert states(breakers) == ["open", "open", "closed"]


def test_label_that_is_broken_in_one_datacenter_only_rests_there_while_others_arrive(
    blame: Blame, breakers: dict[str, Breaker]
) -> None:
    """An upload that is damaged."""
    blame.arrived(OTHER, "a")
    for _ in range(5):
        fails(blame, GOOD, "a")
        blame.arrived(GOOD, "b")
    assert states(breakers) == ["closed"] * 3
    assert blame.obstacle("good", "a") == "label good fails there and rests"
    assert blame.obstacle("other", "a") is None
    fails(blame, OTHER, "a")
    assert breakers["a"].state == "open", "two images fail there"


def test_datacenter_where_many_images_fail_is_at_fault_whatever_they_do_elsewhere(
    blame: Blame, breakers: dict[str, Breaker]
) -> None:
    for name in breakers:
        blame.arrived(Subject("before", "before"), name)
    for subject in (GOOD, OTHER, THIRD):
        fails(blame, subject, "a", "b")
    assert breakers["a"].state == "open"


def test_only_label_in_the_only_datacenter_in_use_is_held_back(blame: Blame, breakers: dict[str, Breaker]) -> None:
    fails(blame, GOOD, "a", "a", "a")
    assert breakers["a"].state == "open"


def test_call_without_an_answer_is_the_datacenters_fault(blame: Blame, breakers: dict[str, Breaker]) -> None:
    for name in ("a", "b"):
        fails(blame, BAD, *[name] * 3, fault=Fault.DATACENTER)
    assert states(breakers) == ["open", "open", "closed"]


def test_one_launch_at_a_time_tries_a_label_that_fails_everywhere(blame: Blame, clock: Clock) -> None:
    fails(blame, BAD, "a", "b", "c", "a")
    clock.now += 31
    assert blame.obstacle("bad", "b") is None
    blame.enter("bad", "b")
    assert blame.obstacle("bad", "b") == "label bad fails there and rests"
    assert blame.obstacle("bad", "c") == "label bad fails everywhere: one launch tries it"
    fails(blame, BAD, "b")
    clock.now += 31
    assert blame.obstacle("bad", "b") is not None, "the rest is longer each time"
    clock.now += 30
    assert blame.obstacle("bad", "b") is None


def test_label_that_was_mended_is_welcome_everywhere_at_once(
    blame: Blame, breakers: dict[str, Breaker], clock: Clock
) -> None:
    for _ in range(5):
        fails(blame, BAD, "a", "b", "c")
    clock.now += 700
    blame.enter("bad", "b")
    blame.arrived(BAD, "b")
    assert not any(blame.obstacle("bad", name) for name in breakers)
    assert states(breakers) == ["closed"] * 3


def test_refusal_of_policy_rests_for_the_label_there_at_once_and_longer_each_time(
    blame: Blame, breakers: dict[str, Breaker], clock: Clock
) -> None:
    rests = []
    for _ in range(7):
        assert blame.obstacle("good", "a") is None
        blame.enter("good", "a")
        fails(blame, GOOD, "a", fault=Fault.LABEL)
        blame.arrived(GOOD, "b")
        began = clock.now
        while blame.obstacle("good", "a"):
            clock.now += 1
        rests.append(clock.now - began)
    assert rests == [30, 60, 120, 240, 480, 600, 600]
    assert states(breakers) == ["closed"] * 3
    assert blame.obstacle("other", "a") is None


def test_probe_is_left_to_another_label_than_the_one_that_opened_the_breaker(
    blame: Blame, breakers: dict[str, Breaker], clock: Clock
) -> None:
    blame.enter("other", "b")
    fails(blame, GOOD, "a", "a", "a")
    clock.now += 31
    assert breakers["a"].state == "half-open"
    assert blame.obstacle("good", "a") == "its breaker is half-open: another label goes first"
    assert blame.obstacle("other", "a") is None
    clock.now += 30
    assert blame.obstacle("good", "a") is None, "no other one came"


def test_failed_probe_of_a_label_that_fails_everywhere_says_nothing_of_the_datacenter(
    blame: Blame, breakers: dict[str, Breaker], clock: Clock
) -> None:
    fails(blame, GOOD, "a", "a", "a")
    fails(blame, BAD, "b", "c")
    clock.now += 31
    assert breakers["a"].enter()
    fails(blame, BAD, "a")
    assert breakers["a"].state == "half-open"
    assert breakers["a"].admits(), "the next probe may come"
    assert breakers["a"].enter()
    fails(blame, OTHER, "a")
    assert breakers["a"].state == "open"


def test_label_that_fits_no_host_rests_alone_and_a_datacenter_that_is_full_for_two_rests_for_all(
    blame: Blame, clock: Clock
) -> None:
    rests = []
    for _ in range(4):
        assert not blame.full("huge", "a")
        assert not blame.full("huge", "a"), "it was under way"
        assert blame.full_for("good", "a") is None
        began = clock.now
        while blame.full_for("huge", "a"):
            clock.now += 1
        rests.append(clock.now - began)
    assert rests == [30, 60, 120, 120]
    assert not blame.full("huge", "a")
    assert blame.full("good", "a")
    assert not blame.full("good", "b")
    clock.now += 121
    blame.arrived(Subject("huge", "image"), "a")
    blame.full("huge", "a")
    clock.now += 31
    assert blame.full_for("huge", "a") is None


def test_it_is_told_once(blame: Blame, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        clock.now += 60
        fails(blame, BAD, "a", "b", "c")
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("Label bad fails in several datacenters and works in none")
    assert "a: it broke; b: it broke" in line
    blame.arrived(BAD, "a")
    fails(blame, BAD, "a", "b")
    assert len(caplog.records) == 2


# In the fleet


class Picky(FakeDatacenter):
    """A datacenter in which some images meet a fault of their own."""

    faults: dict[str, str]
    asked: int

    def create(self, order: Order) -> str:
        self.asked += 1
        own = self.faults.get(order.image)
        if own == "policy":
            raise WrongConfiguration("403 Policy doesn't allow it")
        if own == "500":
            raise TryElsewhere("internal server error")
        fault, self.fault = self.fault, own or self.fault
        try:
            return super().create(order)
        finally:
            self.fault = fault


def want(label: str) -> Demand:
    return Demand(lambda name: Order("np", label, NEED), label=label)


class Day:
    """One launch of a good label every 20 s, while some launches of a bad one are always tried."""

    def __init__(self, one: Bench, fault: str, scan: bool = False) -> None:
        self.one, self.scan = one, scan
        for twin in one.twins.values():
            twin.__class__ = Picky
            twin.faults, twin.asked = {"bad": fault}, 0  # type: ignore[attr-defined]
        self.waits: list[float] = []
        self.bad: list[CreateMachine] = []
        self.good: list[tuple[CreateMachine, float]] = []
        self.began = 0

    def launch(self, label: str) -> CreateMachine:
        self.began += label == "bad"
        key = f"{label}-{self.began}-{self.one.clock.now}"
        return CreateMachine(self.one.fleet, key, want(label), boot_timeout=60, checked=self.scan)

    def second(self, bad: int) -> None:
        self.bad += [self.launch("bad") for _ in range(bad - len(self.bad))]
        for machine in list(self.bad):
            if self.ends(machine):
                self.bad.remove(machine)
        for machine, since in list(self.good):
            if machine.advance():
                machine.is_settled()
                self.waits.append(self.one.clock.now - since)
                self.good.remove((machine, since))
        time.sleep(0.003)
        self.one.poll()

    def ends(self, machine: CreateMachine) -> bool:
        """Whether a bad launch has; with a scan its servers come up and no ssh answers."""
        try:
            if not machine.advance():
                return False
            if self.scan:
                machine.reject("no host keys")
                machine.abandon()
        except LaunchFailed:
            pass
        return True

    def run(self, seconds: int, bad: int = 5) -> None:
        for second in range(seconds):
            if second % 20 == 0:
                self.good.append((self.launch("good"), self.one.clock.now))
            self.second(bad)


@pytest.fixture
def quiet() -> Iterator[None]:
    logging.getLogger("zuul_suse.fleet").setLevel(logging.ERROR)
    yield
    logging.getLogger("zuul_suse.fleet").setLevel(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("fault", ["server-error", "500", "policy", "never-boots", "no-host", "scan"])
def test_broken_label_leaves_the_others_alone(bench: Make, fault: str) -> None:
    one = bench(dc0=50, dc1=50, dc2=50, dc3=50)
    day = Day(one, "none" if fault == "scan" else fault, scan=fault == "scan")
    day.run(240)
    assert len(day.waits) >= 11
    assert sum(day.waits) / len(day.waits) <= 3
    asked = sum(twin.asked for twin in one.twins.values())  # type: ignore[attr-defined]
    assert asked - len(day.waits) < 80, "the broken label is tried in a hot loop"
    assert [member.breaker.state for member in one.fleet.members.values()] == ["closed"] * 4


@pytest.mark.usefixtures("quiet")
def test_outage_is_found_out_beside_a_broken_label(bench: Make) -> None:
    one = bench(dc0=50, dc1=30, dc2=30)
    day = Day(one, "server-error")
    day.run(100)
    one.twins["dc0"].fault = "create-refused"
    day.run(120)
    assert one.fleet.members["dc0"].breaker.state != "closed"
    assert one.fleet.members["dc1"].breaker.state == "closed"
    one.twins["dc0"].fault = "none"
    day.run(200)
    assert one.fleet.members["dc0"].breaker.state == "closed"


def test_policy_that_refuses_is_asked_once_and_again_after_a_rest(bench: Make) -> None:
    one = bench(refuses=100, good=50)
    day = Day(one, "none")
    one.twins["refuses"].faults = {"leap": "policy"}  # type: ignore[attr-defined]
    for _ in range(15):
        assert one.run(day.launch("leap"))
    assert one.twins["refuses"].asked == 1  # type: ignore[attr-defined]
    assert len(one.ids("good")) == 15
    one.twins["refuses"].faults = {}  # type: ignore[attr-defined]
    one.clock.now += 601
    one.poll()
    machine = day.launch("leap")
    assert one.run(machine)
    assert machine.datacenter == "refuses"


def test_launches_that_wait_for_their_turn_are_not_asked_for_after_the_first_was_refused(bench: Make) -> None:
    one = bench(refuses=100, good=50)
    asked: list[Order] = []
    answers = threading.Semaphore(0)

    def refuse(order: Order) -> str:
        asked.append(order)
        answers.acquire(timeout=30)
        raise WrongConfiguration("403")

    one.twins["refuses"].create = refuse  # type: ignore[method-assign]
    machines = [CreateMachine(one.fleet, f"n{number}", want("leap"), boot_timeout=60) for number in range(12)]

    def turn_until_left(count: int) -> None:
        for _ in range(1000):
            for machine in machines:
                machine.advance()
            if sum(machine.datacenter != "refuses" for machine in machines) >= count:
                return
            time.sleep(0.01)
        pytest.fail(f"asked {len(asked)} times, and still {[machine.datacenter for machine in machines]}")

    turn_until_left(0)
    answers.release()
    turn_until_left(10)
    answers.release(2)
    turn_until_left(12)
    assert len(asked) == 3


def test_address_that_is_refused_for_policy_rests_like_a_server(bench: Make) -> None:
    one = bench(refuses=100, good=50)
    twin = one.twins["refuses"]
    twin.hides = twin.exposes = True

    def refuse(server_id: str) -> Server:
        raise WrongConfiguration("403 Policy doesn't allow create_floatingip")

    twin.expose = refuse  # type: ignore[method-assign]
    for number in range(4):
        machine = CreateMachine(one.fleet, f"n{number}", want("leap"), boot_timeout=60)
        assert one.run(machine)
        assert machine.datacenter == "good"
    assert twin.calls["create"] == 1


def test_launch_that_leaves_without_a_verdict_leaves_the_probe_to_the_next(bench: Make) -> None:
    one = bench(back=100, busy=5)
    breaker = one.fleet.members["back"].breaker
    for _ in range(3):
        breaker.failed("list")
    one.clock.now += 31
    machine = CreateMachine(one.fleet, "a", want("leap"), prefer="back", boot_timeout=60)
    asked = threading.Event()
    one.twins["back"].create = lambda order: str(asked.wait(10))  # type: ignore[method-assign]
    others = [one.fleet.members["back"].create(lambda: asked.wait(10)) for _ in range(2)]
    machine.advance()
    assert machine.datacenter == "back"
    assert not breaker.admits(), "it is the probe"
    fails(one.fleet.blame, Subject("leap", "leap"), "back", fault=Fault.LABEL)
    breaker.enter()
    machine.advance()
    assert machine.datacenter == "busy"
    assert breaker.admits()
    asked.set()
    assert all(other.result(10) for other in others)


def test_refused_everywhere_fails_and_recovers_by_itself(bench: Make) -> None:
    one = bench(a=50, b=40)
    day = Day(one, "policy")
    with pytest.raises(LaunchFailed, match="403"):
        one.run(day.launch("bad"))
    asked = [twin.asked for twin in one.twins.values()]  # type: ignore[attr-defined]
    began = one.clock.now
    with pytest.raises(LaunchFailed, match="label bad fails there and rests"):
        one.run(day.launch("bad"))
    assert 20 <= one.clock.now - began < 25, "it waits a moment, and not for hours in which it takes others' places"
    assert [twin.asked for twin in one.twins.values()] == asked  # type: ignore[attr-defined]
    for twin in one.twins.values():
        twin.faults = {}  # type: ignore[attr-defined]
    assert one.run(day.launch("bad"))


def test_request_is_taken_back_while_its_label_rests_but_not_for_ever(bench: Make) -> None:
    one = bench(a=50, b=40)
    demands = [Demand(lambda name: Order("np", BAD.image, NEED), label=BAD.label)]
    assert not one.fleet.takes_back("request", demands)
    fails(one.fleet.blame, BAD, "a", "b", fault=Fault.LABEL)
    assert not one.fleet.takes_back("request", demands), "it never worked: a mistake in the configuration"
    one.fleet.blame.arrived(BAD, "a")
    assert not one.fleet.takes_back("request", demands)
    for _ in range(61):
        fails(one.fleet.blame, BAD, "a", "b", fault=Fault.LABEL)
        took = one.fleet.takes_back("request", demands)
        assert took or one.clock.now > 4500
        assert not one.fleet.takes_back("other", [want("good")])
        one.clock.now += 61
    assert not took
    fails(one.fleet.blame, BAD, "a", "b", fault=Fault.LABEL)
    assert one.fleet.takes_back("a later one", demands)


def test_nothing_is_kept_for_a_request_whose_label_rests(bench: Make) -> None:
    one = bench(a=5, b=5)
    queue = Queue(one.fleet, patience=10)
    fails(one.fleet.blame, BAD, "a", "b", "a", fault=Fault.LABEL)
    demands = [replace(want("bad"), order=lambda name: Order("np", BAD.image, NEED))]
    queue.wait("broken", "main", ("100", 0), demands, False)
    one.clock.now += 12
    queue.wait("broken", "main", ("100", 0), demands, False)
    assert queue.closed_to("other", "main", ("100", 0)) == {}
