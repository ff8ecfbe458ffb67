# SPDX-License-Identifier: Apache-2.0
"""One datacenter behind one small interface.

Owns the words that the fleet and the shells share: Datacenter, Server, Order, Quota, Image and the errors. Each kind
of datacenter is one module beside this one (see `kinds`); the fleet knows only what is defined here. Every method of
a Datacenter may block on the network and may be called by several threads at once: callers run them in worker
threads. Nothing here has a life of its own, so nothing has to be ended but `Datacenter.close`.
"""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

LONGEST_REST = 600.0  # seconds; a datacenter that asks for more is asked again then


def usable_rest(seconds: float | None) -> float | None:
    """How long to leave a datacenter alone that asked for so many seconds; None if that is no usable hint."""
    return min(seconds, LONGEST_REST) if seconds is not None and seconds > 0 else None


class DatacenterError(Exception):
    """What a datacenter had to say; foreign exceptions are translated into the four below.

    `rest` is how many seconds the datacenter asked to be left alone (Retry-After), more than 0 and at most
    LONGEST_REST; None if it gave no usable hint.
    """

    def __init__(self, message: str, rest: float | None = None) -> None:
        super().__init__(message)
        self.rest = usable_rest(rest)


class WrongConfiguration(DatacenterError):
    """Asking again won't help: something must be changed in the configuration or in the datacenter."""


class NoCapacity(DatacenterError):
    """The datacenter is well but full."""


class TryElsewhere(DatacenterError):
    """The request failed for the datacenter's own reasons: worth a retry elsewhere."""


class Gone(DatacenterError):
    """What was asked about is not there (any more)."""


class ServerState(enum.Enum):
    """What a server is doing, in words that all kinds of datacenters share."""

    BUILDING = "building"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True)
class Quota:
    """An amount of servers, cores and RAM (MiB): a limit, a use or a need. Infinite means that nobody limits it."""

    instances: float = 0
    cores: float = 0
    ram: float = 0

    def __add__(self, other: Quota) -> Quota:
        return Quota(self.instances + other.instances, self.cores + other.cores, self.ram + other.ram)

    def __sub__(self, other: Quota) -> Quota:
        return Quota(self.instances - other.instances, self.cores - other.cores, self.ram - other.ram)

    def __str__(self) -> str:
        return f"{self.instances:.0f} servers, {self.cores:.0f} cores, {self.ram:.0f} MiB"

    def covers(self, need: Quota) -> bool:
        """Whether `need` fits into this amount."""
        return self.instances >= need.instances and self.cores >= need.cores and self.ram >= need.ram


def total(quotas: Iterable[Quota]) -> Quota:
    """Their sum; for the many of a list this is several times as quick as adding one to the other."""
    many = list(quotas)
    return Quota(sum(one.instances for one in many), sum(one.cores for one in many), sum(one.ram for one in many))


UNLIMITED = Quota(math.inf, math.inf, math.inf)


@dataclass(frozen=True)
class Order:
    """One server to be made.

    `config` holds further settings in the datacenter's own words, `settings` the label's options for this kind of
    datacenter, checked against the kind's LABEL_OPTIONS.
    """

    name: str
    image: str
    need: Quota = Quota(instances=1)
    config: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server as the datacenter lists it.

    `address` is the one to connect to, if that isn't `ipv4` or else `ipv6`. `awaits_address` says that another one is
    still to come, without which it can't be used. `full` says that it failed because the datacenter had no room for
    it, which is nobody's fault.
    """

    id: str
    name: str
    state: ServerState
    ipv4: str | None = None
    ipv6: str | None = None
    private_ipv4: str | None = None
    address: str | None = None
    awaits_address: bool = False
    host: str | None = None
    fault: str | None = None
    full: bool = False
    need: Quota = Quota(instances=1)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it runs and can be reached under some address."""
        return self.state is ServerState.ACTIVE and not self.awaits_address and bool(self.ipv4 or self.ipv6)


