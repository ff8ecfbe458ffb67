# SPDX-License-Identifier: Apache-2.0
"""Small scenarios that run in about a second each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from zuul_suse.simulation.demand import busyness
from zuul_suse.simulation.report import Figures, figures
from zuul_suse.simulation.scenario import MINUTE, Label, Load, Outage, Scenario, Site
from zuul_suse.simulation.simulation import Simulation

OUTAGE = (10 * MINUTE, 20 * MINUTE)  # when it begins, how long it lasts


def small(outages: Sequence[Outage] = (), **changes: Any) -> Scenario:  # noqa: ANN401
    """Four datacenters for an hour after midnight, some hundred requests, hundreds of nodes."""
    scenario = Scenario(
        sites=[Site(f"dc{number}", max_servers=30, boot_time=20 + 5 * number) for number in range(1, 5)],
        labels=[Label("leap", 15), Label("leap-large", 5, cpus=8, ram=16384)],
        load=load(),
        outages=outages,
        hours=1,
        settling=20 * MINUTE,
    )
    return replace(scenario, **changes)


def load(per_hour: int = 120, sizes: Mapping[int, float] | None = None, hold_time: float = 300) -> Load:
    """So many requests in each of the first hours of the day, when little is asked for."""
    quiet = busyness(0)
    return Load(per_hour * 24 / quiet, sizes or {1: 70, 2: 20, 5: 10}, hold_time, bursts=0)


def played(scenario: Scenario) -> tuple[Simulation, Figures]:
    run = Simulation(scenario)
    run.run()
    return run, figures(run)


@pytest.fixture(scope="session")
def play() -> Callable[[Scenario], tuple[Simulation, Figures]]:
    return played
