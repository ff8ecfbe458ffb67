# SPDX-License-Identifier: Apache-2.0
"""Create and delete state machines.

A shell makes one per node and calls `advance` again and again from one thread; it only reads memory: calls to a
datacenter are made in its worker threads, and servers are seen by its poller. A create machine moves on to another
datacenter when one fails and leaves what it made there to the reaper. It ends with a Server, with NoCapacity (nothing
failed, but nothing was free) or with LaunchFailed (every datacenter was tried). Not persistent: after a restart the
shell begins anew.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from zuul_suse.datacenter import (
    DatacenterError,
    Gone,
    NoCapacity,
    Order,
    Quota,
    Server,
    ServerState,
    TryElsewhere,
    WrongConfiguration,
)
from zuul_suse.fleet import Fleet, Member, join_server, split_server
from zuul_suse.fleet.breaker import OPEN
from zuul_suse.fleet.reaper import LAUNCH_TAG

PLACING = "choosing a datacenter"
CREATING = "creating server"
BOOTING = "waiting for server"
DELETING = "deleting server"
VANISHING = "waiting for server to go"
COMPLETE = "complete"


class LaunchFailed(DatacenterError):
    """Every datacenter was tried; says what each answered."""


class CreateMachine:
    """`order_for` gives the order for a datacenter, or None if it lacks the image. `key` names the claim."""

    ABSENT = 2  # lists in which a server that was made is missing until it counts as lost

    def __init__(
        self,
        fleet: Fleet,
        key: str,
        need: Quota,
        order_for: Callable[[str], Order | None],
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        boot_timeout: float = 180.0,
        new_tag: Callable[[], str] = lambda: secrets.token_hex(8),
        log: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        self.state = PLACING
        self.address: str | None = None
        self._fleet = fleet
        self._key = key
        self._need = need
        self._order_for = order_for
        self._prefer = prefer
        self._avoid = set(avoid)
        self._boot_timeout = boot_timeout
        self._new_tag = new_tag
        self._log = log or logging.getLogger("zuul_suse.fleet.launch")
        # Why each datacenter is out for this launch; those in `_tried` failed it.
        self._excluded = {name: "has no such image" for name in fleet.members if order_for(name) is None}
        self._tried: dict[str, str] = {}
        self._full = False  # one of them said that it is full: there is hope
        self._member: Member | None = None
        self._call: Future[str] | None = None
        self._tag = ""
        self._server_id = ""
        self._since = 0.0
        self._absent_in: set[int] = set()

    @property
    def datacenter(self) -> str | None:
        """Where the launch is at the moment."""
        return self._member.name if self._member else None

    def advance(self) -> Server | None:
        """One step; the server when it can be reached, else None."""
        if self._member is not None:
            self._member.watch()
            self._member.touch(self._key)
        if self.state == PLACING:
            self._place()
        if self.state == CREATING and self._member and self._call:
            self._create(self._member, self._call)
        if self.state == BOOTING and self._member:
            return self._boot(self._member)
        return None

    def abandon(self) -> None:
        """The host dropped this launch and will start it anew; what has an address it deletes itself."""
        if self._member is None:
            return
        self._member.release(self._key)
        if self.state == CREATING and self._call is not None:
            self._give_to_reaper(self._member, self._call, self._tag)

    def _place(self) -> None:
        member = self._claimed()
        if member is None:
            ruled_out = self._excluded | self._tried
            choice = self._fleet.claim(self._key, self._need, prefer=self._prefer, avoid=self._avoid, exclude=ruled_out)
            if choice.name is None:
                self._give_up(str(choice))
                return
            member = self._fleet.member(choice.name)
        order = self._order_for(member.name)
        if order is None:
            raise LaunchFailed(f"{member.name} has no such image")
        self._member = member
        self._tag = self._new_tag()
        tagged = replace(order, metadata={**order.metadata, LAUNCH_TAG: self._tag})
        self._log.info("Creating %s in datacenter %s", order.name, member.name)
        self._call = member.call(member.datacenter.create, tagged)
        self._since = member.clock()
        self.state = CREATING

    def _claimed(self) -> Member | None:
        """The datacenter in which the shell claimed room for us beforehand."""
        for member in self._fleet.members.values():
            if member.touch(self._key):
                if member.name not in self._excluded | self._tried:
                    return member
                member.release(self._key)
        return None

    def _give_up(self, reasons: str) -> None:
        waiting = set(self._fleet.members) - set(self._tried) - set(self._excluded)
        if self._tried and not waiting and not self._full:
            raise LaunchFailed("; ".join(f"{name}: {why}" for name, why in self._tried.items()))
        raise NoCapacity(reasons)

    def _create(self, member: Member, call: Future[str]) -> None:
        if not call.done():
            if member.clock() - self._since > self._boot_timeout or member.breaker.state == OPEN:
                self._give_to_reaper(member, call, self._tag)
                self._move_on(member, "no answer to the create call")
            return
        try:
            self._server_id = call.result()
        except NoCapacity as error:
            member.is_full()
            self._full = True
            member.breaker.leave()
            self._move_on(member, str(error), blame=False)
        except WrongConfiguration as error:
            self._log.error("Datacenter %s can't be used for this launch: %s", member.name, error)
            member.breaker.leave()
            self._move_on(member, str(error), blame=False)
        except DatacenterError as error:
            member.reaper.watch_for(self._tag)
            self._move_on(member, str(error))
        else:
            self.address = join_server(member.name, self._server_id)
            self._since = member.clock()
            self._absent_in = set()
            self.state = BOOTING
            member.watch()
            member.poller.wake()

    @staticmethod
    def _give_to_reaper(member: Member, call: Future[str], tag: str) -> None:
        """A call that is not answered in time may still make a server; its tag will tell."""
        member.reaper.watch_for(tag)
        call.cancel()

    def _boot(self, member: Member) -> Server | None:
        snapshot = member.poller.snapshot
        server = snapshot.servers.get(self._server_id)
        if server is not None:
            member.release(self._key)  # the list counts it from now on
            if server.ready:
                member.breaker.succeeded()
                self.state = COMPLETE
                return server
            if server.state is ServerState.FAILED:
                self._leave_server(member, f"the server failed: {server.fault or 'no reason given'}")
                return None
        elif snapshot.asked_at > self._since:
            self._absent_in.add(snapshot.number)
            if len(self._absent_in) >= self.ABSENT:
                self._leave_server(member, "the server vanished")
                return None
        if member.clock() - self._since > self._boot_timeout:
            self._leave_server(member, f"the server was not reachable after {self._boot_timeout:g} s")
        elif member.breaker.state == OPEN and snapshot.asked_at < self._since:
            self._leave_server(member, "the datacenter went away")
        return None

    def _leave_server(self, member: Member, reason: str) -> None:
        member.reaper.abandon(self._server_id)
        self._move_on(member, reason)

    def _move_on(self, member: Member, reason: str, blame: bool = True) -> None:
        if blame:
            member.breaker.failed()
        member.release(self._key)
        reason = reason.removeprefix(f"{member.name}: ")
        self._log.warning("Launch leaves datacenter %s: %s", member.name, reason)
        self._tried[member.name] = reason
        self._member = None
        self._call = None
        self.state = PLACING
        self._place()


class DeleteMachine:
    """Deletes a server by its address. A datacenter that is down doesn't hold it up: the reaper remembers."""

    def __init__(self, fleet: Fleet, address: str) -> None:
        self.state = DELETING
        self.address = address
        self._fleet = fleet
        self._member: Member | None = None
        self._call: Future[None] | None = None
        self._since = 0.0

    def advance(self) -> bool:
        """One step; True when the server is gone or the reaper has it. Gone if its datacenter isn't known."""
        name, server_id = split_server(self.address)
        if self._member is None:
            self._member = self._fleet.member(name)
            self._call = self._member.call(self._member.datacenter.delete, server_id)
        if self.state == DELETING and self._call:
            self._delete(self._member, self._call, server_id)
        if self.state == VANISHING:
            self._vanish(self._member, server_id)
        return self.state == COMPLETE

    def _delete(self, member: Member, call: Future[None], server_id: str) -> None:
        if not call.done():
            if member.breaker.state == OPEN:
                self._hand_over(member, server_id)
            return
        try:
            call.result()
        except Gone:
            self.state = COMPLETE
        except TryElsewhere:
            self._hand_over(member, server_id)
        else:
            self._since = member.clock()
            self.state = VANISHING
            member.watch()
            member.poller.wake()

    def _vanish(self, member: Member, server_id: str) -> None:
        member.watch()
        snapshot = member.poller.snapshot
        if snapshot.asked_at > self._since and server_id not in snapshot.servers:
            self.state = COMPLETE
        elif member.breaker.state == OPEN:
            self._hand_over(member, server_id)

    def _hand_over(self, member: Member, server_id: str) -> None:
        member.reaper.abandon(server_id)
        self.state = COMPLETE
