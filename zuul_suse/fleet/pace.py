# SPDX-License-Identifier: Apache-2.0
"""When to list a datacenter's servers next.

One per `fleet.Member`. Launches say which servers are to come and when they came, deletions which are to go; the
poller's thread asks `due`. While no server can be up yet, as the last boots tell, there is no need to look. While they
come one after the other a list is shared by as many as SHARE allows, but none waits for it for longer than STEADY, for
which a slow flow pays with more lists. While nobody waits, a look now and then keeps the sums right.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable


class Pace:
    """See the module. `on_news` is called when the next list may be due sooner than it was."""

    QUICK = 1.0  # gap between lists while few are awaited
    STEADY = 2.4  # and at most, while many are
    RELAXED = 3.5  # while many are to go, for which nobody waits
    SLOW = 30.0  # while none is
    WARY = 10.0  # at most while a server is awaited, however long boots take, and while lists or launches fail
    FEW = 3
    SHARE = 0.36  # of a list for each server that comes
    FLOW = 10.0  # seconds for which servers that came tell when the next will
    REST = 0.5  # of the time that a list took, before the next: a datacenter that is slow already must get on, too
    FADING = 0.2  # gap, as a part of the time for which the last one that was told to go is there still
    GUESS = 2.0  # of a boot, while none was seen
    DOUBT, MOST_DOUBT = 0.25, 3.5  # gap, as a part of the time that the very first boot takes already
    EARLY = 0.8  # part of the shortest boot of late in which no server can be up
    REMEMBERED = 20  # boots
    WANTED = 15.0  # seconds for which a wish for room holds
    DROPPED = 7200.0  # so long nobody waits

    def __init__(self, clock: Callable[[], float], on_news: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._on_news = on_news
        self._lock = threading.Lock()
        self._coming: dict[str, float] = {}
        self._going: dict[str, float] = {}
        self._boots: deque[float] = deque(maxlen=self.REMEMBERED)
        self._wanted_until = 0.0
        self._arrivals: deque[float] = deque(maxlen=self.REMEMBERED)

    def want_room(self) -> None:
        """Somebody waits for room, which others may give free; said again and again while that is so."""
        fresh = self._clock() >= self._wanted_until
        self._wanted_until = self._clock() + self.WANTED
        if fresh:
            self._on_news()

    @property
    def awaited(self) -> set[str]:
        """Keys of those that are to come."""
        with self._lock:
            return set(self._coming)

    def coming(self, key: str) -> None:
        """A server was made and will boot now."""
        with self._lock:
            self._coming[key] = self._clock()
        self._on_news()

    def came(self, key: str) -> None:
        """It can be reached."""
        with self._lock:
            now = self._clock()
            since = self._coming.pop(key, None)
            if since is not None:
                self._boots.append(now - since)
                self._arrivals.append(now)

    def going(self, key: str) -> None:
        """A server was told to go."""
        with self._lock:
            self._going[key] = self._clock()
        self._on_news()

    def forget(self, key: str) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._coming.pop(key, None)
            self._going.pop(key, None)

    def due(self, last: float, took: float, youngest: float = -math.inf) -> float:
        """When to list, if the last list was asked for at `last` and took so long. `youngest`: when the last server was
        given up that is to go, too."""
        with self._lock:
            self._drop(last - self.DROPPED)
            times = [last + (self.WARY if self._clock() < self._wanted_until else self.SLOW)]
            if self._coming:
                first = min(self._coming.values())
                gap = self._gap(len(self._coming))
                if not self._boots:
                    gap = max(gap, min(self.DOUBT * (last - first), self.MOST_DOUBT))
                times.append(last + self.WARY)
                times.append(max(last + gap, first + self.EARLY * min(self._boots, default=self.GUESS)))
            youngest = max([youngest, *self._going.values()])
            gap = self.QUICK if len(self._going) <= self.FEW else self.RELAXED
            times.append(last + max(gap, self.FADING * (last - youngest)))
            return max(min(times), last + (1 + self.REST) * took)

    def _gap(self, count: int) -> float:
        now = self._clock()
        recent = [at for at in self._arrivals if now - at < self.FLOW]
        if len(recent) < 2:
            return self.QUICK if count <= self.FEW else self.STEADY
        rate = len(recent) / max(now - recent[0], self.STEADY)
        return min(max(1 / (self.SHARE * rate), self.QUICK), self.STEADY)

    def _drop(self, before: float) -> None:
        for waiting in (self._coming, self._going):
            for key in [key for key, since in waiting.items() if since < before]:
                del waiting[key]
