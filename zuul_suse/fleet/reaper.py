# SPDX-License-Identifier: Apache-2.0
"""Servers that nobody owns any more: those that a launch left behind when it moved to another datacenter.

One per datacenter. Launches and deletions hand servers over by id, or by the launch's tag when it isn't known whether
the create call made one. The poller's thread sweeps after each list, so a datacenter that was down is cleaned when it
comes back. One that won't go is deleted again and again, more and more rarely, and told of. Remembers in memory
only: after a restart the host's own leak detection, by metadata, does the rest.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from zuul_suse.datacenter import Gone
from zuul_suse.fleet.poller import Snapshot

LAUNCH_TAG = "zuul_suse_launch"  # metadata key; each create call has its own value


@dataclass
class Doomed:
    """A server that is to go. `again` is when it may be asked for next."""

    since: float
    asked: int = 0
    again: float = -math.inf
    failed: bool = False
    call: Future[None] | None = None


class Reaper:
    """See the module."""

    LATE = 600.0  # so long after a failed create call its server may still turn up
    AGAIN, LONGEST_AGAIN = 5.0, 300.0  # from one delete call to the next, twice as long each time
    STUCK = 300.0  # a server that is still there after so long won't go by itself

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
        self._doomed: dict[str, Doomed] = {}
        self._tags: dict[str, float] = {}
        self.stuck: set[str] = set()  # those of them that won't go

    @property
    def youngest(self) -> float:
        """When the last server that is to go was handed over; lists are hurried for those that may go soon."""
        with self._lock:
            return max((doomed.since for doomed in self._doomed.values()), default=-math.inf)

    def has(self, server_id: str) -> bool:
        """Whether this server is to go already."""
        with self._lock:
            return server_id in self._doomed

    def abandon(self, server_id: str, asked: bool = False) -> None:
        """This server is nobody's. `asked`: a delete call was answered already. Said again it changes nothing."""
        with self._lock:
            now = self._clock()
            self._doomed.setdefault(server_id, Doomed(now, int(asked), now + self.AGAIN) if asked else Doomed(now))

    def watch_for(self, tag: str) -> None:
        """If a server with this launch tag turns up, it is nobody's."""
        with self._lock:
            self._tags[tag] = self._clock()

    def sweep(self, snapshot: Snapshot) -> None:
        """Delete what is listed and nobody's, forget what is gone."""
        with self._lock:
            if not (self._doomed or self._tags):
                return
            for server in snapshot.servers.values() if self._tags else ():
                if server.metadata.get(LAUNCH_TAG) in self._tags:
                    self._doomed.setdefault(server.id, Doomed(snapshot.asked_at))
            # A list that was asked for before a server was handed over may not have it yet.
            self._doomed = {
                key: doomed
                for key, doomed in self._doomed.items()
                if key in snapshot.servers or doomed.since >= snapshot.asked_at
            }
            self._tags = {tag: at for tag, at in self._tags.items() if snapshot.asked_at - at < self.LATE}
            listed = [(key, doomed) for key, doomed in self._doomed.items() if key in snapshot.servers]
        self._tell_stuck({key for key, doomed in listed if self._clock() - doomed.since >= self.STUCK})
        for server_id, doomed in listed:
            if self._clock() >= doomed.again and (doomed.call is None or doomed.call.done()):
                self._ask(server_id, doomed)

    def _ask(self, server_id: str, doomed: Doomed) -> None:
        if not doomed.asked:
            self._log.info("Deleting %s, which its launch left behind", server_id)
        doomed.again = self._clock() + min(self.AGAIN * 2 ** min(doomed.asked, 10), self.LONGEST_AGAIN)
        doomed.asked += 1
        doomed.call = self._delete(server_id)
        doomed.call.add_done_callback(partial(self._report, server_id, doomed))

    def _report(self, server_id: str, doomed: Doomed, call: Future[None]) -> None:
        error = None if call.cancelled() else call.exception()
        if error is not None and not isinstance(error, Gone) and not doomed.failed:
            doomed.failed = True
            self._log.warning("Can't delete %s, will try again: %s", server_id, error)

    def _tell_stuck(self, stuck: set[str]) -> None:
        """Once for each."""
        for server_id in sorted(stuck - self.stuck):
            self._log.error(
                "Server %s is still there %.0f minutes after it was deleted; that is repeated every %.0f minutes now",
                server_id,
                self.STUCK / 60,
                self.LONGEST_AGAIN / 60,
            )
        for server_id in sorted(self.stuck - stuck):
            self._log.info("Server %s is gone at last", server_id)
        self.stuck = stuck