@dataclass(frozen=True)
class Belonging:
    """A port, floating IP or volume that was made for a server of ours and may outlive it.

    `metadata` is the server's, from a mark on the thing itself or from a server remembered by its id; what bears no
    such proof is not ours and is never listed.
    """

    kind: str
    id: str
    server_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at in a datacenter, and whether it is as it should be."""

    check: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Image:
    """An image as the datacenter lists it. `complete`: its file was taken in whole; `size` in bytes, if known."""

    id: str
    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    size: int | None = None


@dataclass(frozen=True)
class ImageFile:
    """A built image on this machine's disk, to be uploaded.

    `proof` are the keys of its metadata that tell this upload from all others; if there are none, all of them do.
    """

    name: str
    path: Path
    format: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    proof: tuple[str, ...] = ()

    def began(self, image: Image) -> bool:
        """Whether an image comes from an upload of this one, complete or not."""
        keys = self.proof or tuple(self.metadata)
        return image.name == self.name and all(image.metadata.get(key) == self.metadata[key] for key in keys)

    def made(self, image: Image) -> bool:
        """Whether an image is this one, all of it."""
        if not image.complete or not self.began(image):
            return False
        return image.size is None or not self.path.is_file() or image.size == self.path.stat().st_size


@dataclass
class Passage:
    """A request on its way through the gate; who knows better what came of it says so, as in `status = "202"`.

    `rest`: the seconds for which the answer asks its client to stay away, see `retry_after`.
    """

    status: str = "ok"
    rest: float | None = None


class Gate(Protocol):
    """What every single request to a datacenter's API passes: waits for the rate limit, then counts and times it."""

    def __call__(self, call: str) -> AbstractContextManager[Passage]:
        """`call` is a stable name for what is asked, as "POST servers": it becomes part of a metric's name."""


def no_gate(call: str) -> AbstractContextManager[Passage]:
    """The gate of a datacenter that nobody watches."""
    return nullcontext(Passage())


class Datacenter(Protocol):
    """One place that can run servers. Raises nothing but DatacenterError."""

    name: str
    gate: Gate  # set by the fleet before the first call, and so is
    log: logging.Logger | logging.LoggerAdapter[Any]  # for what nobody asked and somebody should know
    exposes: bool  # whether an active server has to be given an address by `expose` before it can be reached
    belonging_kinds: tuple[str, ...]  # kinds of belongings that its servers may leave

    def need(self, order: Order) -> Quota:
        """What the order takes here. From memory, never blocks; what isn't known yet counts as the order says."""

    def refusal(self, order: Order) -> str | None:
        """Why the order can't be made here, as far as is known ("no such flavor"); None if it can. Never blocks."""

    def create(self, order: Order) -> str:
        """Have a server made and return its id; it need not run yet when this returns."""

    def expose(self, server_id: str) -> Server:
        """Give an active server its address (a floating IP) and return it as it is then."""

    def list_servers(self) -> Sequence[Server]:
        """All servers that count against the quota, ours and others'."""

    def delete(self, server_id: str) -> None:
        """Have a server deleted whatever it is doing; raises Gone if there is none."""

    def limits(self) -> Quota:
        """How much may be used in all, by us and others."""

    def upload_image(self, image: ImageFile) -> str:
        """Upload an image file, wait until it can be used, and return its id. However often that breaks, not more than
        one half image stays: what an earlier try left is deleted first."""

    def list_images(self) -> Sequence[Image]:
        """Images that were uploaded by us; none if that service isn't offered here."""

    def find_image(self, image_id: str) -> Image:
        """An image of whomever; raises Gone if there is none."""

    def delete_image(self, image_id: str) -> None:
        """Delete an image; raises Gone if there is none."""

    def console_log(self, server_id: str) -> str:
        """What the server wrote to its console since it started."""

    def list_belongings(self, kind: str) -> Sequence[Belonging]:
        """Those of one kind that are ours and that no server uses now; none if that service isn't offered here."""

    def delete_belonging(self, belonging: Belonging) -> None:
        """Delete one of them; raises Gone if it is gone."""

    def examine(self, orders: Sequence[Order]) -> Iterator[Finding]:
        """Look whether this datacenter can be used, and for these orders; the first answers come first."""

    def close(self) -> None:
        """Release connections. No method is called after this one."""


class PlainDatacenter:
    """What a kind inherits whose servers come with their address and with nothing else beside them."""

    gate: Gate = staticmethod(no_gate)
    log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger("zuul_suse.datacenter")
    exposes = False
    belonging_kinds: tuple[str, ...] = ()

    def need(self, order: Order) -> Quota:
        return order.need

    def refusal(self, order: Order) -> str | None:
        return None

    def expose(self, server_id: str) -> Server:
        raise Gone(f"{server_id} needs no address")

    def list_belongings(self, kind: str) -> Sequence[Belonging]:
        return ()

    def delete_belonging(self, belonging: Belonging) -> None:
        raise Gone(f"there is no {belonging.kind} {belonging.id}")
