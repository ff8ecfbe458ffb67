# SPDX-License-Identifier: Apache-2.0
"""Lists of what may have leaked: images, and what outlived its server; one list per datacenter and kind of resource.

A host asks for all of them once per round of its clean-up. Lists are read in threads of their own, two per datacenter,
so that launches lack none: a service that is slow, fails or isn't offered concerns its own kind only. An answer that
comes after its round is kept for the next one, and what a round lacks is told from the answer before it, once: hosts
delete what they saw in two rounds in a row. Called from one thread; the lists' threads only answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from functools import partial

from zuul_suse.datacenter import Belonging, DatacenterError, Gone, Image
from zuul_suse.fleet.member import Member
from zuul_suse.fleet.threads import MACHINE

Resource = Image | Belonging


class LeakList:
    """One kind of resource in one datacenter."""

    PATIENCE = 30.0  # seconds that a round waits for it, unless it took longer the last time
    REPORTS = 2  # rounds in which one answer is told

    def __init__(self, member: Member, kind: str, read: Callable[[], Sequence[Resource]], pool: Executor) -> None:
        self.member = member
        self._pool = pool
        self._place = f"{kind}s in datacenter {member.name}"
        self._read = read
        self._call: Future[tuple[Sequence[Resource], float]] | None = None
        self._answer: Sequence[Resource] = ()
        self._reported = 0
        self._is_late = False
        self._fault = ""

    def submit(self, log: logging.Logger) -> Future[tuple[Sequence[Resource], float]] | None:
        """Ask for it, unless that is under way; returns the call if it is worth waiting for."""
        self._collect(log)
        if self._call is None:
            self._call = self._pool.submit(self._ask, self.member.clock())
        return None if self._is_late else self._call

    def _ask(self, began: float) -> tuple[Sequence[Resource], float]:
        try:
            found = self._read()
        except Gone:  # the service answers, and doesn't offer this kind
            found = ()
        except DatacenterError as error:
            self.member.heed(error)
            raise
        return found, self.member.clock() - began

    def results(self, log: logging.Logger) -> Sequence[Resource]:
        """What this round knows."""
        self._collect(log)
        if self._call is not None and not self._is_late:
            self._is_late = True
            self._warn(log, f"no answer within {self.PATIENCE:g} s, which is waited for")
        self._reported += 1
        return self._answer if self._reported <= self.REPORTS else ()

    def _collect(self, log: logging.Logger) -> None:
        """Take the answer, if there is one."""
        if self._call is None or not self._call.done():
            return
        call, self._call = self._call, None
        if call.cancelled():
            return
        error = call.exception()
        if error is None:
            self._answer, took = call.result()
            self._reported, self._is_late = 0, took > self.PATIENCE
            if self._fault:
                log.info("Leaked %s are looked for again", self._place)
            self._fault = ""
        elif isinstance(error, DatacenterError):
            self._warn(log, str(error))
        elif not self._fault:  # in a kind's translation
            self._fault = repr(error)
            log.error("Leaked %s can't be looked for:", self._place, exc_info=error)

    def _warn(self, log: logging.Logger, fault: str) -> None:
        """Once, until it is well again."""
        if not self._fault:
            log.warning("Leaked %s can't be looked for: %s", self._place, fault)
        self._fault = fault


class LeakLists:
    """All of a fleet."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._lists: list[LeakList] = []
        self._pools: list[Executor] = []
        for member in members:
            datacenter = member.datacenter
            pool = MACHINE.pool(2, f"openstack-api-leaks-{member.name}")
            self._pools.append(pool)
            self._lists.append(LeakList(member, "image", datacenter.list_images, pool))
            for kind in datacenter.belonging_kinds:
                self._lists.append(LeakList(member, kind, partial(datacenter.list_belongings, kind), pool))

    def round(self, log: logging.Logger) -> Iterator[tuple[Member, Resource]]:
        """What all datacenters have, as far as they answer in time."""
        calls = [call for one in self._lists if (call := one.submit(log)) is not None]
        wait(calls, LeakList.PATIENCE)
        for one in self._lists:
            for resource in one.results(log):
                yield one.member, resource

    def close(self) -> None:
        """Ask for nothing more; doesn't wait for what is under way."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
