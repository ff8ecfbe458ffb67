# SPDX-License-Identifier: Apache-2.0
"""The state machine that deletes a server.

A shell makes one per server and calls `advance` again and again from one thread; it only reads memory. It ends when the
server is gone, or when the reaper has taken it over because its datacenter doesn't answer. An address that names no
datacenter of today's configuration (it was renamed, or another driver made the server) is looked for by its id in all
of them, in lists that are newer than the deletion; while one of them can't be listed the server doesn't count as gone.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from zuul_suse.datacenter import DatacenterError, Gone
from zuul_suse.fleet import Fleet, Member, split_server
from zuul_suse.fleet.breaker import OPEN

LOOKING = "looking for server"
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
    AGAIN = 60.0  # seconds after which a server that was deleted and is still there is the reaper's business too

    def __init__(self, fleet: Fleet, address: str) -> None:
        self.address = address
        self._fleet = fleet
        name, self._server_id = split_server(address)
        self._member = fleet.members.get(name) if self._server_id else None
        self.state = LOOKING if self._member is None else WAITING
        self._tried: set[str] = set()  # datacenters that have no such server
        self._clock = next(iter(fleet.members.values())).clock
        self._call = _Call()
        self._began: float | None = None  # looking for it
        self._since = 0.0  # when the datacenter took the deletion
        self._seen = -1  # number of the list that was looked at
        self._looked_at = 0.0

    def stirs(self) -> bool:
        """Whether `advance` may find anything new; asked often, so it is quick."""
        if self.state == WAITING or self._clock() - self._looked_at >= LOOK:
            return True
        if self.state == DELETING:
            return self._call.future is not None and self._call.future.done()
        return self._number() != self._seen

    def _number(self) -> int:
        """Grows with every list that may tell something."""
        members = self._fleet.members.values() if self._member is None else (self._member,)
        return sum(member.poller.snapshot.number for member in members)

    def advance(self) -> bool:
        """One step; True when the server is gone or the reaper has it. Gone if no datacenter has it."""
        self._looked_at, self._seen = self._clock(), self._number()
        if self._member is None:
            self._member = self._look()
        member = self._member
        if member is None:
            return False
        if self.state == WAITING and self._server_id not in member.reading:
            self._begin(member)
        if self.state == DELETING:
            self._delete(member)
        if self.state == VANISHING:
            self._vanish(member)
        return self.state == COMPLETE

    def _look(self) -> Member | None:
        """The datacenter that has it; None while one of them hasn't been listed since we began."""
        members = self._fleet.members.values()
        if self._began is None:
            self._began = self._clock()
            for member in members:
                member.poller.wake()
        found = self._fleet.find(self.address)
        if found is not None:
            self.state = WAITING
            return found[0]
        if self._server_id and not all(member.poller.snapshot.asked_at > self._began for member in members):
            return None
        raise Gone(f'server "{self.address}" is in none of the datacenters {", ".join(self._fleet.members)}')

    def _begin(self, member: Member) -> None:
        call = self._call

        def delete() -> None:
            call.began = member.clock()
            member.datacenter.delete(self._server_id)

        if member.reaper.has(self._server_id):  # an earlier machine of this server gave up; the reaper doesn't
            self._since, self.state = member.clock(), VANISHING
            return
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
            self._look_elsewhere(member)
        except DatacenterError:
            self._hand_over(member)
        else:
            self._since = member.clock()
            self.state = VANISHING
            member.pace.going(self._server_id)

    def _look_elsewhere(self, member: Member) -> None:
        """The name may be another datacenter's by now."""
        self._tried.add(member.name)
        found = self._fleet.find(self.address, self._tried)
        if found is None:
            self.state = COMPLETE
        else:
            self._member, self._call, self.state = found[0], _Call(), WAITING

    def _vanish(self, member: Member) -> None:
        snapshot = member.poller.snapshot
        if snapshot.asked_at > self._since and self._server_id not in snapshot.servers:
            member.pace.forget(self._server_id)
            self.state = COMPLETE
        elif member.is_out():
            member.pace.forget(self._server_id)
            self._hand_over(member)
        elif member.clock() - self._since > self.AGAIN:  # it may need to be told again; nobody need hurry for it
            member.pace.forget(self._server_id)
            member.reaper.abandon(self._server_id, asked=True)

    def _hand_over(self, member: Member) -> None:
        member.reaper.abandon(self._server_id)
        self.state = COMPLETE
