# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Nodepool's provider, and what the requests of all its pools have in common.

One per provider and configuration, made and ended by Nodepool. Every PoolWorker thread passes through here before it
looks at the requests (`getLabelQuota`) and for each of them (`getRequestHandler`).
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from nodepool.driver import statemachine

from zuul_suse.fleet import Fleet, join_images
from zuul_suse.fleet.queue import Queue
from zuul_suse.nodepool_driver.adapter import SuseAdapter
from zuul_suse.nodepool_driver.config import SuseProviderConfig
from zuul_suse.nodepool_driver.handler import SuseHandler
from zuul_suse.nodepool_driver.leftovers import Deserted
from zuul_suse.nodepool_driver.loop import run_loop, turn_deleter, turn_launcher
from zuul_suse.nodepool_driver.missing_images import MissingImages
from zuul_suse.nodepool_driver.nodebook import NodeBook
from zuul_suse.nodepool_driver.spare import Spares
from zuul_suse.nodepool_driver.zookeeper_wait import quicken


class SuseProvider(statemachine.StateMachineProvider):  # type: ignore[misc]
    """The provider."""

    PAUSE_AT_QUOTA = False  # a pool never waits for one request

    def __init__(self, adapter: SuseAdapter, config: SuseProviderConfig) -> None:
        super().__init__(adapter, config)
        self.book = NodeBook(config, self.datacenter_of)
        self.queue = Queue(adapter.fleet, config.patience, self.book.spare)
        self.spares = Spares(config.name, self.queue, self.datacenter_of)
        self.deserted = Deserted(config.name, adapter.fleet, adapter.log)
        self.missing_images = MissingImages(config.name, adapter.fleet, lambda: self._zk, adapter.log, adapter.files_of)
        self._full: dict[Any, tuple[float, Any]] = {}  # until when, and the rank
        self._held: dict[Any, Any] = {}  # the request that each PoolWorker is to pass over
        self._news = {"create": threading.Event(), "delete": threading.Event()}
        adapter.listen(self._wake)

    def start(self, zk_conn: Any) -> None:
        quicken(zk_conn)
        super().start(zk_conn)
        if not zk_conn.enable_cache:  # a builder: it has the files
            self.missing_images.watch(self.provider.diskimages)

    def datacenter_of(self, node: Any) -> str | None:
        """Where a node is. Its zone was the datacenter's name when it was made, and may be another one's by now."""
        fleet: Fleet = self.adapter.fleet
        return fleet.datacenter_of(node.external_id)

    # State machines

    def _wake(self) -> None:
        for news in self._news.values():
            news.set()

    def _runStateMachines(self, create_or_delete: str, state_machines: list[Any]) -> None:
        news = self._news[create_or_delete]
        fleet = self.adapter.fleet
        turn = partial(turn_launcher, fleet=fleet) if create_or_delete == "create" else turn_deleter
        run_loop(self, state_machines, turn, news)

    def startNodeCleanup(self, node: Any) -> Any:
        deleter = super().startNodeCleanup(node)
        self._news["delete"].set()
        return deleter

    def cleanupLeakedResources(self) -> None:
        super().cleanupLeakedResources()
        self.deserted.look(self._zk)

    def uploadImage(
        self,
        provider_image: Any,
        image_name: str,
        filename: str,
        image_type: str | None = None,
        meta: dict[str, Any] | None = None,
        md5: str | None = None,
        sha256: str | None = None,
    ) -> str:
        """As Nodepool's, but what is late or failed in single datacenters is looked after when this has returned."""
        meta = {**(meta or {}), "nodepool_provider_name": self.provider.name}
        files = self.adapter.image_files(provider_image, image_name, filename, meta)
        upload = self.adapter.fleet.begin_upload(files, on_news=self.missing_images.wake)
        uploaded = join_images(upload.wait())
        self.missing_images.note(provider_image.name, meta, files, uploaded, upload)
        return uploaded

    # Each pass of a PoolWorker

    def getLabelQuota(self) -> Any:
        """Called as a PoolWorker's pass begins. Labels know no limit here: requests do."""
        self._full.clear()
        self.adapter.fleet.start()  # before the first request, to which a datacenter that isn't listed yet has no room
        self.book.read(self._zk)
        launching = {launcher.node.id for launcher in list(self.launchers)}
        self.queue.drop(lambda key: key not in launching and self._zk.getNodeRequest(key, cached=True) is None)
        for launcher in list(self.launchers):
            launcher.handler.queue_launch(launcher)
        for pool in self.provider.pools.values():
            self.spares.make_way(self._zk, pool)
        return super().getLabelQuota()

    def quotaNeededByLabel(self, ntype: str, pool: Any) -> Any:
        """Not kept, as Nodepool does for ever: sizes of flavors become known and may change."""
        return self.adapter.getQuotaForLabel(pool.labels[ntype])

    def getRequestHandler(self, poolworker: Any, request: Any) -> SuseHandler:
        """A request that doesn't fit now is held by its lock within this process, which makes the PoolWorker pass over
        it before it asks ZooKeeper for the real one: with hundreds of them that would cost it seconds per pass."""
        self._let_go(poolworker)
        handler = SuseHandler(poolworker, request)
        if handler.must_wait() and request._thread_lock.acquire(blocking=False):
            self._held[poolworker] = request
        return handler

    def _let_go(self, poolworker: Any) -> None:
        held = self._held.pop(poolworker, None)
        if held is not None:
            held._thread_lock.release()

    def stop(self) -> None:
        for poolworker in list(self._held):
            self._let_go(poolworker)
        self.missing_images.stop()
        super().stop()

    # Requests of the same shape have the same answer within a pass

    def known_full(self, shape: Any, rank: Any, handler: SuseHandler) -> bool:
        """Whether such a request didn't fit a moment ago, that was as important or more: ranks are many, with Zuul's
        relative priority in them. For the one that something is promised to that says nothing: it may be the promise
        that the others ran into."""
        until, tried = self._full.get(shape, (0.0, rank))
        if time.monotonic() >= until or rank < tried:
            return False
        first = self.queue.first(handler.pool.name)
        return first is None or first.key != handler.request.id

    def fits_not(self, shape: Any, rank: Any) -> None:
        """Such a request doesn't fit now."""
        now = time.monotonic()
        until, tried = self._full.get(shape, (0.0, rank))
        self._full[shape] = (until, min(rank, tried)) if now < until else (now + 1.0, rank)
