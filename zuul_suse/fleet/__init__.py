# SPDX-License-Identifier: Apache-2.0
"""Many datacenters as one.

Owns the members (one per datacenter) and what concerns them all: placement of requests and launches, sums, addresses
of servers ("datacenter/server") and of images ("datacenter=image ..."). A shell makes a Fleet without touching the
network, calls `start` when it first needs one, and `close` in the end. Knows neither the host nor any SDK.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from zuul_suse.datacenter import Gone, ImageFile, Quota, Server
from zuul_suse.fleet import images
from zuul_suse.fleet.blame import Blame
from zuul_suse.fleet.group import Group, Groups
from zuul_suse.fleet.images import ImageFinder, join_images, split_images
from zuul_suse.fleet.leaks import LeakLists
from zuul_suse.fleet.member import Member
from zuul_suse.fleet.placement import Choice, Demand, choose
from zuul_suse.fleet.uploads import BACKOFF, Upload

__all__ = ["Demand", "Fleet", "Member", "Upload", "join_images", "join_server", "split_images", "split_server"]


def join_server(datacenter: str, server_id: str) -> str:
    """A server's address in the fleet."""
    return f"{datacenter}/{server_id}"


def split_server(address: object) -> tuple[str, str]:
    """The datacenter and the id in it. A host may have stored anything: an id alone names no datacenter, and what is
    no text has neither."""
    if not isinstance(address, str):
        return "", ""
    datacenter, slash, server_id = address.partition("/")
    return (datacenter, server_id) if slash else ("", address)


