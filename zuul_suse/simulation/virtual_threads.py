# SPDX-License-Identifier: Apache-2.0
"""Threads on a virtual clock: the fleet's own code runs unchanged, and no real time passes while it waits.

Each thread is a greenlet; one runs at a time, until it sleeps or waits. Then the clock jumps to the next event. Events
of the same moment happen in the order in which they were asked for, so a run is the same every time. Made by
`Simulation`, which calls `run`; threads that still wait when `run` returns end with `close`.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")


class BlockedError(RuntimeError):
    """Something waited where nothing may: outside of a virtual thread there is nobody to wait."""


class VirtualThreads:
    """See the module. An implementation of `zuul_suse.fleet.threads.Threads`."""

    def __init__(self) -> None:
        self.events = 0  # how many were played
        self._now = 0.0
        self._hub = getcurrent()
        self._order = itertools.count()
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._alive: dict[greenlet, None] = {}

    def clock(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.at(self._now + seconds, self._waiting().switch)
        self._hub.switch()

    def signal(self) -> VirtualSignal:
        return VirtualSignal(self)

    def start(self, run: Callable[[], object], name: str) -> None:
        """Begins when the caller next waits."""

        def alive() -> None:
            try:
                run()
            finally:
                self._alive.pop(thread, None)

        thread = greenlet(alive, self._hub)
        self._alive[thread] = None
        self.at(self._now, thread.switch)

    def pool(self, workers: int, name: str) -> VirtualPool:
        return VirtualPool(self, workers, name)

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Have something done at a moment, by nobody who could wait."""
        heapq.heappush(self._plan, (moment, next(self._order), do))

    def wait(self) -> None:
        """Let others run until somebody switches back to the calling thread."""
        self._waiting()
        self._hub.switch()

    def run(self, until: float) -> None:
        """Play all events up to a moment, which it is afterwards."""
        plan = self._plan
        while plan and plan[0][0] <= until:
            self._now, _, do = heapq.heappop(plan)
            self.events += 1
            do()
        self._now = until

    def close(self) -> None:
        """End the threads that wait."""
        self._plan.clear()
        for thread in list(self._alive):
            thread.throw(GreenletExit)
        self._alive.clear()

    def _waiting(self) -> greenlet:
        thread = getcurrent()
        if thread is self._hub:
            raise BlockedError("a call that blocks was made outside of a thread")
        return thread


class VirtualSignal:
    """As much of threading.Event as the fleet uses."""

    def __init__(self, threads: VirtualThreads) -> None:
        self._threads = threads
        self._given = False
        self._waiters: dict[int, Callable[[], object]] = {}
        self._numbers = itertools.count()

    def set(self) -> None:
        self._given = True
        waiters, self._waiters = self._waiters, {}
        for resume in waiters.values():
            self._threads.at(self._threads.clock(), resume)

    def clear(self) -> None:
        self._given = False

    def is_set(self) -> bool:
        return self._given

    def wait(self, timeout: float | None = None, /) -> bool:
        if self._given:
            return True
        number = next(self._numbers)
        resume = getcurrent().switch
        self._waiters[number] = resume

        def give_up() -> None:
            if self._waiters.pop(number, None) is not None:
                resume()

        if timeout is not None:
            self._threads.at(self._threads.clock() + timeout, give_up)
        self._threads.wait()
        return self._given


class VirtualPool(Executor):
    """So many calls at a time; the others queue."""

    def __init__(self, threads: VirtualThreads, workers: int, name: str) -> None:
        self._threads = threads
        self._workers = workers
        self._name = name
        self._busy = 0
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call: Future[T] = Future()
        self._queue.append((call, lambda: work(*args, **kwargs)))
        if self._busy < self._workers:
            self._busy += 1
            self._threads.start(self._work, self._name)
        return call

    def _work(self) -> None:
        try:
            while self._queue:
                call, work = self._queue.popleft()
                if call.set_running_or_notify_cancel():
                    self._answer(call, work)
        finally:
            self._busy -= 1

    @staticmethod
    def _answer(call: Future[Any], work: Callable[[], Any]) -> None:
        try:
            answer = work()
        except Exception as error:
            call.set_exception(error)
        else:
            call.set_result(answer)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for call, _ in self._queue:
                call.cancel()
            self._queue.clear()
