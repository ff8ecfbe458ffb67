# SPDX-License-Identifier: Apache-2.0
"""What happened in a run, as it happened; `report` makes figures of it.

Written by the host's stand-in, by the watched breakers and by a sampler, all on virtual time. Decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from zuul_suse.fleet.breaker import Breaker


@dataclass(frozen=True)
class Wait:
    """A request that was fulfilled: when it came, how many nodes it had, how long it waited, how many were launched."""

    at: float
    size: int
    seconds: float
    launched: int


@dataclass(frozen=True)
class Sample:
    """The state at a moment."""

    at: float
    ready: int
    used: int
    building: int
    waiting: int
    out: int  # datacenters whose breaker isn't closed
    loads: tuple[float, ...]  # the part of each datacenter's room that is taken


@dataclass
class Journal:
    """See the module."""

    waits: list[Wait] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    launched: Counter[str] = field(default_factory=Counter)  # servers that became nodes, by datacenter
    leavings: list[tuple[float, str]] = field(default_factory=list)  # a launch went elsewhere: when, from where
    boots: list[float] = field(default_factory=list)  # from the launch's begin to a reachable server
    began: int = 0  # launches
    retried: int = 0  # launches that the host began anew, because all datacenters were tried
    failed: int = 0  # requests
    evicted: int = 0  # ready nodes that were deleted to make room
    open_since: dict[str, float] = field(default_factory=dict)
    openings: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


class WatchedBreaker(Breaker):
    """Tells the journal when it opens and when it is closed again."""

    def __init__(self, name: str, journal: Journal, clock: Callable[[], float]) -> None:
        super().__init__(clock=clock)
        self._name = name
        self._journal = journal
        self._now = clock

    def _note(self) -> None:
        since = self._journal.open_since.get(self._name)
        if (self.state == "closed") == (since is None):
            return
        if since is None:
            self._journal.open_since[self._name] = self._now()
        else:
            del self._journal.open_since[self._name]
            self._journal.openings.setdefault(self._name, []).append((since, self._now()))

    def succeeded(self, source: str = "launch") -> None:
        super().succeeded(source)
        self._note()

    def failed(self, source: str = "launch", *, hung: bool = False) -> None:
        super().failed(source, hung=hung)
        self._note()
