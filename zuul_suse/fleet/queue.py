# SPDX-License-Identifier: Apache-2.0
"""Requests that fit nowhere now, and who has to give way to whom.

The rule: a request that fits nowhere holds nobody up; smaller ones overtake it. So that it isn't overtaken for ever,
the first of those that wait (by rank, then by time) is promised the datacenter in which it will fit soonest: spare
servers, which nobody waits for, are not made there any more, and when it has waited for `patience` seconds nothing
else of the same or a lower rank is either, until it fits. The others go elsewhere meanwhile. What lacks room not in a
datacenter but in its own pool has that pool kept for it in the same way. There is one promise per pool, and where two
want the same datacenter the one that waits longer gets it first.

Owned by a shell's provider, one for all its pools; asked and told by their threads, hence the lock. The shell drops
those whose request was withdrawn, and an entry that isn't heard of for a while is forgotten. With hundreds of them the
first is found without a look at the others, and its datacenter is chosen anew every two seconds at most: a PoolWorker
asks for it with every request that waits.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zuul_suse.datacenter import Quota
from zuul_suse.fleet import Demand, Fleet
from zuul_suse.fleet.placement import headroom

SPARE_RANK = ("~",)  # after every rank there is

Order = tuple[Any, float, str]  # rank, since when, key


@dataclass
class Entry:
    """A request that waits. `rank` is anything that can be compared; less is more important."""

    key: str
    pool: str
    rank: Any
    demands: Sequence[Demand]
    since: float
    seen: float
    lacks_pool: bool = False
    target: str | None = None  # the datacenter that is promised to it
    aimed_at: float = -math.inf

    @property
    def order(self) -> Order:
        """By which the first is found."""
        return self.rank, self.since, self.key


class Queue:
    """See the module."""

    FORGOTTEN = 15.0  # seconds; not where the shell itself drops whatever waits no more
    AIM_AGE = 2.0  # seconds for which a target is good

    def __init__(
        self,
        fleet: Fleet,
        patience: float,
        spare: Callable[[str], Quota] = lambda datacenter: Quota(),
        forgotten: float = FORGOTTEN,
    ) -> None:
        self._fleet = fleet
        self._patience = patience
        self._spare = spare  # what a datacenter's spare servers take, which make way
        self._clock = next(iter(fleet.members.values())).clock
        self._lock = threading.Lock()
        self._forgotten = forgotten
        self._entries: dict[str, Entry] = {}
        self._orders: dict[str, list[Order]] = {}  # by pool, as a heap; of entries that changed or left there are more
        self._wished_at = -math.inf

    def wait(self, key: str, pool: str, rank: Any, demands: Sequence[Demand], lacks_pool: bool) -> Entry:  # noqa: ANN401
        """This request fits nowhere now."""
        self._wish_for_room()
        with self._lock:
            now = self._clock()
            entry = self._entries.get(key)
            if entry is None or entry.pool != pool or entry.rank != rank:
                known = entry or Entry(key, pool, rank, demands, now, now)
                entry = self._entries[key] = replace(known, pool=pool, rank=rank)
                self._file(entry)
            entry.demands, entry.seen, entry.lacks_pool = demands, now, lacks_pool
            return entry

    def _wish_for_room(self) -> None:
        """Have the datacenters looked at more often; it is enough to say so now and then."""
        now = self._clock()
        if now - self._wished_at >= self.AIM_AGE:
            self._wished_at = now
            for member in self._fleet.members.values():
                member.pace.want_room()

    def _file(self, entry: Entry) -> None:
        orders = self._orders.setdefault(entry.pool, [])
        if len(orders) > 2 * len(self._entries):
            orders[:] = [one.order for one in self._entries.values() if one.pool == entry.pool]
            heapq.heapify(orders)
        heapq.heappush(orders, entry.order)

    def leave(self, key: str) -> float:
        """This request waits no more; returns for how long it did."""
        with self._lock:
            entry = self._entries.pop(key, None)
            return self._clock() - entry.since if entry else 0.0

    def drop(self, is_withdrawn: Callable[[str], bool]) -> None:
        """Forget those whose key nobody knows any more: what was promised to them is free for the next."""
        with self._lock:
            keys = list(self._entries)
        gone = [key for key in keys if is_withdrawn(key)]  # without the lock: it may ask another server
        with self._lock:
            for key in gone:
                self._entries.pop(key, None)

    def __len__(self) -> int:
        with self._lock:
            oldest = self._clock() - self._forgotten
            return sum(entry.seen >= oldest for entry in self._entries.values())

    def first(self, pool: str) -> Entry | None:
        """The request of this pool to which something is promised, with its target."""
        with self._lock:
            return self._first(pool)

    def _first(self, pool: str) -> Entry | None:
        entry = self._head(pool)
        if entry is not None and not entry.lacks_pool and self._clock() - entry.aimed_at >= self.AIM_AGE:
            self._aim(entry)
        return entry

    def _head(self, pool: str) -> Entry | None:
        """The first of a pool. What stands before it and waits no more, or wasn't heard of lately, is forgotten."""
        oldest = self._clock() - self._forgotten
        orders = self._orders.get(pool, [])
        while orders:
            key = orders[0][-1]
            entry = self._entries.get(key)
            if entry is not None and entry.pool == pool and entry.order == orders[0]:
                if entry.seen >= oldest:
                    return entry
                del self._entries[key]
            heapq.heappop(orders)
        self._orders.pop(pool, None)
        return None

    def _aim(self, entry: Entry) -> None:
        """Choose its target, and keep to it as long as that can become true."""
        entry.aimed_at = self._clock()
        candidates = [member.candidate(entry.demands) for member in self._fleet.members.values()]
        able = [
            replace(one, free=one.free + self._spare(one.name))
            for one in candidates
            if one.refusal is None and one.admits and one.free is not None and one.limits.covers(one.need)
        ]
        if entry.target not in [one.name for one in able]:
            entry.target = max(able, key=lambda one: (headroom(one), one.name)).name if able else None

    def closed_to(self, key: str, pool: str, rank: Any, spare: bool = False) -> Mapping[str, str] | None:  # noqa: ANN401
        """Datacenters that are kept for others, with the reason; None if the whole pool is."""
        with self._lock:
            if not self._entries:
                return {}
            mine = self._entries.get(key)
            closed: dict[str, str] = {}
            now = self._clock()
            for name in list(self._orders):
                first = self._first(name)
                if first is None or first is mine or rank < first.rank:
                    continue
                if mine is not None and not spare and mine.order < first.order:
                    continue
                if not spare and now - first.since < self._patience:
                    continue
                if first.lacks_pool and first.pool == pool:
                    return None
                if not first.lacks_pool and first.target is not None:
                    closed[first.target] = f"kept for request {first.key}"
            return closed
