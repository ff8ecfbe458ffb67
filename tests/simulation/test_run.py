# SPDX-License-Identifier: Apache-2.0
"""What runs show of the fleet: nothing fails or leaks while a datacenter lives, and outages are kept at a distance."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from zuul_suse.fleet import Member
from zuul_suse.fleet.breaker import Breaker
from zuul_suse.fleet.reaper import Reaper
from zuul_suse.simulation.report import Figures
from zuul_suse.simulation.scenario import FAULTS, MINUTE, Label, Outage, Scenario, Site, default_scenario
from zuul_suse.simulation.simulation import Simulation
from zuul_suse.simulation.virtual_threads import BlockedError

from .conftest import OUTAGE, load, small

Play = Callable[[Scenario], tuple[Simulation, Figures]]
CLEAN = {"servers": 0, "nodes-without-server": 0, "foreign-servers-gone": 0}


def assert_all_well(told: Figures) -> None:
    assert told["requests"]["fulfilled"] > 50, "a scenario that asks for nothing shows nothing"
    assert told["requests"]["failed"] == 0
    assert told["requests"]["unfulfilled"] == 0
    assert told["leaks"] == CLEAN
    assert told["breakers"]["not-closed-at-the-end"] == []


def test_good_day(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    others = set(threading.enumerate())  # other tests' threads may still be at their end
    run, told = play(small())
    assert_all_well(told)
    assert told["launches"]["failovers"] == 0
    assert told["breakers"]["openings"] == 0
    assert told["waits"]["all"]["p50"] < 2
    assert run.host.ready == 20
    assert not caplog.records
    assert set(threading.enumerate()) <= others


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_leaves_no_trace(play: Play, fault: str) -> None:
    outage = Outage(fault, ("dc1", "dc2"), *OUTAGE)
    _, told = play(small([outage]))
    assert_all_well(told)
    struck = [one for one in told["outages"] if one["failovers"] or one["opened-after"] is not None]
    assert struck or fault in ("slow", "too-many-requests"), "nothing noticed the outage"


def test_one_living_datacenter_is_enough(play: Play) -> None:
    outages = [
        Outage("unreachable", ("dc1",), 5 * MINUTE, 30 * MINUTE),
        Outage("black-hole", ("dc2",), 5 * MINUTE, 30 * MINUTE),
        Outage("lost-answers", ("dc3",), 5 * MINUTE, 30 * MINUTE),
    ]
    run, told = play(small(outages, load=load(60, {1: 80, 3: 20}, 120)))
    assert_all_well(told)
    assert run.journal.launched["dc4"] > 40


def test_while_the_breaker_is_open_only_probes_go_in(play: Play) -> None:
    outage = Outage("create-refused", ("dc1",), *OUTAGE)
    run, _ = play(small([outage]))
    (begin, end) = run.journal.openings["dc1"][0]
    assert begin < outage.end < end < outage.end + 15 * MINUTE
    during = [at for at in run.datacenters["dc1"].creates_at if begin + 1 < at < outage.end]
    before = [at for at in run.datacenters["dc1"].creates_at if at < begin]
    assert len(before) > 10
    # Rests double from half a minute to ten minutes: six probes at the most in these twenty minutes.
    assert 0 < len(during) <= 6
    assert all(later - earlier > 29 for earlier, later in itertools.pairwise(during))


def test_others_are_not_slowed_by_a_black_hole(play: Play) -> None:
    _, well = play(small())
    _, told = play(small([Outage("black-hole", ("dc1",), *OUTAGE)]))
    assert told["waits"]["all"]["mean"] <= well["waits"]["all"]["mean"] + 2
    assert told["launches"]["failovers"] <= 5


def test_nodes_follow_sizes_and_weights(play: Play) -> None:
    sites = [Site("small", 20), Site("big", 60), Site("heavy", 60, weight=1.5)]
    run, told = play(small(sites=sites, labels=[Label("leap", 40)], load=load(120, {1: 1})))
    assert_all_well(told)
    launched = run.journal.launched
    assert launched["big"] > 2 * launched["small"] > 0
    assert launched["heavy"] > 1.3 * launched["big"]


def test_label_keeps_to_its_datacenters(play: Play) -> None:
    labels = [Label("leap", 5), Label("bound", 5, datacenters=("dc2",))]
    run, told = play(small(labels=labels))
    assert_all_well(told)
    bound = [node for node in run.host.launcher.nodes.values() if node.label == "bound"]
    assert {node.datacenter for node in bound} == {"dc2"}


@pytest.mark.parametrize("fault", ["none", "create-refused", "server-error", "no-host", "never-boots", "unreachable"])
def test_nodes_of_a_request_are_in_one_datacenter(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Also when one in three of its launches fails, and when some of its nodes were ready before."""
    share = 1.0 if fault == "unreachable" else 0.3
    outages = [] if fault == "none" else [Outage(fault, ("dc1", "dc4"), 5 * MINUTE, 40 * MINUTE, share=share)]
    run = Simulation(small(outages, load=load(60, {5: 1})))
    together: list[int] = []
    finish = run.host._finish

    def watched(request: object, now: float) -> None:
        if not request.spare:  # type: ignore[attr-defined]
            together.append(len({node.datacenter for node in request.nodes}))  # type: ignore[attr-defined]
        finish(request, now)  # type: ignore[arg-type]

    monkeypatch.setattr(run.host, "_finish", watched)
    run.run()
    assert len(together) > 50
    assert sum(together) == len(together)
    assert fault == "none" or run.journal.leavings, "nothing failed"


