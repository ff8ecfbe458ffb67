# SPDX-License-Identifier: Apache-2.0
"""What is simulated: datacenters, labels, load and outages. Values only; `scenario_file` reads them from a file.

`default_scenario` is a large installation: thirty datacenters of different size and speed, 800 nodes kept ready, a day
with office hours, and something going wrong in every third datacenter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HOUR = 3600.0
MINUTE = 60.0
SLOW, LOST_ANSWERS = "slow", "lost-answers"
FAULTS = (
    "unreachable",
    "black-hole",
    "too-many-requests",
    "create-refused",
    "no-capacity",
    "no-host",
    "server-error",
    "never-boots",
    LOST_ANSWERS,
    SLOW,
)
"""What an outage may be."""


@dataclass(frozen=True)
class Site:
    """A datacenter. `foreign` servers are somebody else's: they take room and must survive."""

    name: str
    max_servers: int
    weight: float = 1.0
    rate: float = 10.0
    latency: float = 0.15
    boot_time: float = 40.0
    foreign: int = 2


@dataclass(frozen=True)
class Label:
    """What nodes are asked for as; `share` is its part of the load, `min_ready` how many are kept ready."""

    name: str
    min_ready: int
    share: float = 1.0
    cpus: int = 4
    ram: int = 8192
    datacenters: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """Requests. `sizes` gives how often a request has so many nodes; `hold_time` is the median of a lognormal."""

    requests_per_day: float = 5000.0
    sizes: Mapping[int, float] = field(default_factory=lambda: {1: 70, 2: 18, 3: 6, 5: 4, 8: 2})
    hold_time: float = 40 * MINUTE
    hold_spread: float = 0.6
    bursts: int = 6
    burst_size: int = 40


@dataclass(frozen=True)
class Outage:
    """Something goes wrong in some datacenters for a while; `share` is the part of calls or servers that it hits."""

    fault: str
    datacenters: tuple[str, ...]
    at: float
    length: float
    share: float = 1.0

    @property
    def end(self) -> float:
        return self.at + self.length


@dataclass(frozen=True)
class Scenario:
    """All of it. Times are seconds from the beginning, which is midnight."""

    sites: Sequence[Site]
    labels: Sequence[Label]
    load: Load = field(default_factory=Load)
    outages: Sequence[Outage] = ()
    hours: float = 24.0
    seed: int = 1
    boot_timeout: float = 180.0
    launch_retries: int = 3
    settling: float = 40 * MINUTE  # after the last request and outage, for the fleet to clean up

    @property
    def end(self) -> float:
        """When no more requests come."""
        return self.hours * HOUR

    @property
    def ready(self) -> int:
        return sum(label.min_ready for label in self.labels)


ROOM = 2.6  # servers that fit, for each node that is kept ready
SIZES = (30, 45, 60, 75, 90)  # datacenters are of unequal size, in this proportion
LATENCIES = (0.04, 0.08, 0.12, 0.2, 0.35, 0.06, 0.15)
BOOT_TIMES = (25.0, 30.0, 35.0, 45.0, 60.0, 40.0, 28.0, 50.0)

LABELS = (
    Label("opensuse-leap-16.0", 40, 40),
    Label("opensuse-leap-15.6", 20, 20),
    Label("opensuse-tumbleweed", 20, 20),
    Label("opensuse-leap-16.0-large", 15, 15, cpus=8, ram=16384),
    Label("opensuse-leap-16.0-small", 5, 5, cpus=2, ram=4096),
)


def default_sites(count: int, ready: int) -> list[Site]:
    """So many datacenters, which together have room for the ready nodes and as many more at work."""
    proportions = [SIZES[index % len(SIZES)] for index in range(count)]
    unit = ready * ROOM / sum(proportions)
    return [
        Site(
            name=f"dc{index + 1:02d}",
            max_servers=max(12, round(proportion * unit)),
            latency=LATENCIES[index % len(LATENCIES)],
            boot_time=BOOT_TIMES[index % len(BOOT_TIMES)],
        )
        for index, proportion in enumerate(proportions)
    ]


def scaled_labels(labels: Sequence[Label], ready: int) -> list[Label]:
    """The same labels with so many nodes kept ready in all, in the same proportion."""
    total = sum(label.min_ready for label in labels)
    scaled = [{**vars(label), "min_ready": int(label.min_ready * ready / total) if total else 0} for label in labels]
    if scaled and total:
        scaled[0]["min_ready"] += ready - sum(values["min_ready"] for values in scaled)
    return [Label(**values) for values in scaled]


def default_outages(names: Sequence[str]) -> list[Outage]:
    """Every kind of fault in office hours, spread over the datacenters, and at noon several at once."""

    def some(*numbers: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names[number % len(names)] for number in numbers))

    return [
        Outage("no-capacity", some(10), 8 * HOUR, 4 * HOUR),
        Outage("no-host", some(11), 8.5 * HOUR, 2 * HOUR, share=0.7),
        Outage("unreachable", some(2), 9 * HOUR, 90 * MINUTE),
        Outage("black-hole", some(6), 10 * HOUR, 40 * MINUTE),
        Outage("slow", some(21), 11 * HOUR, 5 * HOUR),
        Outage("unreachable", some(4, 9, 14, 19, 24), 11.5 * HOUR, 30 * MINUTE),
        Outage("never-boots", some(14), 13 * HOUR, HOUR),
        Outage("server-error", some(18), 14 * HOUR, 45 * MINUTE, share=0.5),
        Outage("lost-answers", some(25), 15 * HOUR, 20 * MINUTE),
        Outage("create-refused", some(28), 16 * HOUR, 30 * MINUTE),
        Outage("too-many-requests", some(1), 17 * HOUR, 20 * MINUTE),
    ]


def default_scenario(
    *,
    datacenters: int = 30,
    ready: int = 800,
    hours: float = 24.0,
    requests_per_day: float | None = None,
    seed: int = 1,
) -> Scenario:
    """See the module. The load follows the ready nodes if it isn't given."""
    sites = default_sites(datacenters, ready)
    outages = default_outages([site.name for site in sites])
    return Scenario(
        sites=sites,
        labels=scaled_labels(LABELS, ready),
        load=Load(requests_per_day=ready * 6.25 if requests_per_day is None else requests_per_day),
        # With a single datacenter nothing is left to go to, so it stays well.
        outages=[outage for outage in outages if outage.at < hours * HOUR] if datacenters > 1 else [],
        hours=hours,
        seed=seed,
    )
