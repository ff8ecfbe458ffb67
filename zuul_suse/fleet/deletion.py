# SPDX-License-Identifier: Apache-2.0
"""The state machine that deletes a server.

A shell makes one per server and calls `advance` again and again from one thread; it only reads memory. It ends when the
server is gone, or when the reaper has taken it over because its datacenter doesn't answer.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from zuul_suse.datacenter import DatacenterError, Gone
from zuul_suse.fleet import Fleet, Member, split_server
from zuul_suse.fleet.breaker import OPEN

WAITING = "waiting for console log"
DELETING = "deleting server"
VANISHING = "waiting for server to go"
COMPLETE = "complete"

LOOK = 1.0  # seconds after which a machine looks around though nothing has happened: time may have run out


@dataclass
class _Call:
    """One delete call; `began` is when a worker thread took it up."""

    future: Future[None] | None = None
    began: float | None = None


class DeleteMachine:
    """Deletes a server by its address. A datacenter that is down doesn't hold it up: the reaper remembers."""

    ANSWER = 30.0  # seconds in which a datacenter answers a call, if it is well

    def __init__(self, fleet: Fleet, address: str) -> None:
        self.state = WAITING
        self.address = address
        self._fleet = fleet
        self._server_id = split_server(address)[1]
        self._call = _Call()
        self._since = 0.0
        self._seen = -1  # number of the list that was looked at
        self._looked_at = 0.0

    def stirs(self) -> bool:
        """Whether `advance` may find anything new; asked often, so it is quick."""
        member = self._fleet.members.get(split_server(self.address)[0])
        if member is None or self.state == WAITING or member.clock() - self._looked_at >= LOOK:
            return True
        if self.state == DELETING:
            return self._call.future is not None and self._call.future.done()
        return member.poller.snapshot.number != self._seen

    def advance(self) -> bool:
        """One step; True when the server is gone or the reaper has it. Gone if its datacenter isn't known."""
        member = self._fleet.member(split_server(self.address)[0])
        self._looked_at, self._seen = member.clock(), member.poller.snapshot.number
        if self.state == WAITING and self._server_id not in member.reading:
            self._begin(member)
        if self.state == DELETING:
            self._delete(member)
        if self.state == VANISHING:
            self._vanish(member)
        return self.state == COMPLETE

    def _begin(self, member: Member) -> None:
        call = self._call

        def delete() -> None:
            call.began = member.clock()
            member.datacenter.delete(self._server_id)

        self.state = DELETING
        call.future = member.call(delete)

    def _delete(self, member: Member) -> None:
        call = self._call
        if call.future is None:
            return
        if not call.future.done():
            began = call.began
            hangs = began is not None and member.clock() - began > self.ANSWER
            if hangs or member.is_out() or (began is None and member.breaker.state == OPEN):
                self._hand_over(member)
            return
        try:
            call.future.result()
        except Gone:
            self.state = COMPLETE
        except DatacenterError:
            self._hand_over(member)
        else:
            self._since = member.clock()
            self.state = VANISHING
            member.pace.going(self._server_id)

    def _vanish(self, member: Member) -> None:
        snapshot = member.poller.snapshot
        if snapshot.asked_at > self._since and self._server_id not in snapshot.servers:
            member.pace.forget(self._server_id)
            self.state = COMPLETE
        elif member.is_out():
            member.pace.forget(self._server_id)
            self._hand_over(member)

    def _hand_over(self, member: Member) -> None:
        member.reaper.abandon(self._server_id)
        self.state = COMPLETE
