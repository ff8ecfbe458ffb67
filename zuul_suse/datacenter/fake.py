# SPDX-License-Identifier: Apache-2.0
"""An in-memory datacenter for tests and simulation.

Serves tests of the fleet in one process, and tests of a launcher in another process: with `state-dir` every server,
image and belonging is a JSON file in that folder, so that a test can see, add and take away servers, and make the
datacenter fail by writing `fault` into it (one of FAULTS). Starts no thread; `close` has nothing to do.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zuul_suse.datacenter import (
    Belonging,
    Datacenter,
    DatacenterError,
    Finding,
    Gone,
    Image,
    ImageFile,
    NoCapacity,
    Order,
    PlainDatacenter,
    Quota,
    Server,
    ServerState,
    TryElsewhere,
    WrongConfiguration,
)
from zuul_suse.datacenter.kinds import DAY, MANY, MOST_RAM, Option, with_defaults

FAULTS = (
    "none",
    "unreachable",
    "black-hole",
    "create-refused",
    "no-capacity",
    "server-error",
    "never-boots",
    "no-host",
    "too-many-requests",
    "expose-refused",
    "no-addresses",
    "upload-refused",
)

OPTIONS = (
    Option("boot-delay", float, "seconds from the create call until a server is active", default=0.0, most=DAY),
    Option("max-servers", int, "how many servers fit", default=100, least=0, most=MANY),
    Option("max-cores", int, "how many cores fit", default=1000, least=0, most=MANY),
    Option("max-ram", int, "how much RAM fits, in MiB", default=10_000_000, least=0, most=MOST_RAM),
    Option("fault", str, "what goes wrong in this datacenter", default="none", choices=FAULTS),
    Option("state-dir", str, "folder in which servers and images are files, for tests from another process"),
)

PROJECT: tuple[str, ...] = ()  # two names for one folder are how a test has two datacenters on one project
LABEL_OPTIONS: tuple[Option, ...] = ()
IMAGE_TYPE = "tar"

Record = dict[str, Any]


class Shelf:
    """Records by id, in memory or as JSON files in a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._records: dict[str, Record] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, record_id: str, record: Record) -> None:
        if self._folder is None:
            self._records[record_id] = record
            return
        draft = self._folder / f".{record_id}"
        draft.write_text(json.dumps(record))
        draft.replace(self._folder / f"{record_id}.json")

    def take(self, record_id: str) -> None:
        try:
            if self._folder is None:
                del self._records[record_id]
            else:
                (self._folder / f"{record_id}.json").unlink()
        except (KeyError, FileNotFoundError):
            raise Gone(f'"{record_id}" is not there') from None

    def all(self) -> dict[str, Record]:
        if self._folder is None:
            return dict(self._records)
        return {path.stem: json.loads(path.read_text()) for path in sorted(self._folder.glob("*.json"))}


