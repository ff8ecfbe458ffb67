# SPDX-License-Identifier: Apache-2.0
"""How many servers a datacenter is asked to create at a time.

A cloud that gets a burst of creates takes them all and slows down for every one of them: it makes no more servers per
second for it, and answers nothing else in time, lists least of all. So calls begin two at a time, more as long as they
take no longer for it, fewer when they do: TCP Vegas' rule, by which a sender keeps the line full and the router's queue
empty. One per `fleet.Member`; the others wait here, in the order in which they came. Ends with its pool.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Throttle:
    """Runs work in a pool's threads, `most` at a time at the most."""

    START = 2
    CALM, CROWDED = 1.0, 2.0  # calls that wait at the other side: with fewer there may be more, with more fewer
    REMEMBERED = 100  # calls, of which the fastest shows how long one takes that waits for no other

    def __init__(self, pool: Executor, most: int, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()  # worker threads end calls while the shell's hands in new ones
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._busy = 0
        self._limit = float(min(self.START, most))
        self._took: deque[float] = deque(maxlen=self.REMEMBERED)

    @property
    def limit(self) -> int:
        """How many calls may be under way now."""
        return int(self._limit)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Do it in a worker thread, when it is its turn."""
        call: Future[T] = Future()
        with self._lock:
            self._waiting.append((call, work))
        self._begin()
        return call

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for call, _ in waiting:
            call.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        while True:
            with self._lock:
                if self._busy >= self.limit or not self._waiting:
                    return
                call, work = self._waiting.popleft()
                if not call.set_running_or_notify_cancel():
                    continue
                self._busy += 1
            self._pool.submit(self._run, call, work)

    def _run(self, call: Future[T], work: Callable[[], T]) -> None:
        began = self._clock()
        try:
            answer = work()
        except BaseException as error:
            self._ended(None)
            call.set_exception(error)
        else:
            self._ended(self._clock() - began)
            call.set_result(answer)
        self._begin()

    def _ended(self, took: float | None) -> None:
        """A refusal is quick or late for reasons of its own: only servers that were made teach anything."""
        with self._lock:
            full = self._busy >= self.limit
            self._busy -= 1
            if took is None:
                return
            self._took.append(took)
            crowd = self._limit * (1 - min(self._took) / took) if took > 0 else 0.0
            if crowd > self.CROWDED:
                self._limit = max(1.0, self._limit - 1 / self._limit)
            elif crowd < self.CALM and full:
                self._limit = min(float(self._most), self._limit + 1 / self._limit)
