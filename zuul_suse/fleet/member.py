# SPDX-License-Identifier: Apache-2.0
"""One datacenter as a member of the fleet: the datacenter with its breaker, gate, poller, threads and claims.

Made by a shell, owned by `fleet.Fleet`, which starts and closes it. Whatever is asked of the datacenter is asked in a
worker thread (`call`) or by the poller; every single request that the datacenter then makes passes the gate.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from zuul_suse.datacenter import UNLIMITED, Datacenter, DatacenterError, Quota, Server, total
from zuul_suse.fleet.blame import Blame
from zuul_suse.fleet.breaker import HALF_OPEN, OPEN, Breaker
from zuul_suse.fleet.claims import Claims
from zuul_suse.fleet.limiter import Limiter
from zuul_suse.fleet.metrics import LeftAlone, Metrics, NoMetrics, RateGate, tell_state
from zuul_suse.fleet.pace import Pace
from zuul_suse.fleet.placement import Candidate, Demand, weight
from zuul_suse.fleet.poller import Poller, Snapshot
from zuul_suse.fleet.reaper import LAUNCH_TAG, Reaper
from zuul_suse.fleet.threads import MACHINE, Threads
from zuul_suse.fleet.throttle import Throttle

P = ParamSpec("P")
T = TypeVar("T")


class Member:
    """See the module."""

    FULL_REST = 30.0  # how long a datacenter that said "full" is left alone, if it doesn't say itself
    LONGEST_FULL_REST = 120.0  # at the most, when it says so again and again and no server arrives in between
    HANGS = 30.0  # a poll that failed after so long was not refused, it hung
    NO_ANSWER = 20.0  # a poll that is under way for so long: better nothing is begun here

    def __init__(
        self,
        datacenter: Datacenter,
        *,
        rate: float = 10.0,
        creates: int = 8,
        workers: int = 8,
        weight: float = 1.0,
        breaker: Breaker | None = None,
        log: logging.Logger | None = None,
        clock: Callable[[], float] | None = None,
        threads: Threads = MACHINE,
        metrics: Metrics | None = None,
        owns: Callable[[Server], bool] = lambda server: LAUNCH_TAG in server.metadata,
    ) -> None:
        self.datacenter = datacenter
        self.name = datacenter.name
        self.weight = weight
        self.clock = clock = clock or threads.clock
        self.log = log = (log or logging.getLogger("zuul_suse.fleet")).getChild(self.name)
        self.metrics = metrics or NoMetrics()
        self.owns = owns  # whether a server is this provider's
        self.breaker = breaker or Breaker(clock=clock)
        self.blame = Blame({self.name: self.breaker}, clock, log)  # until a fleet brings its own, for all its members
        self.limiter = Limiter(rate, clock=threads.clock, sleep=threads.sleep)
        datacenter.gate = RateGate(self.name, self.limiter, self.metrics, threads.clock, self._leave_alone)
        datacenter.log = log
        self.claims = Claims(clock)
        self.on_news: Callable[[], None] = lambda: None  # a list or an answer came; set by whoever waits for such
        self.pace = Pace(clock, lambda: self.poller.reconsider())
        self.reaper = Reaper(log, self._delete, clock=clock)
        self.poller = Poller(
            self.name,
            log,
            datacenter.list_servers,
            lambda: self.call(datacenter.limits),
            self._polled,
            self._poll_due,
            clock=clock,
            threads=threads,
        )
        # A datacenter that hangs uses up its own threads only. The prefix: see Poller.
        self._pool = threads.pool(workers, f"openstack-api-{self.name}")
        self._creates = Throttle(threads.pool(creates, f"openstack-api-create-{self.name}"), creates, clock)
        self.reading: set[str] = set()  # servers whose console is wanted before they go
        self._rests_until, self._rests = 0.0, ""
        self._fulls, self._full_until = 0, 0.0  # times in a row that it said it was full
        self._lock = threading.Lock()  # worker threads and the poller's set a rest while PoolWorkers look at it

    # Calls

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do something in a worker thread."""
        return self._announced(self._pool.submit(work, *args, **kwargs))

    def create(self, work: Callable[[], T]) -> Future[T]:
        """Do what creates a server in a worker thread, when the datacenter takes one more."""

        def creating() -> T:
            try:
                return work()
            except DatacenterError as error:
                if error.rest is not None and not isinstance(error, LeftAlone):
                    self.is_full(error.rest)
                raise

        return self._announced(self._creates.submit(creating))

    def _announced(self, call: Future[T]) -> Future[T]:
        call.add_done_callback(lambda _: self.on_news())
        return call

    def _delete(self, server_id: str) -> Future[None]:
        return self.call(self.datacenter.delete, server_id)

    def _polled(self, answer: Snapshot | Exception) -> None:
        if isinstance(answer, Snapshot):
            self.breaker.succeeded("list")
            self.reaper.sweep(answer)
        elif not isinstance(answer, LeftAlone):  # a Retry-After is obeyed, but a list it is not
            self.breaker.failed("list", hung=self.clock() - self.poller.asked_at >= self.HANGS)
        self._tell()
        self.on_news()

    def _tell(self) -> None:
        """The figures of this moment."""
        if isinstance(self.metrics, NoMetrics):
            return
        snapshot = self.poller.snapshot
        ours = [server for server in snapshot.servers.values() if self.owns(server)]
        ready = sum(server.ready for server in ours)
        building = len(self.claims.keys | self.pace.awaited)
        stuck = len(self.reaper.stuck)
        tell_state(self.metrics, self.breaker.state, ready, building, stuck, self.free())

    def _poll_due(self, last: float, took: float) -> float:
        failures = self.poller.failures
        due = last + Pace.WARY if self.breaker.state == OPEN else self.pace.due(last, took, self.reaper.youngest)
        if failures:
            due = max(min(due, last + Pace.WARY), last + min(Pace.QUICK * 2 ** min(failures - 1, 10), Pace.WARY))
        rests = self.limiter.rests_for
        return max(due, self.clock() + rests) if rests else due

    def is_out(self) -> bool:
        """Whether nothing that is under way here can be seen to end."""
        return self.poller.failing and self.breaker.state == OPEN

    def is_slow(self) -> bool:
        """Whether it keeps us waiting: dead or overloaded, nobody knows yet."""
        return self.poller.hangs_for > self.NO_ANSWER

    def arrived(self, ordered_at: float) -> None:
        """A launch's server has an address; it was ordered at that time. Whether it can be used is for `blame`."""
        self._fulls = 0
        self.metrics.time("boot", self.clock() - ordered_at)
        self._tell()

    # Rests

    def heed(self, error: DatacenterError) -> bool:
        """Leave the datacenter alone if it asked for that; False if it didn't."""
        if error.rest is None:
            return False
        self._leave_alone(error.rest)
        return True

    def _leave_alone(self, seconds: float) -> None:
        """Whatever was asked, its answer asks for this. Called in the thread that asked."""
        self.limiter.rest(seconds)
        self._rest(seconds, f"wants to be left alone for {seconds:.0f} s")

    def is_full(self, seconds: float = FULL_REST) -> None:
        """The datacenter said so, whatever our sums say, or had no time for a create: launch nothing there for a while.

        For that many seconds, and twice as long each time that it does so again before a server arrives.
        """
        with self._lock:
            known = self.clock() < self._full_until  # another launch heard the same a moment ago
            rest = max(seconds, min(seconds * 2 ** min(self._fulls, 10), self.LONGEST_FULL_REST))
            if not known:
                self._fulls += 1
                self._full_until = self.clock() + rest
        if not known:
            self._rest(rest, "said that it is full")
        self.poller.outdate_limits()

    def _rest(self, seconds: float, why: str) -> None:
        with self._lock:
            until = self.clock() + seconds
            if until > self._rests_until:
                self._rests_until, self._rests = until, why

    # Placement

    def claim(self, demands: Mapping[str, Demand]) -> bool:
        """Reserve room under each key, and the probe's place if the breaker is half-open."""
        needs: dict[str, Quota] = {}
        for key, demand in demands.items():
            order = demand.order(self.name)
            if isinstance(order, str):
                return False
            needs[key] = self.datacenter.need(order)
        if not self.breaker.enter():
            return False
        self.claims.add(needs)
        for label in self._labels(demands.values()):
            self.blame.enter(label, self.name)
        return True

    def _labels(self, demands: Iterable[Demand]) -> set[str]:
        """What failures of these are counted by here."""
        return {demand.label or getattr(demand.order(self.name), "image", "") for demand in demands}

    def _asked(self, demands: Sequence[Demand]) -> tuple[Quota, str | None]:
        """What all of it takes here, and why it can't be done at all."""
        need = Quota()
        for demand in demands:
            order = demand.order(self.name)
            refusal = order if isinstance(order, str) else self.datacenter.refusal(order)
            if refusal is not None or isinstance(order, str):
                return need, refusal
            need += self.datacenter.need(order)
        return need, None

    def refuses(self, demand: Demand) -> bool:
        """Whether waiting for room here is in vain."""
        return self._asked([demand])[1] is not None

    def fits_when_empty(self, demands: Sequence[Demand]) -> bool:
        """Whether it is big enough, or may be."""
        need, refusal = self._asked(demands)
        return refusal is None and (self.limits is None or self.limits.covers(need))

    def bounds(self, demands: Sequence[Demand]) -> str:
        """What stands between these and an empty datacenter, in words."""
        need, refusal = self._asked(demands)
        return refusal or f"needs {need}, the limits are {self.limits or 'not known'}"

    @property
    def limits(self) -> Quota | None:
        """What the datacenter last said of its limits; None if never."""
        return self.poller.snapshot.limits

    def free(self) -> Quota | None:
        """What is free beside everything that is there and in flight; None if it was never heard of."""
        snapshot = self.poller.snapshot
        if snapshot.limits is None:
            return None
        return snapshot.limits - snapshot.used - total(self.claims.held())

    def candidate(self, demands: Sequence[Demand]) -> Candidate:
        """What placement needs to know."""
        snapshot = self.poller.snapshot
        need, refusal = self._asked(demands)
        with self._lock:
            rests = self._rests if self.clock() < self._rests_until else None
        if self.is_slow():
            rests = "does not answer"
        labels = self._labels(demands)
        blamed = next(filter(None, (self.blame.obstacle(label, self.name) for label in labels)), None)
        rests = rests or next(filter(None, (self.blame.full_for(label, self.name) for label in labels)), None)
        return Candidate(
            name=self.name,
            need=need,
            limits=snapshot.limits or UNLIMITED,
            free=self.free(),
            breaker=self.breaker.state,
            admits=blamed is None and self.breaker.admits(),
            rests=rests,
            used=len(snapshot.servers) + len(self.claims.held()),
            weight=weight(demands, self.name, self.weight),
            refusal=refusal,
            blamed=blamed,
            probe=self._wants_probe(demands),
        )

    def standing(self) -> Hashable:
        """What `candidate` goes by, for any demands: while it is the same, what didn't fit doesn't. Cheap."""
        breaker = (self.breaker.state, self.breaker.admits(), self.breaker.overdue)
        rests = self.clock() < self._rests_until or self.is_slow()
        return self.poller.snapshot.number, frozenset(self.claims.keys), breaker, rests, self.blame.standing(self.name)

    def _wants_probe(self, demands: Sequence[Demand]) -> bool:
        """Whether these should be launched here though others may have more room; more than one would be no probe."""
        if len(demands) != 1 or not self.breaker.admits():
            return False
        return self.breaker.state == HALF_OPEN and (demands[0].spare or self.breaker.overdue)

    def close(self) -> None:
        """Stop threads; doesn't wait for calls that are under way."""
        self.poller.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._creates.close()
        self.datacenter.close()
