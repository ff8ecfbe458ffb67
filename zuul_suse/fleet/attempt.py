# SPDX-License-Identifier: Apache-2.0
"""A launch's attempt in one datacenter: what was asked there and when. Owned by `launch.CreateMachine`."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from zuul_suse.datacenter import Server
from zuul_suse.fleet.blame import Subject
from zuul_suse.fleet.breaker import OPEN
from zuul_suse.fleet.member import Member


@dataclass
class Attempt:
    """See the module."""

    member: Member
    subject: Subject  # what failures are counted by
    tag: str  # the order's LAUNCH_TAG: tells the server if the call's answer is lost
    since: float  # of the present state
    ordered_at: float = 0.0
    began: float | None = None  # when a worker thread took up the call
    call: Future[str] | None = None
    exposure: Future[Server] | None = None
    server_id: str = ""
    absent_in: set[int] = field(default_factory=set)
    looked_at: float = 0.0
    seen: int = -1  # number of the list that was looked at

    def is_lost(self, patience: float) -> bool:
        """Whether there is no hope for it: the datacenter is out, or has had `patience` seconds."""
        if self.member.is_out():
            return True
        if self.server_id:
            return self.member.clock() - self.since > patience
        return self.began is not None and self.member.clock() - self.began > patience

    def is_outdated(self) -> bool:
        """Whether it waits for a worker thread to ask what is better not asked any more."""
        if self.began is not None or self.server_id:
            return False
        return self.member.breaker.state == OPEN or self.member.blame.is_open(self.subject.label, self.member.name)

    def hangs(self, answer: float) -> bool:
        """Whether it would be better off elsewhere: no answer to the create call for `answer` seconds, or no list."""
        began = self.began
        late = not self.server_id and began is not None and self.member.clock() - began > answer
        return late or self.member.is_slow()

    def give_to_reaper(self) -> None:
        """A create call that is not answered in time may still make a server; its tag will tell."""
        self.member.reaper.watch_for(self.tag)
        if self.call is not None:
            self.call.cancel()

    def stirs(self) -> bool:
        """Whether there is an answer or a list that wasn't looked at."""
        if self.exposure is not None:
            return self.exposure.done()
        if not self.server_id:
            return self.call is None or self.call.done()
        return self.member.poller.snapshot.number != self.seen

    def look(self) -> None:
        """All there is now will be looked at."""
        self.looked_at, self.seen = self.member.clock(), self.member.poller.snapshot.number
