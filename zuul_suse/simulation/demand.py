# SPDX-License-Identifier: Apache-2.0
"""The requests of a day: more in office hours, bursts when a series of changes is pushed or a gate restarts.

Pure: the same load and the same luck give the same requests. Called by `Simulation` before it begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from zuul_suse.simulation.scenario import HOUR, MINUTE, Scenario

# How busy each hour of the day is, compared with the others.
PROFILE = (2, 2, 2, 2, 2, 3, 4, 6, 9, 11, 12, 12, 10, 11, 12, 12, 11, 9, 7, 5, 4, 3, 3, 2)
MEAN = sum(PROFILE) / len(PROFILE)
OFFICE = (8, 18)
BURST_LENGTH = 2 * MINUTE


@dataclass(frozen=True)
class Wish:
    """One request: the labels of its nodes, and for how long they will be used."""

    at: float
    labels: tuple[str, ...]
    hold: float


def busyness(moment: float) -> float:
    """Compared with the mean of the day."""
    return PROFILE[int(moment / HOUR) % 24] / MEAN


def wishes(scenario: Scenario, luck: Random) -> list[Wish]:
    """All requests in the order in which they come."""
    moments = [*_steady(scenario, luck), *_bursts(scenario, luck)]
    return [_wish(scenario, luck, moment) for moment in sorted(moments)]


def _steady(scenario: Scenario, luck: Random) -> list[float]:
    """A Poisson process whose rate follows the profile, by thinning."""
    load = scenario.load
    steady = max(0.0, load.requests_per_day - load.bursts * load.burst_size)
    fastest = steady / (24 * HOUR) * max(PROFILE) / MEAN
    moments: list[float] = []
    moment = 0.0
    while fastest > 0:
        moment += luck.expovariate(fastest)
        if moment >= scenario.end:
            break
        if luck.random() * max(PROFILE) / MEAN < busyness(moment):
            moments.append(moment)
    return moments


def _bursts(scenario: Scenario, luck: Random) -> list[float]:
    """In office hours; those that fall after the end of the simulated time are dropped."""
    load = scenario.load
    size = min(load.burst_size, int(load.requests_per_day / max(1, load.bursts)))
    begins = [luck.uniform(OFFICE[0] * HOUR, OFFICE[1] * HOUR) for _ in range(load.bursts)]
    moments = [begin + luck.uniform(0, BURST_LENGTH) for begin in begins for _ in range(size)]
    return [moment for moment in moments if moment < scenario.end]


def _wish(scenario: Scenario, luck: Random, moment: float) -> Wish:
    """One image per request mostly, as nodesets have it; large nodes go with usual ones."""
    sizes, labels = scenario.load.sizes, scenario.labels
    size = luck.choices(list(sizes), list(sizes.values()))[0]
    label = luck.choices(labels, [label.share for label in labels])[0]
    hold = scenario.load.hold_time * math.exp(luck.gauss(0, scenario.load.hold_spread))
    return Wish(moment, (label.name,) * size, min(hold, 8 * HOUR))
