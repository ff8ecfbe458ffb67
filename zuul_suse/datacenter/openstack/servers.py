# SPDX-License-Identifier: Apache-2.0
"""Servers as nova lists them, in the house's words, and the list of them that is kept up to date by its changes.

`ServerList.refresh` makes one request: all servers at first and once a minute, in between only what changed since,
where the list is long enough for that to pay. Called by the poller's thread; worker threads add what they made. Times
are the cloud's own (the Date of its answers, the servers' `updated`), never this machine's.
"""

from __future__ import annotations

import contextlib
import email.utils
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from zuul_suse.datacenter import Quota, Server, ServerState
from zuul_suse.datacenter.openstack.addresses import NO_NETWORKS, Networks, addresses_of, with_floating
from zuul_suse.datacenter.openstack.errors import says_full
from zuul_suse.datacenter.openstack.session import Json, Region

_GONE = frozenset({"DELETED", "SOFT_DELETED"})
_STATES = {"ACTIVE": ServerState.ACTIVE, "ERROR": ServerState.FAILED}


@dataclass(frozen=True)
class View:
    """What is needed to read a server beside what nova says of it."""

    networks: Networks = NO_NETWORKS
    prefer_ipv6: bool = False
    exposes: bool = False
    sizes: Mapping[str, Quota] = field(default_factory=dict)  # by flavor id, for clouds that embed no flavor


def server_of(raw: Json, view: View) -> Server:
    """A server of /servers/detail."""
    state = _STATES.get(raw["status"], ServerState.BUILDING)
    if raw.get("OS-EXT-STS:task_state") == "deleting":
        state = ServerState.DELETING
    reason = (raw.get("fault") or {}).get("message") if state is ServerState.FAILED else None
    fault = str(reason) if reason else None
    found = addresses_of(raw, view.networks, view.exposes, view.prefer_ipv6)
    flavor = raw.get("flavor") or {}
    if "vcpus" in flavor and "ram" in flavor:
        need = Quota(1, flavor["vcpus"], flavor["ram"])
    else:
        need = view.sizes.get(flavor.get("id", ""), Quota(1))
    return Server(
        id=raw["id"],
        name=raw.get("name") or raw["id"],
        state=state,
        ipv4=found.public4,
        ipv6=found.public6,
        private_ipv4=found.private4,
        address=found.connect,
        awaits_address=found.awaits_floating,
        host=raw.get("hostId") or None,
        fault=fault,
        full=says_full(fault),
        need=need,
        metadata=raw.get("metadata") or {},
    )


def volumes_of(raw: Json) -> list[str]:
    """Ids of a server's volumes that are to go with it."""
    attached = raw.get("os-extended-volumes:volumes_attached") or []
    return [volume["id"] for volume in attached if volume.get("delete_on_termination")]


