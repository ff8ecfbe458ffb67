# SPDX-License-Identifier: Apache-2.0
"""Requests per second, per datacenter.

A worker thread or the poller waits in `wait` until its turn; state machines never do. A datacenter that asked to be
left alone (Retry-After) gives no turns until that time is over. One per `fleet.Member`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from zuul_suse.datacenter import usable_rest


class Limiter:
    """Hands out turns that are 1/rate seconds apart; an idle time is not saved up beyond `burst` turns."""

    def __init__(
        self,
        rate: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 1.0 / rate
        self._saved = (burst - 1) * self._gap
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()  # worker threads and the poller's thread of one datacenter meet here
        self._next = clock()
        self._quiet_until = self._next

    @property
    def rests_for(self) -> float:
        """Seconds for which the datacenter is still to be left alone."""
        return max(0.0, self._quiet_until - self._clock())

    def rest(self, seconds: float) -> None:
        """Give no more turns for so long, at most LONGEST_REST, not even to those who wait for theirs."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, self._clock() + (usable_rest(seconds) or 0.0))
            self._next = max(self._next, self._quiet_until)

    def _take(self) -> float:
        turn = max(self._next, self._clock() - self._saved)
        self._next = turn + self._gap
        return turn

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            turn = self._take()
        while True:
            pause = turn - self._clock()
            if pause > 0:
                self._sleep(pause)
            with self._lock:
                if turn >= self._quiet_until:
                    return
                turn = self._take()
