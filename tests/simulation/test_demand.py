# SPDX-License-Identifier: Apache-2.0
"""Requests come as a day of a CI has them."""

from __future__ import annotations

import statistics
from collections import Counter
from random import Random

import pytest

from zuul_suse.simulation.demand import Wish, wishes
from zuul_suse.simulation.scenario import HOUR, MINUTE, default_scenario


def luck(name: str) -> Random:
    return Random(name)  # noqa: S311 - to be repeated, not to be secret


@pytest.fixture(scope="module")
def day() -> list[Wish]:
    return wishes(default_scenario(requests_per_day=10_000), luck("day"))


def test_so_many_come_in_order(day: list[Wish]) -> None:
    assert len(day) == pytest.approx(10_000, rel=0.05)
    assert [wish.at for wish in day] == sorted(wish.at for wish in day)
    assert day[-1].at < 24 * HOUR


def test_office_hours_are_busier(day: list[Wish]) -> None:
    hours = Counter(int(wish.at // HOUR) for wish in day)
    assert min(hours[hour] for hour in range(9, 17)) > 3 * max(hours[hour] for hour in range(5))


def test_bursts_stand_out() -> None:
    def busiest(bursts: int) -> int:
        scenario = default_scenario(requests_per_day=3000)
        load = type(scenario.load)(requests_per_day=3000, bursts=bursts, burst_size=100)
        made = wishes(type(scenario)(scenario.sites, scenario.labels, load), luck("bursts"))
        return max(Counter(int(wish.at // (2 * MINUTE)) for wish in made).values())

    assert busiest(3) > 3 * busiest(0)


def test_sizes_and_labels_have_their_shares(day: list[Wish]) -> None:
    sizes = Counter(len(wish.labels) for wish in day)
    assert sizes[1] / len(day) == pytest.approx(0.7, abs=0.03)
    assert sizes[8] / len(day) == pytest.approx(0.02, abs=0.01)
    labels = Counter(wish.labels[0] for wish in day)
    assert labels["opensuse-leap-16.0"] / len(day) == pytest.approx(0.4, abs=0.03)


def test_hold_times_are_about_forty_minutes_and_some_much_longer(day: list[Wish]) -> None:
    holds = [wish.hold for wish in day]
    assert statistics.median(holds) == pytest.approx(40 * MINUTE, rel=0.05)
    assert statistics.mean(holds) > 44 * MINUTE
    assert max(holds) > 3 * HOUR


def test_load_of_nothing_is_nothing() -> None:
    assert wishes(default_scenario(requests_per_day=0), luck("none")) == []