def test_large_request_waits_without_blocking_small_ones(play: Play) -> None:
    sites = [Site("dc1", 14, foreign=0), Site("dc2", 14, foreign=0)]
    _, told = play(small(sites=sites, labels=[Label("leap", 0)], load=load(120, {1: 95, 8: 5}, 400)))
    assert_all_well(told)
    assert told["waits"]["8+ nodes"]["max"] > 120, "nothing was scarce"
    assert told["waits"]["1 nodes"]["p50"] < 60


# What is broken shows: the figures come from the fleet's own code.


def test_without_breakers_more_launches_fail(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = small([Outage("never-boots", ("dc1", "dc2"), 10 * MINUTE, 40 * MINUTE)])
    _, well = play(scenario)
    monkeypatch.setattr(Breaker, "_state", lambda _: "closed")
    _, told = play(scenario)
    assert told["launches"]["failovers"] > 2 * well["launches"]["failovers"]


def test_without_the_reaper_servers_leak(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = small([Outage("lost-answers", ("dc1",), *OUTAGE)])
    _, well = play(scenario)
    assert well["leaks"] == CLEAN
    monkeypatch.setattr(Reaper, "watch_for", lambda *_: None)
    _, told = play(scenario)
    assert told["leaks"]["servers"] > 0


def test_state_machine_that_blocks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Simulation(small())
    monkeypatch.setattr("zuul_suse.fleet.launch.CreateMachine.advance", lambda _: run.threads.sleep(1))
    with pytest.raises(BlockedError, match="advance waited"):
        run.run()
    run.threads.close()


# Repeatable, and not too much work


def test_default_scenario_is_as_the_issue_has_it() -> None:
    scenario = default_scenario()
    assert len(scenario.sites) == 30
    assert scenario.ready == 800
    assert scenario.hours == 24
    assert {outage.fault for outage in scenario.outages} == set(FAULTS)


def test_work_grows_with_what_happens_only(play: Play) -> None:
    """Events, not seconds: a busy machine must not fail this. Loops that turn idly would have many more."""
    run, _ = play(replace(default_scenario(ready=60, requests_per_day=0, hours=1), settling=MINUTE))
    launches = run.journal.began
    assert launches == 60
    assert run.threads.events < 40_000


def test_waiting_requests_share_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Placements, not seconds: four times as many requests that wait are no more work, but for their coming."""
    looks: list[str] = []
    candidate = Member.candidate
    monkeypatch.setattr(Member, "candidate", lambda self, demands: looks.append(self.name) or candidate(self, demands))

    def looked(per_hour: int) -> tuple[int, int]:
        looks.clear()
        sites = [Site("dc1", 12), Site("dc2", 6)]
        run = Simulation(small(sites=sites, labels=[Label("leap", 4)], load=load(per_hour, hold_time=9000)))
        run.run()
        return len(looks), run.host.waiting

    few, waiting_few = looked(100)
    many, waiting_many = looked(400)
    assert waiting_many > 3 * waiting_few > 150, "nothing was scarce"
    assert many < 1.5 * few
    assert many < 4800 * 2 * 2, "in most passes nothing has changed, and all that is looked at is the first one's place"
