# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""What Nodepool's records in ZooKeeper say of this provider's nodes, summed up once per pass of a PoolWorker.

Nodepool itself goes through all nodes for every node that it is about to launch. Owned by the provider; read from the
copy of the records that Nodepool keeps in memory, so it asks nobody.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from nodepool.zk import zookeeper

from zuul_suse.datacenter import Quota


class NodeBook:
    """See the module."""

    LATE = 5.0  # seconds until a node that was just made is in ZooKeeper's copy for sure

    def __init__(self, provider: Any, datacenter_of: Callable[[Any], str | None] = lambda node: node.az) -> None:
        self._provider = provider  # its configuration
        self._datacenter_of = datacenter_of  # where a node is, under today's name
        self._lock = threading.Lock()  # PoolWorkers of several pools share it
        self._used: dict[str, Quota] = {}
        self._ready: dict[tuple[str, str], Counter[str]] = {}
        self._spare: dict[str, Quota] = {}
        self._new: dict[str, tuple[str, Quota, float]] = {}

    def read(self, zk: Any) -> None:
        """Sum up anew."""
        used: dict[str, Quota] = defaultdict(Quota)
        ready: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        spare: dict[str, Quota] = defaultdict(Quota)
        seen = set()
        for node in zk.nodeIterator(cached_ids=True):
            if node.provider != self._provider.name:
                continue
            seen.add(node.id)
            used[node.pool] += self._need(node)
            if node.state == zookeeper.READY and not node.allocated_to and not node.lock_contenders:
                datacenter = self._datacenter_of(node)
                if not datacenter:
                    continue
                spare[datacenter] += self._need(node)
                for label in node.type or ():
                    ready[node.pool, datacenter][label] += 1
        with self._lock:
            oldest = time.monotonic() - self.LATE
            self._new = {key: new for key, new in self._new.items() if key not in seen and new[2] > oldest}
            for pool, need, _ in self._new.values():
                used[pool] += need
            self._used, self._ready, self._spare = used, ready, spare

    def _need(self, node: Any) -> Quota:
        """What a node takes of its pool; one that isn't there yet takes what its label says."""
        if node.resources:
            return Quota(*(node.resources.get(key, 0) for key in ("instances", "cores", "ram")))
        pool = self._provider.pools.get(node.pool)
        # A record that some accident left without a type must not stop the launcher.
        label = pool.labels.get(node.type[0]) if pool and node.type else None
        return label.need if label else Quota(1)

    def add(self, node_id: str, pool: str, need: Quota) -> None:
        """A node was made since the last reading."""
        with self._lock:
            self._new[node_id] = (pool, need, time.monotonic())
            self._used[pool] = self._used.get(pool, Quota()) + need

    def take(self, pool: str, datacenter: str, labels: list[str]) -> None:
        """Ready nodes were promised to a request since the last reading."""
        with self._lock:
            self._ready[pool, datacenter] = self._ready.get((pool, datacenter), Counter()) - Counter(labels)

    def fits(self, pool: Any, need: Quota) -> bool:
        """Whether a pool's own limits leave room for so much more."""
        limits = Quota(pool.max_servers, pool.max_cores, pool.max_ram)
        with self._lock:
            return limits.covers(self._used.get(pool.name, Quota()) + need)

    def spare(self, datacenter: str) -> Quota:
        """What the unused nodes in a datacenter take."""
        with self._lock:
            return self._spare.get(datacenter, Quota())

    def ready(self, pool: str) -> dict[str, Counter[str]]:
        """How many unused nodes there are of each label, by datacenter."""
        with self._lock:
            return {datacenter: labels for (name, datacenter), labels in self._ready.items() if name == pool and labels}
