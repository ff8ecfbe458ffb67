# SPDX-License-Identifier: Apache-2.0
"""One datacenter as a member of the fleet: the datacenter with its breaker, limiter, poller, threads and claims.

Made by a shell, owned by `fleet.Fleet`, which starts and closes it. Every call to the datacenter goes through `call`
(a worker thread) or the poller, and both wait for the limiter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from zuul_suse.datacenter import UNLIMITED, Datacenter, Quota, Server
from zuul_suse.fleet.breaker import OPEN, Breaker
from zuul_suse.fleet.limiter import Limiter
from zuul_suse.fleet.placement import Candidate
from zuul_suse.fleet.poller import Poller, Snapshot
from zuul_suse.fleet.reaper import Reaper
from zuul_suse.fleet.threads import MACHINE, Threads

P = ParamSpec("P")
T = TypeVar("T")


class Member:
    """See the module. A claim is a launch's share of the datacenter until its server shows in the list."""

    FULL_REST = 30.0  # how long a datacenter that said "full" is left alone
    WATCHED = 5.0  # state machines call `watch` about once a second
    CLAIM_AGE = 120.0  # a claim that nobody touches belongs to a launch that its host dropped

    def __init__(
        self,
        datacenter: Datacenter,
        *,
        rate: float = 10.0,
        workers: int = 8,
        breaker: Breaker | None = None,
        log: logging.Logger | None = None,
        clock: Callable[[], float] | None = None,
        threads: Threads = MACHINE,
    ) -> None:
        self.datacenter = datacenter
        self.name = datacenter.name
        self.clock = clock = clock or threads.clock
        log = (log or logging.getLogger("zuul_suse.fleet")).getChild(self.name)
        self.breaker = breaker or Breaker(clock=clock)
        self.limiter = Limiter(rate, clock=threads.clock, sleep=threads.sleep)
        self.reaper = Reaper(log, self._delete, clock=clock)
        self.poller = Poller(
            self.name,
            log,
            self._list_servers,
            datacenter.limits,
            self._polled,
            self._is_busy,
            clock=clock,
            threads=threads,
        )
        # A datacenter that hangs uses up its own threads only. The prefix: see Poller.
        self._pool = threads.pool(workers, f"openstack-api-{self.name}")
        self._claims: dict[str, tuple[Quota, float]] = {}
        self._watched_until = 0.0
        self._full_until = 0.0
        self._lock = threading.Lock()  # PoolWorkers claim while the create loop releases

    # Calls

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do something in a worker thread, when the limiter allows."""

        def limited() -> T:
            self.limiter.wait()
            return work(*args, **kwargs)

        return self._pool.submit(limited)

    def _list_servers(self) -> Sequence[Server]:
        self.limiter.wait()
        return self.datacenter.list_servers()

    def _delete(self, server_id: str) -> Future[None]:
        return self.call(self.datacenter.delete, server_id)

    def _polled(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self.breaker.failed("list")
            return
        self.breaker.succeeded("list")
        self.reaper.sweep(snapshot)

    def watch(self) -> None:
        """Somebody waits for a server to come or go: poll quickly for a while."""
        self._watched_until = self.clock() + self.WATCHED

    def _is_busy(self) -> bool:
        return self.breaker.state != OPEN and (self.clock() < self._watched_until or self.reaper.busy)

    # Claims

    def claim(self, key: str, need: Quota) -> bool:
        """Reserve room under this key, and the probe's place if the breaker is half-open."""
        if not self.breaker.enter():
            return False
        with self._lock:
            self._claims[key] = (need, self.clock())
        return True

    def touch(self, key: str) -> bool:
        """Keep a claim alive; False if there is none under this key."""
        with self._lock:
            if key not in self._claims:
                return False
            self._claims[key] = (self._claims[key][0], self.clock())
            return True

    def release(self, key: str) -> None:
        """The server shows in the list, or won't come: it is not counted here any more."""
        with self._lock:
            self._claims.pop(key, None)

    def is_full(self) -> None:
        """The datacenter said so, whatever our sums say: leave it alone for a while."""
        with self._lock:
            self._full_until = self.clock() + self.FULL_REST

    # Sums

    @property
    def limits(self) -> Quota | None:
        """What the datacenter last said of its limits; None if never."""
        return self.poller.snapshot.limits

    def candidate(self) -> Candidate:
        """What placement needs to know."""
        snapshot = self.poller.snapshot
        with self._lock:
            now = self.clock()
            self._claims = {key: claim for key, claim in self._claims.items() if now - claim[1] < self.CLAIM_AGE}
            claimed = [need for need, _ in self._claims.values()]
            rests = now < self._full_until
        used = [server.need for server in snapshot.servers.values()] + claimed
        free = None
        if snapshot.limits is not None:
            free = snapshot.limits - sum(used, Quota())
        return Candidate(
            name=self.name,
            limits=snapshot.limits or UNLIMITED,
            free=free,
            breaker=self.breaker.state,
            admits=self.breaker.admits(),
            rests=rests,
            used=len(used),
        )

    def close(self) -> None:
        """Stop threads; doesn't wait for calls that are under way."""
        self.poller.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.datacenter.close()
