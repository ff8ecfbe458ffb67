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


class Poller:
    """See the module. `on_poll` is called in the poller's thread with the snapshot, or the error after a failure.

    `due` tells when to list next, given when the last list was asked for and how long it took.
    """

    LIMITS_AGE = 300.0

    def __init__(
        self,
        name: str,
        log: logging.Logger,
        list_servers: Callable[[], Sequence[Server]],
        read_limits: Callable[[], Quota],
        on_poll: Callable[[Snapshot | Exception], None],
        due: Callable[[float, float], float],
        clock: Callable[[], float] = time.monotonic,
        threads: Threads = MACHINE,
    ) -> None:
        self._log = log
        self._list_servers = list_servers
        self._read_limits = read_limits
        self._on_poll = on_poll
        self._due = due
        self._clock = clock
        self._limits_at = -math.inf
        self.failing = False
        self.asked_at = 0.0  # when the poll began that is under way, or the last one
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
        self._limits_at = -math.inf

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
        """One list, and now and then the limits; reports to `on_poll` and never raises."""
        self.asked_at = asked_at = self._clock()
        self._asking = True
        try:
            limits = self.snapshot.limits
            if limits is None or asked_at - self._limits_at > self.LIMITS_AGE:
                limits = self._read_limits()
                self._limits_at = asked_at
                asked_at = self._clock()
            servers = {server.id: server for server in self._list_servers()}
        except DatacenterError as error:
            if not self.failing:
                self._log.warning("Can't list: %s", error)
            self.failing = True
            self._report(error)
            return
        except Exception as error:
            # A fault in a kind's translation must not end this thread: the datacenter would be blind for ever.
            self._log.exception("Unexpected error while listing %s", self._name)
            self.failing = True
            self._report(error)
            return
        finally:
            self._asking = False
        if self.failing:
            self._log.info("Lists again")
        self.failing = False
        self.snapshot = Snapshot(self.snapshot.number + 1, asked_at, servers, limits)
        self._report(self.snapshot)

    def _report(self, answer: Snapshot | Exception) -> None:
        if self._stopping:
            return  # worker threads may have ended already
        try:
            self._on_poll(answer)
        except Exception:
            self._log.exception("Unexpected error after listing %s", self._name)