class Fleet:
    """See the module."""

    RETURNS = 3600.0  # seconds for which a request is taken back again and again because its label rests

    def __init__(self, members: Iterable[Member], log: logging.Logger | None = None) -> None:
        self._log = log or logging.getLogger("zuul_suse.fleet")
        self.members: dict[str, Member] = {member.name: member for member in members}
        self.leaks = LeakLists(self.members.values())
        self.images = ImageFinder(self.members)
        self._lock = threading.Lock()  # PoolWorkers place while the create loop moves launches
        self._groups = Groups()
        self._returned: dict[str, float] = {}  # when requests were taken back first
        self._started = False
        self.clock = next((member.clock for member in self.members.values()), time.monotonic)
        breakers = {name: member.breaker for name, member in self.members.items()}
        self.blame = Blame(breakers, self.clock, self._log)
        for member in self.members.values():
            member.blame = self.blame

    def start(self) -> None:
        """Begin to poll; harmless when it is done already."""
        if self._started:
            return
        with self._lock:
            self._started = True
            for member in self.members.values():
                member.poller.start()

    def close(self) -> None:
        """End all threads."""
        self.leaks.close()
        for member in self.members.values():
            member.close()

    def member(self, name: str) -> Member:
        """The member of this name; Gone if the configuration has it no more."""
        try:
            return self.members[name]
        except KeyError:
            raise Gone(f'datacenter "{name}" is not one of {", ".join(self.members)}') from None

    def find(self, address: object, exclude: Collection[str] = ()) -> tuple[Member, Server] | None:
        """The server of a stored address, as last listed. Names of datacenters change while servers run: one that is
        not where its address says is looked for by its id among our own servers in every datacenter."""
        name, server_id = split_server(address)
        named = self.members.get(name)
        for member in self.members.values() if named is None else (named, *self.members.values()):
            server = member.poller.snapshot.servers.get(server_id)
            if member.name in exclude or server is None:
                continue
            if member is named or member.owns(server):
                return member, server
        return None

    def datacenter_of(self, address: object) -> str | None:
        """The datacenter of a stored address under its present name; the stored one if it isn't found."""
        found = self.find(address)
        return found[0].name if found else split_server(address)[0] or None

    # Placement

    def place(
        self,
        demands: Sequence[Demand],
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        exclude: Mapping[str, str] | None = None,
    ) -> Choice:
        """The one datacenter where all of it fits now; reserves nothing."""
        ruled_out = exclude or {}
        candidates = [member.candidate(demands) for name, member in self.members.items() if name not in ruled_out]
        return choose(candidates, prefer=prefer, avoid=avoid, exclude=exclude)

    def claim(
        self,
        demands: Mapping[str, Demand],
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        exclude: Mapping[str, str] | None = None,
        group: Group | None = None,
    ) -> Choice:
        """Place, and reserve room for each demand under its key, as one step; so they are a group, or join one."""
        with self._lock:
            choice = self._claim(demands, prefer, avoid, exclude or {})
            if choice.name is not None:
                self._join(group, demands, choice.name)
            return choice

    def _claim(
        self, demands: Mapping[str, Demand], prefer: str | None, avoid: Collection[str], exclude: Mapping[str, str]
    ) -> Choice:
        ruled_out = dict(exclude)
        while True:
            choice = self.place(list(demands.values()), prefer=prefer, avoid=avoid, exclude=ruled_out)
            if choice.name is None or self.members[choice.name].claim(demands):
                return choice
            ruled_out[choice.name] = "its probe is under way"

    def rests(self, demands: Sequence[Demand]) -> bool:
        """Whether a label of these rests wherever it could be launched."""
        candidates = [member.candidate(demands) for member in self.members.values()]
        able = [candidate for candidate in candidates if candidate.refusal is None]
        return bool(able) and all(candidate.blamed for candidate in able)

    def takes_back(self, request: str, demands: Sequence[Demand]) -> bool:
        """Whether a request whose launches failed is to wait, holding nothing, because its label rests; for a time.

        A label that has never worked is a mistake in the configuration, of which who asked for it should hear.
        """
        if not self.rests(demands) or not all(self.blame.has_worked(demand.label) for demand in demands):
            return False
        with self._lock:
            now = self.clock()
            self._returned = {key: at for key, at in self._returned.items() if now - at < 2 * self.RETURNS}
            return now - self._returned.setdefault(request, now) < self.RETURNS

    def rename(self, key: str, new: str) -> None:
        """Hand a claim on, wherever it is."""
        with self._lock:
            for member in self.members.values():
                member.claims.rename(key, new)
            self._groups.rename(key, new)

    def release(self, key: str) -> None:
        """Give a claim up, wherever it is: there will be no launch, or it has ended well."""
        with self._lock:
            self._release([key])
            self._groups.drop(key)

    def _release(self, keys: Iterable[str], but: str | None = None) -> None:
        for member in self.members.values():
            if member.name != but:
                for key in keys:
                    member.claims.release(key)

    # Groups of launches

    def group_of(self, key: str) -> Group | None:
        """The launches that end in the same datacenter as this one; None if it has no claim and no launch."""
        return self._groups.get(key)

    def join(self, group: Group | None, key: str, demand: Demand) -> Group:
        """Have a launch belong to a group though it has no claim; None is a group of its own."""
        with self._lock:
            return self._join(group, {key: demand}, None)

    def _join(self, group: Group | None, demands: Mapping[str, Demand], datacenter: str | None) -> Group:
        group = group or Group(datacenter, self.clock())
        group.datacenter, group.seen = group.datacenter or datacenter, self.clock()
        self._groups.add(group, demands)
        return group

    def keep(self, group: Group, kept: Mapping[str, Demand], datacenter: str) -> None:
        """These servers were ready before and belong to the group while it stays in this datacenter."""
        with self._lock:
            group.kept, group.kept_in = dict(kept), datacenter

    def move(
        self,
        group: Group,
        key: str,
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        exclude: Mapping[str, str],
    ) -> Choice:
        """Room for one of a group's launches: beside the others, but elsewhere with all of them where it has failed.

        Where it is given, it is claimed for all that have none, and what the group had elsewhere is released.
        """
        with self._lock:
            group.seen = self.clock()
            here = group.anchor
            if here is None:
                return self._move_all(group, prefer, avoid, exclude)
            away = {here: "the request's other nodes are there", **exclude}
            beside = partial(self._beside, group, key, here)
            elsewhere = partial(self._move_all, group, None, avoid, away)
            ways = [elsewhere] if here in exclude else [elsewhere, beside] if here in avoid else [beside, elsewhere]
            missed = Choice(None)
            for way in ways:
                choice = way()
                if choice.name is not None:
                    return choice
                missed = Choice(None, {**choice.reasons, **missed.reasons}, missed.waits | choice.waits)
            return missed

    def _move_all(self, group: Group, prefer: str | None, avoid: Collection[str], exclude: Mapping[str, str]) -> Choice:
        choice = self._claim({**group.demands, **group.kept}, prefer, avoid, exclude)
        if choice.name is not None:
            self._release([*group.demands], but=choice.name)
            group.settle(choice.name)
            self._groups.add(group, {})
        return choice

    def _beside(self, group: Group, key: str, here: str) -> Choice:
        needed = {key: group.demands[key]} if group.under_way else group.demands
        choice = self._claim(needed, None, (), {name: "" for name in self.members if name != here})
        if choice.name is not None:
            group.settle(here)
        return Choice(choice.name, {here: choice.reasons.get(here, "")}, choice.waits)

    def let_go(self, group: Group) -> None:
        """The group gives up all it has: what waits holds nothing for long."""
        with self._lock:
            self._release(group.demands)
            group.leave()

    def end(self, key: str) -> None:
        """A launch ended in vain, and with it the request of its group."""
        with self._lock:
            group = self._groups.get(key)
            if group is not None:
                group.lost = True
            self._release([key])
            self._groups.drop(key)

    def disband(self, group: Group) -> None:
        """The request is given up: its launches end each by itself."""
        with self._lock:
            group.lost = True

    def fits_when_empty(self, demands: Sequence[Demand]) -> bool:
        """Whether some datacenter is big enough. One that wasn't heard of yet may be."""
        return any(member.fits_when_empty(demands) for member in self.members.values())

    # Sums

    def limits(self) -> Quota:
        """What the datacenters that are well allow in all."""
        members = [member for member in self.members.values() if member.breaker.admits()]
        return sum((member.limits for member in members if member.limits is not None), Quota())

    def servers(self) -> list[tuple[str, Server]]:
        """Every server of every datacenter by its address, as last listed; once, if several are one project."""
        listed: dict[str, list[Server]] = {}
        found = []
        for member in self.members.values():
            for server in member.poller.snapshot.servers.values():
                known = listed.setdefault(server.id, [])
                # Ids are unique within a datacenter only: its mark tells a server from another one of the same name.
                if not any(server.metadata and server.metadata == other.metadata for other in known):
                    known.append(server)
                    found.append((join_server(member.name, server.id), server))
        return found

    # Images

    def begin_upload(
        self,
        files: Mapping[str, ImageFile],
        *,
        again: bool = False,
        strays: Collection[str] = (),
        on_news: Callable[[], None] = lambda: None,
    ) -> Upload:
        """See `uploads`; the file for each datacenter by its name."""
        return Upload(self.members, files, self._log, again=again, strays=strays, on_news=on_news, backoff=BACKOFF)

    def upload_backoff(self, datacenter: str, file: ImageFile) -> float:
        """Seconds until a file may be sent to a datacenter that refused it."""
        return BACKOFF.remaining(datacenter, file)

    def upload_image(self, files: Mapping[str, ImageFile]) -> str:
        """The image's text once it can be used."""
        return join_images(self.begin_upload(files).wait())

    def delete_image(self, address: str) -> None:
        """See `images.delete`."""
        images.delete(self.members, split_images(address), self._log)
