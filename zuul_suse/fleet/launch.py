# SPDX-License-Identifier: Apache-2.0
"""The state machine that creates a server somewhere in the fleet.

A shell makes one per node and calls `advance` again and again from one thread; it only reads memory: calls to a
datacenter are made in its worker threads, and servers are seen by its poller. It moves on to another datacenter when
one fails and leaves what it made there to the reaper. Where there is no room now it waits for some. It ends with a
Server, or with LaunchFailed when every datacenter was tried or is out. Not persistent: after a restart the shell
begins anew.
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
from zuul_suse.fleet.console import log_console
from zuul_suse.fleet.placement import Choice
from zuul_suse.fleet.reaper import LAUNCH_TAG

PLACING = "choosing a datacenter"
CREATING = "creating server"
BOOTING = "waiting for server"
EXPOSING = "giving server an address"
COMPLETE = "complete"


class LaunchFailed(DatacenterError):
    """Every datacenter was tried or is out; says what each answered."""


class CreateMachine:
    """`key` names the claim, which the shell may have made beforehand. `console_log`: log it when a boot fails."""

    ABSENT = 2  # lists in which a server that was made is missing until it counts as lost
    ANSWER = 30.0  # seconds in which a datacenter answers a call, if it is well
    AGAIN = 30.0  # so long after it failed, a datacenter is worth another try to a launch that waits for room
    PAUSE = 1.0  # between looks for room

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
        self._new_tag = new_tag
        self._log = log or logging.getLogger("zuul_suse.fleet.launch")
        self._failed: dict[str, tuple[str, float]] = {}  # why and when
        self._attempt: Attempt | None = None
        self._look_at = 0.0

    @property
    def datacenter(self) -> str | None:
        """Where the launch is at the moment."""
        return self._attempt.member.name if self._attempt else None

    def stirs(self) -> bool:
        """Whether `advance` may find anything new; asked often, so it is quick."""
        attempt = self._attempt
        if attempt is None:
            return True
        return attempt.stirs() or attempt.member.clock() - attempt.looked_at >= self.PAUSE

    def advance(self) -> Server | None:
        """One step; the server when it can be reached, else None."""
        if self._attempt is not None:
            self._attempt.member.claims.touch(self._key)
            self._attempt.look()
        if self.state == PLACING:
            self._place()
        attempt = self._attempt
        if attempt is None:
            return None
        if self.state == CREATING:
            self._create(attempt)
        if self.state == BOOTING:
            return self._boot(attempt)
        if self.state == EXPOSING:
            return self._expose(attempt)
        return None

    def abandon(self) -> None:
        """The host dropped this launch and will start it anew; what has an address it deletes itself."""
        if self._attempt is not None:
            self._attempt.member.claims.release(self._key)
            self._attempt.member.pace.forget(self._key)
            if self.state == CREATING:
                self._attempt.give_to_reaper()

    # Where

    def _place(self) -> None:
        member = self._claimed()
        if member is None:
            now = next(iter(self._fleet.members.values())).clock()
            if now < self._look_at:
                return
            again = now - self.AGAIN if self.waits else 0.0
            excluded = {name: why for name, (why, at) in self._failed.items() if at >= again}
            choice = self._fleet.claim(
                {self._key: self._demand}, prefer=self._prefer, avoid=self._avoid, exclude=excluded
            )
            if choice.name is None:
                self._look_at = now + self.PAUSE
                self._wait(choice)
                return
            member = self._fleet.member(choice.name)
        order = self._demand.order(member.name)
        if isinstance(order, str):
            raise LaunchFailed(f"{member.name}: {order}")
        self.waits = ""
        self._begin(member, order)

    def _claimed(self) -> Member | None:
        """The datacenter in which the shell claimed room for us beforehand."""
        for member in self._fleet.members.values():
            if member.claims.touch(self._key):
                if member.name not in self._failed and not isinstance(self._demand.order(member.name), str):
                    return member
                member.claims.release(self._key)
        return None

    def _wait(self, choice: Choice) -> None:
        """Nothing fits now. An outage of all is waited for too, unless this launch failed somewhere already."""
        refused = all(member.refuses(self._demand) for member in self._fleet.members.values())
        if refused or (self._failed and not choice.waits):
            reasons = {**choice.reasons, **{name: why for name, (why, _) in self._failed.items()}}
            raise LaunchFailed("; ".join(f"{name}: {why}" for name, why in reasons.items()))
        if not self.waits:
            self._log.info("Launch waits for room: %s", choice)
        self.waits = str(choice)

    def _begin(self, member: Member, order: Order) -> None:
        attempt = Attempt(member, self._new_tag(), member.clock(), member.clock())
        tagged = replace(order, metadata={**order.metadata, LAUNCH_TAG: attempt.tag})

        def create() -> str:
            attempt.began = member.clock()
            return member.datacenter.create(tagged)

        self._log.info("Creating %s in datacenter %s", order.name, member.name)
        self._attempt = attempt
        self.state = CREATING
        attempt.call = member.create(create)

    def _goes_better_elsewhere(self, attempt: Attempt) -> bool:
        """Whether the datacenter keeps us waiting while another has room. An overloaded one is better than none."""
        if not attempt.hangs(self.ANSWER):
            return False
        out = {name: why for name, (why, _) in self._failed.items()} | {attempt.member.name: "keeps us waiting"}
        return self._fleet.place([self._demand], exclude=out).name is not None

    # The create call

    def _create(self, attempt: Attempt) -> None:
        member, call = attempt.member, attempt.call
        if call is None:
            return
        if not call.done():
            if attempt.is_lost(self._boot_timeout) or self._goes_better_elsewhere(attempt):
                attempt.give_to_reaper()
                self._move_on(attempt, "no answer to the create call")
            return
        try:
            attempt.server_id = call.result()
        except NoCapacity as error:
            self._full(attempt, str(error), error.rest)
        except WrongConfiguration as error:
            self._log.error("Datacenter %s can't be used for this launch: %s", member.name, error)
            member.breaker.leave()
            self._move_on(attempt, str(error), blame=False)
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

    # The server

    def _boot(self, attempt: Attempt) -> Server | None:
        member = attempt.member
        snapshot = member.poller.snapshot
        server = snapshot.servers.get(attempt.server_id)
        if server is not None:
            member.claims.release(self._key)  # the list counts it from now on
            if server.ready:
                return self._arrive(attempt, server)
            if server.state is ServerState.ACTIVE and member.datacenter.exposes:
                attempt.since = member.clock()
                attempt.exposure = member.call(member.datacenter.expose, attempt.server_id)
                self.state = EXPOSING
                return None
            if server.state is ServerState.FAILED:
                self._server_failed(attempt, server)
                return None
        elif snapshot.asked_at > attempt.since:
            attempt.absent_in.add(snapshot.number)
            if len(attempt.absent_in) >= self.ABSENT:
                self._leave_server(attempt, "the server vanished")
                return None
        if member.is_out() or self._goes_better_elsewhere(attempt):
            self._leave_server(attempt, "the datacenter went away")
        elif attempt.is_lost(self._boot_timeout):
            self._leave_server(attempt, f"the server was not reachable after {self._boot_timeout:g} s")
        return None

    def _expose(self, attempt: Attempt) -> Server | None:
        call, member = attempt.exposure, attempt.member
        if call is None or not call.done():
            if attempt.is_lost(self._boot_timeout) or self._goes_better_elsewhere(attempt):
                self._leave_server(attempt, "the server got no address")
            return None
        try:
            server = call.result()
        except NoCapacity as error:
            member.reaper.abandon(attempt.server_id)
            self._full(attempt, str(error), error.rest)
        except DatacenterError as error:
            self._leave_server(attempt, str(error))
        else:
            if server.ready:
                return self._arrive(attempt, server)
            self._leave_server(attempt, "the server got no address")
        return None

    def _arrive(self, attempt: Attempt, server: Server) -> Server:
        attempt.member.pace.came(self._key)
        attempt.member.arrived(attempt.ordered_at)
        self.state = COMPLETE
        return server

    # Leaving

    def _server_failed(self, attempt: Attempt, server: Server) -> None:
        reason = f"the server failed: {server.fault or 'no reason given'}"
        if server.full:
            attempt.member.reaper.abandon(attempt.server_id)
            self._full(attempt, reason)
        else:
            self._leave_server(attempt, reason)

    def _leave_server(self, attempt: Attempt, reason: str) -> None:
        member, server_id = attempt.member, attempt.server_id
        if self._console_log and not member.is_out():
            log_console(member, server_id, self._log).add_done_callback(lambda _: member.reaper.abandon(server_id))
        else:
            member.reaper.abandon(server_id)
        self._move_on(attempt, reason)

    def _full(self, attempt: Attempt, reason: str, rest: float | None = None) -> None:
        """No failure: the datacenter is well, but is left alone for a while; for how long it may have said itself."""
        if rest is None:
            attempt.member.is_full()
        attempt.member.breaker.answered()
        self._move_on(attempt, reason, blame=False, failed=False)

    def _move_on(self, attempt: Attempt, reason: str, blame: bool = True, failed: bool = True) -> None:
        member = attempt.member
        if blame:
            member.breaker.failed()
        member.claims.release(self._key)
        member.pace.forget(self._key)
        reason = reason.removeprefix(f"{member.name}: ")
        self._log.warning("Launch leaves datacenter %s: %s", member.name, reason)
        if failed:
            self._failed[member.name] = (reason, member.clock())
        self._attempt = None
        self._look_at = 0.0
        self.state = PLACING
        self._place()
