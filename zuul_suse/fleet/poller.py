# SPDX-License-Identifier: Apache-2.0
"""One thread per datacenter keeps id -> server.

State machines and quota sums read `snapshot`, an immutable value that is replaced as a whole, so they need no lock
and no network. The thread starts with `start`, polls as `pace` says, and ends with `stop` or with the
process.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property

from zuul_suse.datacenter import DatacenterError, Quota, Server, total
from zuul_suse.fleet.threads import MACHINE, Threads


@dataclass(frozen=True)
class Snapshot:
    """What a datacenter had at `asked_at`; `number` is 0 before the first list came back."""

    number: int = 0
    asked_at: float = 0.0
    servers: Mapping[str, Server] = field(default_factory=dict)
    limits: Quota | None = None

    @cached_property
    def used(self) -> Quota:
        """What all of them take. Summed up when it is asked for: most lists come while nobody wants to know."""
        return total(server.need for server in self.servers.values())


class Limits:
    """What a datacenter allows, read by a worker thread now and then.

    Apart from the list, which must come whatever becomes of this: what was last read stays known while it can't be
    read, and a call that hangs holds a list up for PATIENCE seconds at most. Used by the poller's thread.
    """

    AGE = 300.0
    AGAIN, LONGEST_AGAIN = 10.0, 60.0  # after a failure, and twice as long after each further one
    PATIENCE = 5.0

    def __init__(
        self,
        read: Callable[[], Future[Quota]],
        log: logging.Logger,
        on_late: Callable[[], None],
        clock: Callable[[], float],
        threads: Threads,
    ) -> None:
        self.value: Quota | None = None
        self._read = read
        self._log = log
        self._on_late = on_late  # the answer came after PATIENCE
        self._clock = clock
        self._threads = threads
        self._due = -math.inf
        self._failures = 0
        self._call: Future[Quota] | None = None

    def outdate(self) -> None:
        """See `Poller.outdate_limits`."""
        self._due = -math.inf

    def refresh(self) -> None:
        """Read them if that is due."""
        if self._call is None and self._clock() >= self._due:
            self._due = self._clock() + self.AGE
            self._call = self._read()
            answered = self._threads.signal()
            self._call.add_done_callback(lambda _: answered.set())
            answered.wait(self.PATIENCE)
            if not self._call.done():
                self._call.add_done_callback(lambda _: self._on_late())
        if self._call is not None and self._call.done():
            call, self._call = self._call, None
            self._take(call)

    def _take(self, call: Future[Quota]) -> None:
        try:
            self.value = call.result()
        except Exception as error:  # a fault in a kind's translation, too: what the cloud writes is not ours
            if not self._failures:
                known = "nothing is launched there until they are known" if self.value is None else "the last ones hold"
                said = str(error) if isinstance(error, DatacenterError) else repr(error)
                self._log.warning("Can't read the limits, %s: %s", known, said)
            self._due = self._clock() + min(self.AGAIN * 2 ** min(self._failures, 10), self.LONGEST_AGAIN)
            self._failures += 1
            return
        if self._failures:
            self._log.info("The limits can be read again: %s", self.value)
        self._failures = 0


class Poller:
    """See the module. `on_poll` is called in the poller's thread with the snapshot, or the error after a failure.

    `due` tells when to list next, given when the last list was asked for and how long it took.
    """

    def __init__(
        self,
        name: str,
        log: logging.Logger,
        list_servers: Callable[[], Sequence[Server]],
        read_limits: Callable[[], Future[Quota]],
        on_poll: Callable[[Snapshot | Exception], None],
        due: Callable[[float, float], float],
        clock: Callable[[], float] = time.monotonic,
        threads: Threads = MACHINE,
    ) -> None:
        self._log = log
        self._list_servers = list_servers
        self._on_poll = on_poll
        self._due = due
        self._clock = clock
        self.limits = Limits(read_limits, log, self.wake, clock, threads)
        self.failures = 0  # lists in a row that didn't come
        self.asked_at = 0.0  # when the list was asked for that is under way, or the last one
        self._asking = False
        self._threads = threads
        self._wake = threads.signal()
        self._at_once = True
        self._stopping = False
        self._started = False
        self._thread: threading.Thread | None = None
        # The prefix is one of the two that Nodepool's own tests expect of a driver's threads.
        self._thread_name = f"openstack-api-poll-{name}"
        self._name = name
        self.snapshot = Snapshot()

    def start(self) -> None:
        """Begin to poll; harmless when it does already."""
        if not self._started and not self._stopping:
            self._started = True
            self._thread = self._threads.start(self._run, self._thread_name)

    def stop(self) -> None:
        """End after the poll that is under way; doesn't wait for it, for it may hang in a dead datacenter."""
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """Poll now."""
        self._at_once = True
        self._wake.set()

    def reconsider(self) -> None:
        """It may be time to poll sooner than it was."""
        self._wake.set()

    def outdate_limits(self) -> None:
        """Read them with the next list: the datacenter doesn't agree with what we know."""
        self.limits.outdate()

    @property
    def failing(self) -> bool:
        """Whether the last list didn't come."""
        return self.failures > 0

    @property
    def hangs_for(self) -> float:
        """How long the list that is under way has had no answer."""
        return self._clock() - self.asked_at if self._asking else 0.0

    def _run(self) -> None:
        last, took = -math.inf, 0.0
        while not self._stopping:
            self._wake.clear()
            now = self._clock()
            if self._at_once or now >= self._due(last, took):
                self._at_once = False
                last = now
                self.poll()
                took = self._clock() - last
            pause = self._due(last, took) - self._clock()
            if pause > 0 and not self._at_once:
                self._wake.wait(pause)

    def poll(self) -> None:
        """One list, and now and then the limits; reports to `on_poll` and never raises.

        While lists fail limits aren't asked for: a Retry-After in their answer would put each next list off.
        """
        try:
            if not self.failures:
                self.limits.refresh()
            self.asked_at = asked_at = self._clock()
            self._asking = True
            servers = {server.id: server for server in self._list_servers()}
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._asking = False
        if self.failures:
            self._log.info("Lists again")
            self.limits.outdate()
            self.limits.refresh()
        self.failures = 0
        self.snapshot = Snapshot(self.snapshot.number + 1, asked_at, servers, self.limits.value)
        self._report(self.snapshot)

    def _fail(self, error: Exception) -> None:
        """A fault in a kind's translation must not end this thread either: the datacenter would be blind for ever."""
        if self._stopping:
            return
        if not self.failures:
            told = None if isinstance(error, DatacenterError) else error
            self._log.warning("Can't list: %s", error if told is None else repr(error), exc_info=told)
        self.failures += 1
        self._report(error)

    def _report(self, answer: Snapshot | Exception) -> None:
        if self._stopping:
            return  # worker threads may have ended already
        try:
            self._on_poll(answer)
        except Exception:
            self._log.exception("Unexpected error after listing %s", self._name)
