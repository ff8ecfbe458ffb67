# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: closed, open or half-open.

Closed: all is well. Open: launches and sums leave this datacenter alone until it has rested. Half-open: one probe
launch at a time may go in; if it arrives the breaker closes, if it fails the breaker opens for twice as long. One per
datacenter, made by `fleet.Member`; told by the poller's thread and by the launches, so it has a lock.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


class Breaker:
    """Failures in a row are counted by source: a list that works says nothing about launches that don't."""

    def __init__(
        self,
        threshold: int = 3,
        rest: float = 30.0,
        longest_rest: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._shortest = rest
        self._longest = longest_rest
        self._clock = clock
        self._lock = threading.Lock()  # the poller's thread fails it while the create loop asks for a probe
        self._failures: Counter[str] = Counter()
        self._rest = rest
        self._opened_at: float | None = None
        self._probe_since: float | None = None

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        with self._lock:
            return self._state()

    def _state(self) -> str:
        if self._opened_at is None:
            return CLOSED
        return HALF_OPEN if self._clock() - self._opened_at >= self._rest else OPEN

    def admits(self) -> bool:
        """Whether a launch may go in now; takes nothing."""
        with self._lock:
            return self._admits()

    @property
    def overdue(self) -> bool:
        """Whether it has been half-open for a while and no launch came by as a probe."""
        with self._lock:
            asleep = self._probe_since is None and self._opened_at is not None
            return asleep and self._clock() - (self._opened_at or 0.0) >= self._rest + self._shortest

    @property
    def probing(self) -> bool:
        """Whether a probe is under way."""
        with self._lock:
            return self._probe_since is not None and self._clock() - self._probe_since <= self._longest

    def _admits(self) -> bool:
        state = self._state()
        if state == HALF_OPEN:
            # A probe that nobody reports back is forgotten, or the datacenter would never return.
            return self._probe_since is None or self._clock() - self._probe_since > self._longest
        return state == CLOSED

    def enter(self) -> bool:
        """Ask to send a launch in; in half-open state this takes the place of the probe."""
        with self._lock:
            if not self._admits():
                return False
            if self._state() == HALF_OPEN:
                self._probe_since = self._clock()
            return True

    def leave(self) -> None:
        """A launch went out without a verdict on the datacenter."""
        with self._lock:
            self._probe_since = None

    def answered(self) -> None:
        """A launch was told that the datacenter is full: it lives, so a probe has found out what it was to find out."""
        with self._lock:
            if self._state() == HALF_OPEN:
                self._opened_at, self._probe_since, self._rest = None, None, self._shortest
                self._failures.clear()
            self._probe_since = None

    def succeeded(self, source: str = "launch") -> None:
        """A launch arrived, or a list came back.

        A list closes nothing; but one that comes back after lists had failed ends a long rest: a probe is worth its
        while now.
        """
        with self._lock:
            came_back = self._failures[source] > 0
            self._failures[source] = 0
            if source == "launch":
                self._opened_at, self._probe_since = None, None
            if source == "launch" or came_back:
                self._rest = self._shortest

    def failed(self, source: str = "launch", *, hung: bool = False) -> None:
        """A launch failed through the datacenter's fault, or a list didn't come.

        A call that hung until it was given up took as long as many that fail at once, and says as much.
        """
        with self._lock:
            self._failures[source] += self._threshold if hung else 1
            state = self._state()
            if state == HALF_OPEN:
                self._rest = min(self._rest * 2, self._longest)
                self._opened_at, self._probe_since = self._clock(), None
            elif state == CLOSED and self._failures[source] >= self._threshold:
                self._opened_at = self._clock()
