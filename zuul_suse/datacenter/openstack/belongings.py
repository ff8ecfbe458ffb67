# SPDX-License-Identifier: Apache-2.0
"""What servers of ours left behind: ports, volumes and floating IPs; never anything that isn't proven to be ours.

A floating IP bears our mark. A port names its server: it is ours if that server bore our metadata, which is remembered
from lists and from our own creations; servers that died before this process began are looked for among those that
nova still lists as deleted, by the mark in their description, once per port. A volume is ours if a server of ours was
seen with it, to be deleted with it; nova puts no mark on a volume that it makes, so one that was never seen attached
is not found. Called in Nodepool's clean-up thread, which deletes what it was told of twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from zuul_suse.datacenter import Belonging, Gone, WrongConfiguration
from zuul_suse.datacenter.openstack.floating import FloatingIPs
from zuul_suse.datacenter.openstack.mark import KEYS, read_mark
from zuul_suse.datacenter.openstack.servers import volumes_of
from zuul_suse.datacenter.openstack.session import Json, Region

_PATHS = {
    "port": ("network", "/ports"),
    "floating-ip": ("network", "/floatingips"),
    "volume": ("block-storage", "/volumes"),
}
BELONGING_KINDS = tuple(_PATHS)
_UNUSED = frozenset({"available", "error"})


class Ours:
    """Servers of ours by id, as long as memory is to last: their metadata and their volumes."""

    REMEMBERED = 20_000

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the poller's thread, worker threads and the clean-up thread
        self._metadata: OrderedDict[str, Mapping[str, str]] = OrderedDict()
        self._volumes: dict[str, str] = {}

    def saw(self, raw: Json) -> None:
        """A server as nova lists it."""
        metadata = raw.get("metadata")
        if not metadata and raw["status"] == "DELETED":  # its metadata went with it
            mark = read_mark(raw.get("description"))
            metadata = mark[1] if mark else None
        if self.made(raw["id"], metadata or {}):
            volumes = volumes_of(raw)
            if volumes:
                with self._lock:
                    self._volumes |= {volume: str(raw["id"]) for volume in volumes}

    def made(self, server_id: str, metadata: Mapping[str, str]) -> bool:
        """A server with this metadata; returns whether that makes it ours."""
        if not all(key in metadata for key in KEYS):
            return False
        with self._lock:
            self._metadata[server_id] = metadata
            self._metadata.move_to_end(server_id)
            while len(self._metadata) > self.REMEMBERED:
                self._metadata.popitem(last=False)
        return True

    def metadata(self, server_id: str) -> Mapping[str, str] | None:
        """What the server bore; None if it isn't known as ours."""
        with self._lock:
            return self._metadata.get(server_id)

    def volumes(self) -> dict[str, str]:
        """Volumes seen at servers of ours."""
        with self._lock:
            return dict(self._volumes)

    def forget_volume(self, volume_id: str) -> None:
        """It is gone."""
        with self._lock:
            self._volumes.pop(volume_id, None)


class Belongings:
    """See the module. `alive` gives the ids of all servers from a list that is newer than the call."""

    PAGES = 5  # of deleted servers that are looked through
    OLDEST = timedelta(days=30)  # ports older than this are left to their owner

    def __init__(self, region: Region, ours: Ours, floating: FloatingIPs, alive: Callable[[], set[str]]) -> None:
        self._region = region
        self._ours = ours
        self._floating = floating
        self._alive = alive
        self._released: set[str] = set()  # ports that say no more that they are nova's, and are still there
        self._strangers: dict[str, float] = {}  # servers of ports that were looked for and are not known as ours

    def find(self, kind: str) -> list[Belonging]:
        """Those of one kind. Things first, then servers: what was made in between has its server in the list."""
        service, _ = _PATHS[kind]
        if not self._region.has(service):
            return []
        if kind == "port":
            return self._loose_ports()
        found = self._floating.marked() if kind == "floating-ip" else self._loose_volumes()
        alive = self._alive() if found else set()
        return [item for item in found if item.server_id not in alive]

    def _loose_ports(self) -> list[Belonging]:
        ports = self._ports()
        alive = self._alive() if ports else set()
        dead = [port for port in ports if port["device_id"] not in alive]
        self._find_dead([port for port in dead if self._ours.metadata(port["device_id"]) is None])
        found = []
        for port in dead:
            metadata = self._ours.metadata(port["device_id"])
            if metadata is not None:
                found.append(Belonging("port", port["id"], port["device_id"], metadata))
        return found

    def _ports(self) -> list[Json]:
        wanted = {"status": "DOWN", "fields": ("id", "device_id", "device_owner", "status", "created_at")}
        listed = self._region.all("network", "/ports", "ports", wanted)
        return [
            raw
            for raw in listed
            if raw["status"] == "DOWN"
            and raw.get("device_id")
            and ((raw.get("device_owner") or "").startswith("compute:") or raw["id"] in self._released)
        ]

    def _find_dead(self, ports: list[Json]) -> None:
        """Learn of servers that died before this process began, from nova's list of what changed since then."""
        now = time.time()
        self._strangers = {key: at for key, at in self._strangers.items() if now - at < self.OLDEST.total_seconds()}
        wanted = {}
        for port in ports:
            created = _time(port.get("created_at"))
            if port["device_id"] not in self._strangers and created is not None:
                wanted[port["device_id"]] = created
        if not wanted:
            return
        newest = max(wanted.values())
        since = max(min(wanted.values()), newest - self.OLDEST) - timedelta(minutes=10)
        params = {"changes-since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        for number, page in enumerate(self._region.pages("compute", "/servers/detail", "servers", params), 1):
            for raw in page:
                self._ours.saw(raw)
            if number >= self.PAGES or all(self._ours.metadata(server) for server in wanted):
                break
        self._strangers |= {server: now for server in wanted if self._ours.metadata(server) is None}

    def _loose_volumes(self) -> list[Belonging]:
        known = self._ours.volumes()
        if not known:
            return []
        listed = {raw["id"]: raw for raw in self._region.all("block-storage", "/volumes/detail", "volumes")}
        found = []
        for volume, server in known.items():
            raw = listed.get(volume)
            if raw is None:
                self._ours.forget_volume(volume)
            elif raw["status"] in _UNUSED and not raw.get("attachments"):
                found.append(Belonging("volume", volume, server, self._ours.metadata(server) or {}))
        return found

    def delete(self, belonging: Belonging) -> None:
        """Gone if there is none."""
        if belonging.kind not in _PATHS:
            raise Gone(f"there is no {belonging.kind} {belonging.id}")
        service, path = _PATHS[belonging.kind]
        path = f"{path}/{belonging.id}"
        try:
            self._region.call(service, "DELETE", path)
        except WrongConfiguration:
            if belonging.kind != "port":
                raise
            # A newer neutron keeps a port that says it is nova's from being deleted, though not from being changed.
            self._region.call(service, "PUT", path, json={"port": {"device_owner": ""}})
            self._released.add(belonging.id)
            self._region.call(service, "DELETE", path)
        self._released.discard(belonging.id)


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