class ServerList:
    """See the module. `on_seen` is told every server of every answer, deleted ones too, as nova wrote it."""

    PAYS = 20  # with fewer servers the whole list costs no more
    FULL_EVERY = 60.0
    OVERLAP = timedelta(seconds=10)  # clocks of the cloud's hosts differ, and a change shows later than its time says

    def __init__(
        self, region: Region, on_seen: Callable[[Json], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._region = region
        self._on_seen = on_seen
        self._clock = clock
        self._lock = threading.Lock()  # worker threads add servers while the poller's thread merges
        self._servers: dict[str, Server] = {}
        self._added: dict[str, Server] = {}  # made, and not listed yet
        # Addresses given by `expose`, and for which fixed ones: nova's own list learns of them late.
        self._floating: dict[str, tuple[str, str | None]] = {}
        self._unexposed: dict[str, Json] = {}  # servers that await an address, as nova listed them
        self._view = View()
        self._full_at: float | None = None
        self._of: object = None  # whose servers these are
        self._since: datetime | None = None

    def add(self, server: Server) -> None:
        """It was just made: the next changes may not have it yet, only the next whole list is sure to."""
        with self._lock:
            self._added[server.id] = server

    def expose(self, server: Server, address: str, fixed: str | None = None) -> Server:
        """It has a floating IP now, for its address `fixed`; returns the server as it is with that."""
        with self._lock:
            self._floating[server.id] = (address, fixed)
            raw = self._unexposed.pop(server.id, None)
            if raw is None:
                exposed = replace(server, ipv4=address, awaits_address=False)
            else:
                exposed = server_of(with_floating(raw, address, fixed), self._view)
            if server.id in self._servers:
                self._servers[server.id] = exposed
            return exposed

    def get(self, server_id: str) -> Server | None:
        """As last listed."""
        with self._lock:
            return self._servers.get(server_id) or self._added.get(server_id)

    def refresh(self, view: View) -> list[Server]:
        """One request, and what is known after it."""
        of = self._region.identity()
        with self._lock:
            known, since = len(self._servers), self._since
            whole = (
                self._full_at is None
                or self._of is not of
                or since is None
                or known < self.PAYS
                or self._clock() - self._full_at > self.FULL_EVERY
            )
            added_before = set(self._added)
        asked_at = self._clock()
        if whole or since is None:
            raw, date = self._read({})
        else:
            raw, date = self._read({"changes-since": (since - self.OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")})
        listed = {item["id"]: server_of(item, view) for item in raw if item["status"] not in _GONE}
        gone = {item["id"] for item in raw if item["status"] in _GONE}
        for item in raw:
            self._on_seen(item)
        with self._lock:
            self._view = view
            self._expose_listed(listed, {item["id"]: item for item in raw})
            self._merge(listed, gone, whole, added_before)
            self._of = of
            if whole:
                self._full_at = asked_at
            self._since = _latest(date, raw, since)
            return self._told()

    def _read(self, params: dict[str, str]) -> tuple[list[Json], datetime | None]:
        """All pages, and the first answer's Date."""
        dates: list[str] = []
        raw: list[Json] = []
        for page in self._region.pages("compute", "/servers/detail", "servers", params, dates.append):
            raw += [item for item in page if item.get("id") and item.get("status")]
        return raw, _date(dates[0] if dates else None)

    def _expose_listed(self, listed: dict[str, Server], raw: Mapping[str, Json]) -> None:
        """What was given an address while the list was under way, or since nova last looked, has it."""
        for server_id, server in listed.items():
            given = self._floating.get(server_id)
            if given is not None:
                listed[server_id] = server_of(with_floating(raw[server_id], *given), self._view)
            elif server.awaits_address:
                self._unexposed[server_id] = raw[server_id]
            else:
                self._unexposed.pop(server_id, None)

    def _merge(self, listed: dict[str, Server], gone: set[str], whole: bool, added_before: set[str]) -> None:
        if whole:
            self._servers = listed
            # A whole list has every server that was made before it was asked for.
            self._added = {key: server for key, server in self._added.items() if key not in added_before}
        else:
            self._servers |= listed
            for server_id in gone:
                self._servers.pop(server_id, None)
        for server_id in (*listed, *gone):
            self._added.pop(server_id, None)
        known = self._servers.keys() | self._added.keys()
        self._floating = {key: given for key, given in self._floating.items() if key in known}
        self._unexposed = {key: item for key, item in self._unexposed.items() if key in known}

    def _told(self) -> list[Server]:
        return list((self._added | self._servers).values())


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None


def _latest(date: datetime | None, raw: Iterable[Mapping[str, Any]], before: datetime | None) -> datetime | None:
    """The time since which changes are to be asked for next: the earlier of two clocks, never going back."""
    updated = max((item.get("updated") or "" for item in raw), default="")
    times = [date] if date is not None else []
    with contextlib.suppress(ValueError):
        times.append(datetime.fromisoformat(updated.replace("Z", "+00:00")).astimezone(UTC))
    now = min(times, default=None)
    if now is None or before is None:
        return now or before
    return max(now, before)
