# SPDX-License-Identifier: Apache-2.0
"""Servers that nobody owns any more: those that a launch left behind when it moved to another datacenter.

One per datacenter. Launches and deletions hand servers over by id, or by the launch's tag when it isn't known whether
the create call made one. The poller's thread sweeps after each list, so a datacenter that was down is cleaned when it
comes back. Remembers in memory only: after a restart the host's own leak detection, by metadata, does the rest.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from zuul_suse.datacenter import Gone
from zuul_suse.fleet.poller import Snapshot

LAUNCH_TAG = "zuul_suse_launch"  # metadata key; each create call has its own value


class Reaper:
    """See the module."""

    LATE = 600.0  # so long after a failed create call its server may still turn up

    def __init__(
        self,
        log: logging.Logger,
        delete: Callable[[str], Future[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._delete = delete
        self._clock = clock
        self._lock = threading.Lock()  # the create and delete loops hand over while the poller's thread sweeps
        self._ids: dict[str, float] = {}
        self._tags: dict[str, float] = {}
        self._under_way: dict[str, Future[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether a server is known that is to go."""
        with self._lock:
            return bool(self._ids)

    def abandon(self, server_id: str) -> None:
        """This server is nobody's."""
        with self._lock:
            self._ids[server_id] = self._clock()

    def watch_for(self, tag: str) -> None:
        """If a server with this launch tag turns up, it is nobody's."""
        with self._lock:
            self._tags[tag] = self._clock()

    def sweep(self, snapshot: Snapshot) -> None:
        """Delete what is listed and nobody's, forget what is gone."""
        with self._lock:
            if not (self._ids or self._tags or self._under_way):
                return
            for server in snapshot.servers.values() if self._tags else ():
                if server.metadata.get(LAUNCH_TAG) in self._tags:
                    self._ids.setdefault(server.id, snapshot.asked_at)
            # A list that was asked for before a server was handed over may not have it yet.
            self._ids = {
                key: since for key, since in self._ids.items() if key in snapshot.servers or since >= snapshot.asked_at
            }
            self._tags = {tag: at for tag, at in self._tags.items() if snapshot.asked_at - at < self.LATE}
            self._under_way = {key: call for key, call in self._under_way.items() if not call.done()}
            doomed = [key for key in self._ids if key in snapshot.servers and key not in self._under_way]
        for server_id in doomed:
            self._log.info("Deleting %s, which its launch left behind", server_id)
            call = self._delete(server_id)
            call.add_done_callback(partial(self._report, server_id))
            with self._lock:
                self._under_way[server_id] = call

    def _report(self, server_id: str, call: Future[None]) -> None:
        error = None if call.cancelled() else call.exception()
        if error is not None and not isinstance(error, Gone):
            self._log.warning("Can't delete %s, will try again: %s", server_id, error)
