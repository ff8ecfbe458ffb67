# SPDX-License-Identifier: Apache-2.0
"""Claims: a launch's share of a datacenter until its server shows in the list.

One per `fleet.Member`. Nodepool's PoolWorkers claim while its create loop touches and releases, hence the lock. A claim
that nobody touches belongs to a launch that its host dropped, and expires.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from zuul_suse.datacenter import Quota


class Claims:
    """See the module."""

    AGE = 120.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Quota, float]] = {}

    def add(self, needs: Mapping[str, Quota]) -> None:
        """Reserve room under each key."""
        with self._lock:
            now = self._clock()
            self._held.update({key: (need, now) for key, need in needs.items()})

    def touch(self, key: str) -> bool:
        """Keep a claim alive; False if there is none under this key."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return False
            self._held[key] = (held[0], self._clock())
            return True

    def rename(self, key: str, new: str) -> bool:
        """Hand a claim on; False if there is none under this key."""
        with self._lock:
            held = self._held.pop(key, None)
            if held is None:
                return False
            self._held[new] = held
            return True

    def release(self, key: str) -> None:
        """The server shows in the list, or won't come: it is not counted here any more."""
        with self._lock:
            self._held.pop(key, None)

    @property
    def keys(self) -> set[str]:
        """Of what is claimed."""
        with self._lock:
            return set(self._held)

    def held(self) -> list[Quota]:
        """What is claimed, without what has expired."""
        with self._lock:
            oldest = self._clock() - self.AGE
            if any(since < oldest for _, since in self._held.values()):
                self._held = {key: claim for key, claim in self._held.items() if claim[1] >= oldest}
            return [need for need, _ in self._held.values()]