class FakeDatacenter(PlainDatacenter):
    """See the module. `clock` can be replaced by a virtual one; `calls` counts what was asked."""

    belonging_kinds: tuple[str, ...] = ("port", "floating-ip", "volume")

    def __init__(
        self, name: str, options: Mapping[str, Any] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self._options = with_defaults(OPTIONS, options or {})
        self._clock = clock
        folder = self._options["state-dir"]
        self._folder = Path(folder) if folder else None
        self._servers = Shelf(self._folder / "servers" if self._folder else None)
        self._images = Shelf(self._folder / "images" if self._folder else None)
        self._belongings = Shelf(self._folder / "belongings" if self._folder else None)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()  # worker threads create and delete while the poller's thread lists
        self.fault: str = self._options["fault"]
        self.hides = self.exposes  # servers have no address until they are exposed
        self.calls: dict[str, int] = {}
        self.released = threading.Event()  # lets the calls out that hang in a black hole

    def _enter(self, call: str) -> str:
        """Pass the gate and play the fault that concerns every call; returns the fault."""
        with self.gate(call):
            return self._play_fault(call)

    def _play_fault(self, call: str) -> str:
        with self._lock:
            self.calls[call] = self.calls.get(call, 0) + 1
        fault = self.fault
        if self._folder and (self._folder / "fault").exists():
            fault = (self._folder / "fault").read_text().strip()
        if fault == "unreachable":
            raise TryElsewhere(f"{self.name}: connection refused")
        if fault == "black-hole":
            self.released.wait(60)
            raise TryElsewhere(f"{self.name}: timed out")
        if fault == "too-many-requests":
            raise NoCapacity(f"{self.name}: too many requests", rest=60.0)
        return fault

    def create(self, order: Order) -> str:
        fault = self._enter("create")
        if fault == "create-refused":
            raise TryElsewhere(f"{self.name}: internal server error")
        if fault == "no-capacity":
            raise NoCapacity(f"{self.name}: no valid host")
        with self._lock:
            used = sum((server.need for server in self._read_servers()), Quota())
            if not self.limits_unchecked().covers(used + order.need):
                raise NoCapacity(f"{self.name}: quota exceeded")
            server_id = f"{order.name}-{self.name}-{next(self._ids)}"
            self._servers.put(
                server_id,
                {
                    "name": order.name,
                    "image": order.image,
                    "active-at": None if fault == "never-boots" else self._clock() + self._options["boot-delay"],
                    "fault": {"server-error": "injected", "no-host": "No valid host was found."}.get(fault),
                    "need": [order.need.instances, order.need.cores, order.need.ram],
                    "config": dict(order.config),
                    "metadata": dict(order.metadata),
                },
            )
        return server_id

    def _read_servers(self) -> list[Server]:
        return [self._server(server_id, record) for server_id, record in self._servers.all().items()]

    def _server(self, server_id: str, record: Record) -> Server:
        active_at = record.get("active-at", 0)
        state = ServerState.BUILDING
        if record.get("fault"):
            state = ServerState.FAILED
        elif active_at is not None and active_at <= self._clock():
            state = ServerState.ACTIVE
        return Server(
            id=server_id,
            name=record.get("name", server_id),
            state=state,
            # Nodepool takes an address with "fake" in it as one whose host keys need no scan.
            ipv4=f"fake-{server_id}" if state is ServerState.ACTIVE and not self.hides else None,
            fault=record.get("fault"),
            full="No valid host" in (record.get("fault") or ""),
            need=Quota(*record.get("need", [1, 0, 0])),
            metadata=record.get("metadata", {}),
        )

    def expose(self, server_id: str) -> Server:
        fault = self._enter("expose")
        if fault == "no-addresses":
            raise NoCapacity(f"{self.name}: no more floating IPs")
        if fault == "expose-refused":
            raise TryElsewhere(f"{self.name}: internal server error")
        with self._lock:
            record = self._servers.all().get(server_id)
        if record is None:
            raise Gone(f"{server_id} is not there")
        return replace(self._server(server_id, record), ipv4=f"fake-floating-{server_id}")

    def list_servers(self) -> Sequence[Server]:
        self._enter("list_servers")
        with self._lock:
            return self._read_servers()

    def delete(self, server_id: str) -> None:
        self._enter("delete")
        with self._lock:
            self._servers.take(server_id)

    def limits_unchecked(self) -> Quota:
        """The configured limits, whatever the fault."""
        return Quota(self._options["max-servers"], self._options["max-cores"], self._options["max-ram"])

    def limits(self) -> Quota:
        self._enter("limits")
        return self.limits_unchecked()

    def upload_image(self, image: ImageFile) -> str:
        if self._enter("upload_image") == "upload-refused":
            raise TryElsewhere(f"{self.name}: no room for images")
        if not image.path.is_file():
            raise WrongConfiguration(f"{self.name}: {image.path} is not a file")
        with self._lock:
            image_id = f"image-{self.name}-{next(self._ids)}"
            self._images.put(image_id, {"name": image.name, "metadata": dict(image.metadata)})
        return image_id

    def list_images(self) -> Sequence[Image]:
        self._enter("list_images")
        with self._lock:
            return [Image(key, rec["name"], rec["metadata"]) for key, rec in self._images.all().items()]

    def find_image(self, image_id: str) -> Image:
        self._enter("find_image")
        with self._lock:
            record = self._images.all().get(image_id)
        if record is None:
            raise Gone(f"{image_id} is not there")
        return Image(image_id, record["name"], record["metadata"])

    def delete_image(self, image_id: str) -> None:
        self._enter("delete_image")
        with self._lock:
            self._images.take(image_id)

    def list_belongings(self, kind: str) -> Sequence[Belonging]:
        self._enter("list_belongings")
        with self._lock:
            records = self._belongings.all()
        return [
            Belonging(kind, key, record.get("server"), record.get("metadata", {}))
            for key, record in records.items()
            if record["kind"] == kind
        ]

    def delete_belonging(self, belonging: Belonging) -> None:
        self._enter("delete_belonging")
        with self._lock:
            self._belongings.take(belonging.id)

    def console_log(self, server_id: str) -> str:
        self._enter("console_log")
        return f"{server_id}: a fake server has nothing to say\n"

    def examine(self, orders: Sequence[Order]) -> Iterator[Finding]:
        try:
            yield Finding("limits", True, str(self.limits()))
            yield Finding("servers", True, f"{len(self.list_servers())} listed")
        except DatacenterError as error:
            yield Finding("reachable", False, str(error))

    def close(self) -> None:
        self.released.set()


def open_datacenter(name: str, options: Mapping[str, Any]) -> Datacenter:
    """See `kinds.Kind`."""
    return FakeDatacenter(name, options)
