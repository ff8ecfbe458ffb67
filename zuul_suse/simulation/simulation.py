# SPDX-License-Identifier: Apache-2.0
"""One run: puts the fleet, the played datacenters and the host together and lets time pass.

After the last request's time the run goes on for a while with all outages over, so that what the fleet still has to
clean up can be told from what it forgot. Called by the command and by tests; ends by itself and leaves nothing behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from zuul_suse.fleet import Fleet, Member
from zuul_suse.simulation.datacenter import PlayedDatacenter
from zuul_suse.simulation.demand import wishes
from zuul_suse.simulation.host import Host
from zuul_suse.simulation.journal import Journal, Sample, WatchedBreaker
from zuul_suse.simulation.node import USED
from zuul_suse.simulation.scenario import MINUTE, Scenario
from zuul_suse.simulation.virtual_threads import VirtualThreads

SAMPLING = 5 * MINUTE
STEP = MINUTE  # between two words on progress


class Simulation:
    """See the module. What is to be known afterwards is in `journal`, `datacenters` and `host`."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.threads = VirtualThreads()
        self.journal = Journal()
        self.end = max([scenario.end, *(outage.end for outage in scenario.outages)]) + scenario.settling
        self.datacenters = {
            site.name: PlayedDatacenter(site, self.threads, self.luck(f"datacenter {site.name}"))
            for site in scenario.sites
        }
        log = logging.getLogger("zuul_suse.simulation")
        self.fleet = Fleet((self._member(name, log) for name in self.datacenters), log)
        self.wishes = wishes(scenario, self.luck("demand"))
        self.host = Host(self.fleet, scenario, self.threads, self.journal, self.luck("host"))

    def luck(self, purpose: str) -> Random:
        """A source of randomness of its own for each purpose, so that one doesn't disturb the others."""
        return Random(f"{self.scenario.seed}/{purpose}")  # noqa: S311 - to be repeated, not to be secret

    def _member(self, name: str, log: logging.Logger) -> Member:
        datacenter = self.datacenters[name]
        return Member(
            datacenter,
            rate=datacenter.site.rate,
            weight=datacenter.site.weight,
            breaker=WatchedBreaker(name, self.journal, self.threads.clock),
            log=log,
            threads=self.threads,
        )

    def run(self, progress: Callable[[float], object] = lambda _: None) -> None:
        """Let it happen; `progress` is told which part of the time has passed."""
        for datacenter in self.datacenters.values():
            datacenter.plan_outages(self.scenario.outages)
        with _quiet():
            self.fleet.start()
            self.host.begin(self.wishes)
            self.threads.start(self._sample, "sampler")
            moment = 0.0
            while moment < self.end:
                moment = min(moment + STEP, self.end)
                self.threads.run(moment)
                progress(moment / self.end)
            self.fleet.close()
            self.threads.close()

    def _sample(self) -> None:
        while True:
            host, now = self.host, self.threads.clock()
            self.journal.samples.append(
                Sample(
                    at=now,
                    ready=host.ready,
                    used=sum(node.state == USED for node in host.launcher.nodes.values()),
                    building=len(host.launcher.building),
                    waiting=host.waiting,
                    out=len(self.journal.open_since),
                    loads=tuple(datacenter.load() for datacenter in self.datacenters.values()),
                )
            )
            self.threads.sleep(SAMPLING)


@contextmanager
def _quiet() -> Iterator[None]:
    """The fleet logs what is told here in figures; formatting a day of it would take longer than the day."""
    log = logging.getLogger("zuul_suse")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
