# SPDX-License-Identifier: Apache-2.0
"""The state machine that creates a server somewhere in the fleet.

A shell makes one per node and calls `advance` again and again from one thread; it only reads memory: calls to a
datacenter are made in its worker threads, and servers are seen by its poller. It moves on to another datacenter when
one fails, with all launches of its group, and leaves what it made there to the reaper. Where there is no room now it
waits for some. It ends with a Server, or with LaunchFailed when every datacenter was tried or is out. Not persistent:
after a restart the shell begins anew.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from zuul_suse.datacenter import DatacenterError, NoCapacity, Order, Server, ServerState, WrongConfiguration
from zuul_suse.fleet import Demand, Fleet, Member, join_server
from zuul_suse.fleet.attempt import Attempt
from zuul_suse.fleet.blame import Fault, Subject
from zuul_suse.fleet.console import log_console
from zuul_suse.fleet.placement import Choice
from zuul_suse.fleet.reaper import LAUNCH_TAG

PLACING = "choosing a datacenter"
CREATING = "creating server"
BOOTING = "waiting for server"
EXPOSING = "giving server an address"
CHECKING = "waiting for the request's other servers"
COMPLETE = "complete"


class LaunchFailed(DatacenterError):
    """Every datacenter was tried or is out; says what each answered."""


class CreateMachine:
    """`key` names the claim, which the shell may have made beforehand. `console_log`: log it when a boot fails.

    `checked`: the shell looks itself whether the server can be used, while the machine is complete, and tells it by
    `is_settled` or `reject`. Else a server with an address is one.
    """

    ABSENT = 2  # lists in which a server that was made is missing until it counts as lost
    ANSWER = 30.0  # seconds in which a datacenter answers a call, if it is well
    AGAIN = 30.0  # so long after it failed, a datacenter is worth another try to a launch that waits for room
    PAUSE = 1.0  # between looks for room
    HOLD = 300.0  # seconds for which a request's other servers are held while one of its launches waits
    HELD = 3600.0  # and no longer, whatever became of the others
    REST = 20.0  # seconds for which a launch waits while its label rests everywhere
    OUTAGE = 3600.0  # seconds for which a launch waits while no datacenter could take it even with room

    def __init__(
        self,
        fleet: Fleet,
        key: str,
        demand: Demand,
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        boot_timeout: float = 180.0,
        console_log: bool = False,
        checked: bool = False,
        new_tag: Callable[[], str] = lambda: secrets.token_hex(8),
        log: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        self.state = PLACING
        self.address: str | None = None
        self.waits = ""  # why, while there is no room anywhere
        self._fleet = fleet
        self._key = key
        self._demand = demand
        self._prefer = prefer
        self._avoid = set(avoid)
        self._boot_timeout = boot_timeout
        self._console_log = console_log
        self._checked = checked
        self._new_tag = new_tag
        self._log = log or logging.getLogger("zuul_suse.fleet.launch")
        self._group = fleet.group_of(key) or fleet.join(None, key, demand)
        self._moves = self._group.moves  # that this launch has followed
        self._attempt: Attempt | None = None
        self._server: Server | None = None
        self._usable_since = 0.0
        self._look_at = 0.0
        self._waits_since = 0.0
        self._could_wait_at = 0.0  # when some datacenter was last worth waiting for

    @property
    def datacenter(self) -> str | None:
        """Where the launch is at the moment."""
        return self._attempt.member.name if self._attempt else None

    @property
    def has_moved(self) -> bool:
        """Whether its group has gone elsewhere, so that its server is none any more."""
        return self._moves != self._group.moves

    def stirs(self) -> bool:
        """Whether `advance` may find anything new; asked often, so it is quick."""
        attempt = self._attempt
        if attempt is None or self.has_moved:
            return True
        if self.state == CHECKING:
            return self.is_settled()
        return attempt.stirs() or attempt.member.clock() - attempt.looked_at >= self.PAUSE

    def advance(self) -> Server | None:
        """One step; the server when it can be reached, else None."""
        if self.has_moved:
            self._follow()
        if self._attempt is not None:
            self._attempt.member.claims.touch(self._key)
            self._attempt.look()
            self._group.seen = self._attempt.looked_at
        if self.state == PLACING:
            self._place()
        attempt = self._attempt
        if attempt is None:
            return None
        if self.state == CREATING:
            self._create(attempt)
        if self.state == BOOTING:
            self._boot(attempt)
        if self.state == EXPOSING:
            self._expose(attempt)
        if self.state == CHECKING and self.is_settled():
            self.state = COMPLETE
        return self._server if self.state == COMPLETE else None

    def is_settled(self) -> bool:
        """The server is as it should be. Returns whether nothing moves it any more, as a failure in its group would."""
        attempt = self._attempt
        if attempt is not None and not self.has_moved and self._key not in self._group.usable:
            self._group.usable |= {self._key}
            self._usable_since = self._fleet.clock()
            self._fleet.blame.arrived(attempt.subject, attempt.member.name)
        late = self._key in self._group.usable and self._fleet.clock() - self._usable_since > self.HELD
        return not self.has_moved and (self._group.ended or late)

    def reject(self, reason: str) -> None:
        """The shell found that the server of a complete launch can't be used."""
        if self._attempt is not None:
            self._blame(self._attempt, reason)

    def abandon(self) -> None:
        """The host dropped this launch and will start it anew; what has an address it deletes itself."""
        if self._attempt is not None:
            self._attempt.member.claims.release(self._key)
            self._attempt.member.pace.forget(self._key)
            if self.state == CREATING:
                self._attempt.give_to_reaper()
            if self.state != COMPLETE:
                self._blame(self._attempt, "the launch took too long")
        self._group.usable -= {self._key}
        self._group.under_way -= {self._key}
        self._group.failed = {}

    # Where

    def _place(self) -> None:
        member = self._claimed()
        if member is None:
            now = self._fleet.clock()
            if now < self._look_at:
                return
            again = now - self.AGAIN if self.waits else 0.0
            excluded = {name: why for name, (why, at) in self._group.failed.items() if at >= again}
            choice = self._fleet.move(self._group, self._key, prefer=self._prefer, avoid=self._avoid, exclude=excluded)
            self._moves = self._group.moves
            if choice.name is None:
                self._look_at = now + self.PAUSE
                self._wait(choice, now)
                return
            member = self._fleet.member(choice.name)
        order = self._demand.order(member.name)
        if isinstance(order, str):
            raise LaunchFailed(f"{member.name}: {order}")
        self.waits = ""
        self._begin(member, order)

    def _claimed(self) -> Member | None:
        """The datacenter in which the shell, or another launch of the group, claimed room for this one."""
        for member in self._fleet.members.values():
            if member.claims.touch(self._key):
                if not isinstance(self._demand.order(member.name), str):
                    return member
                member.claims.release(self._key)
        return None

    def _wait(self, choice: Choice, now: float) -> None:
        """Nothing fits now. An outage of all is waited for too, unless this launch failed somewhere already.

        What rests is waited for a moment only: a request that has no launch waits without taking a place in its pool.
        """
        group = self._group
        refused = all(member.refuses(self._demand) for member in self._fleet.members.values())
        if not self.waits:
            self._waits_since = self._could_wait_at = now
        if choice.waits:
            self._could_wait_at = now
        hopeless = (bool(group.failed) and not choice.waits) or now - self._could_wait_at > self.OUTAGE
        rests = not choice.waits and now - self._waits_since > self.REST and self._fleet.rests([self._demand])
        if refused or hopeless or group.lost or rests:
            reasons = {**choice.reasons, **{name: why for name, (why, _) in group.failed.items()}}
            raise LaunchFailed("; ".join(f"{name}: {why}" for name, why in reasons.items()))
        if not self.waits:
            self._log.info("Launch waits for room: %s", choice)
        self.waits = str(choice)
        if group.under_way and now - self._waits_since > self.HOLD:
            self._log.warning("All launches of the request leave %s: one has no room there", group.datacenter)
            self._fleet.let_go(group)
            self._moves = group.moves

    def wanted(self) -> list[Demand]:
        """What this launch waits for, for all of its group; empty if it doesn't wait, or another one stands for it."""
        group = self._group
        if not self.waits:
            return []
        here = group.datacenter
        if not group.under_way:
            return [*group.demands.values()] if next(iter(group.demands), self._key) == self._key else []
        order = self._demand.order
        return [replace(self._demand, order=lambda name: order(name) if name == here else "the request is elsewhere")]

    def _follow(self) -> None:
        """The group has left the datacenter: so does this launch, whatever it has there."""
        self._moves = self._group.moves
        attempt = self._attempt
        self.waits = ""
        if attempt is not None:
            attempt.member.pace.forget(self._key)
            if not attempt.server_id and attempt.call is not None and attempt.call.done():
                attempt.server_id = (
                    "" if attempt.call.cancelled() or attempt.call.exception() else attempt.call.result()
                )
            if attempt.server_id:
                attempt.member.reaper.abandon(attempt.server_id)
            else:
                attempt.give_to_reaper()
            self._log.info("Launch leaves datacenter %s with its request", attempt.member.name)
        self._attempt, self._server, self.state, self._look_at = None, None, PLACING, 0.0

    def _begin(self, member: Member, order: Order) -> None:
        subject = Subject(self._demand.label or order.image, order.image)
        attempt = Attempt(member, subject, self._new_tag(), member.clock(), member.clock())
        tagged = replace(order, metadata={**order.metadata, LAUNCH_TAG: attempt.tag})

        def create() -> str:
            attempt.began = member.clock()
            return member.datacenter.create(tagged)

        self._log.info("Creating %s in datacenter %s", order.name, member.name)
        self._attempt = attempt
        self._group.under_way |= {self._key}
        self.state = CREATING
        attempt.call = member.create(create)

    def _goes_better_elsewhere(self, attempt: Attempt) -> bool:
        """Whether the datacenter keeps us waiting while another has room. An overloaded one is better than none."""
        if not attempt.hangs(self.ANSWER):
            return False
        out = {name: why for name, (why, _) in self._group.failed.items()} | {attempt.member.name: "keeps us waiting"}
        return self._fleet.place([*self._group.demands.values()], exclude=out).name is not None

    # The create call

    def _create(self, attempt: Attempt) -> None:
        member, call = attempt.member, attempt.call
        if call is None:
            return
        if not call.done():
            self._await_answer(attempt)
            return
        try:
            attempt.server_id = call.result()
        except NoCapacity as error:
            self._full(attempt, str(error), error.rest)
        except WrongConfiguration as error:
            if not member.blame.is_open(attempt.subject.label, member.name):
                self._log.error(
                    "Datacenter %s can't be used for label %s: %s", member.name, attempt.subject.label, error
                )
            self._move_on(attempt, str(error), Fault.LABEL)
        except DatacenterError as error:
            member.reaper.watch_for(attempt.tag)
            if error.rest is not None:
                self._full(attempt, str(error), error.rest)
            else:
                self._move_on(attempt, str(error))
        else:
            self.address = join_server(member.name, attempt.server_id)
            attempt.since = member.clock()
            self.state = BOOTING
            member.pace.coming(self._key)

    def _await_answer(self, attempt: Attempt) -> None:
        if attempt.is_outdated() and attempt.call is not None and attempt.call.cancel():
            self._move_on(attempt, "left before it was asked", None)
        elif attempt.is_lost(self._boot_timeout) or self._goes_better_elsewhere(attempt):
            attempt.give_to_reaper()
            self._move_on(attempt, "no answer to the create call", Fault.DATACENTER)

    # The server

    def _boot(self, attempt: Attempt) -> None:
        member = attempt.member
        snapshot = member.poller.snapshot
        server = snapshot.servers.get(attempt.server_id)
        if server is not None:
            member.claims.release(self._key)  # the list counts it from now on
            if server.ready:
                self._arrive(attempt, server)
                return
            if server.state is ServerState.ACTIVE and member.datacenter.exposes:
                attempt.since = member.clock()
                attempt.exposure = member.call(member.datacenter.expose, attempt.server_id)
                self.state = EXPOSING
                return
            if server.state is ServerState.FAILED:
                self._server_failed(attempt, server)
                return
        elif snapshot.asked_at > attempt.since:
            attempt.absent_in.add(snapshot.number)
            if len(attempt.absent_in) >= self.ABSENT:
                self._leave_server(attempt, "the server vanished")
                return
        if member.is_out() or self._goes_better_elsewhere(attempt):
            self._leave_server(attempt, "the datacenter went away", Fault.DATACENTER)
        elif attempt.is_lost(self._boot_timeout):
            self._leave_server(attempt, f"the server was not reachable after {self._boot_timeout:g} s")

    def _expose(self, attempt: Attempt) -> None:
        call, member = attempt.exposure, attempt.member
        if call is None or not call.done():
            if attempt.is_lost(self._boot_timeout) or self._goes_better_elsewhere(attempt):
                self._leave_server(attempt, "the server got no address", Fault.DATACENTER)
            return
        try:
            server = call.result()
        except NoCapacity as error:
            member.reaper.abandon(attempt.server_id)
            self._full(attempt, str(error), error.rest)
        except DatacenterError as error:
            wrong = isinstance(error, WrongConfiguration)
            self._leave_server(attempt, str(error), Fault.LABEL if wrong else Fault.OPEN)
        else:
            if server.ready:
                self._arrive(attempt, server)
            else:
                self._leave_server(attempt, "the server got no address")

    def _arrive(self, attempt: Attempt, server: Server) -> None:
        attempt.member.pace.came(self._key)
        attempt.member.arrived(attempt.ordered_at)
        self._server = server
        self.state = COMPLETE if self._checked else CHECKING

    # Leaving

    def _blame(self, attempt: Attempt, reason: str, fault: Fault = Fault.OPEN) -> None:
        self._fleet.blame.failed(attempt.subject, attempt.member.name, reason, fault)

    def _server_failed(self, attempt: Attempt, server: Server) -> None:
        reason = f"the server failed: {server.fault or 'no reason given'}"
        if server.full:
            attempt.member.reaper.abandon(attempt.server_id)
            self._full(attempt, reason)
        else:
            self._leave_server(attempt, reason)

    def _leave_server(self, attempt: Attempt, reason: str, fault: Fault = Fault.OPEN) -> None:
        member, server_id = attempt.member, attempt.server_id
        if self._console_log and not member.is_out():
            log_console(member, server_id, self._log).add_done_callback(lambda _: member.reaper.abandon(server_id))
        else:
            member.reaper.abandon(server_id)
        self._move_on(attempt, reason, fault)

    def _full(self, attempt: Attempt, reason: str, rest: float | None = None) -> None:
        """No failure: the datacenter is well, but is left alone for a while; for how long it may have said itself."""
        if rest is None:
            attempt.member.poller.outdate_limits()
            if self._fleet.blame.full(attempt.subject.label, attempt.member.name):
                attempt.member.is_full()
            attempt.member.breaker.answered()  # a hint to come later proves nothing
        self._move_on(attempt, reason, None, failed=False)

    def _move_on(self, attempt: Attempt, reason: str, fault: Fault | None = Fault.OPEN, failed: bool = True) -> None:
        member = attempt.member
        reason = reason.removeprefix(f"{member.name}: ")
        if fault is None:
            member.breaker.leave()
            member.blame.leave(attempt.subject.label, member.name)
        else:
            self._blame(attempt, reason, fault)
        member.claims.release(self._key)
        member.pace.forget(self._key)
        self._log.warning("Launch leaves datacenter %s: %s", member.name, reason)
        if failed:
            self._group.failed[member.name] = (reason, member.clock())
        self._group.under_way -= {self._key}
        self._attempt = None
        self._look_at = 0.0
        self.state = PLACING
        self._place()
