# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Ready nodes that nobody uses make way for a request that waits.

As Nodepool does itself, one at a time and the oldest first; but only those that help: in the datacenter that was
promised to the request, or in its pool if that is full. Called by the provider in PoolWorker threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from nodepool.zk import zookeeper

from nodepool import exceptions  # type: ignore[attr-defined]
from zuul_suse.fleet.queue import Queue


class Spares:
    """See the module."""

    GOING = 300.0  # for so long a node that is being deleted is worth waiting for

    def __init__(self, provider: str, queue: Queue, datacenter_of: Callable[[Any], str | None]) -> None:
        self._provider = provider
        self._queue = queue
        self._datacenter_of = datacenter_of  # where a node is, under today's name
        self._log = logging.getLogger(f"nodepool.driver.suse.{provider}")

    def make_way(self, zk: Any, pool: Any) -> None:
        """Delete one node, if a request of this pool waits and none is on its way out already."""
        first = self._queue.first(pool.name)
        if first is None or not (first.lacks_pool or first.target):
            return
        unused = []
        for node in zk.nodeIterator(cached_ids=True):
            if node.provider != self._provider:
                continue
            helps = node.pool == pool.name if first.lacks_pool else self._datacenter_of(node) == first.target
            if not helps:
                continue
            if node.state == zookeeper.DELETING and time.time() - node.state_time < self.GOING:
                return
            if node.state == zookeeper.READY and not node.allocated_to and not node.lock_contenders:
                unused.append(node)
        for node in sorted(unused, key=lambda node: node.state_time):
            if self._delete(zk, node):
                self._log.info("Ready node %s makes way for request %s", node.id, first.key)
                return

    def _delete(self, zk: Any, node: Any) -> bool:
        try:
            zk.lockNode(node, blocking=False)
        except exceptions.ZKLockException:
            return False
        try:
            if node.state != zookeeper.READY or node.allocated_to:
                return False
            node.state = zookeeper.DELETING
            zk.storeNode(node)
            return True
        finally:
            zk.unlockNode(node)
