# SPDX-License-Identifier: Apache-2.0
"""Requests per second, per datacenter.

A worker thread or the poller waits in `wait` until its turn; state machines never do. One per `fleet.Member`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


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

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now - self._saved)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)
