# SPDX-License-Identifier: Apache-2.0
"""What a region has to choose from: flavors, networks, images; kept in memory and looked up by name.

Worker threads load it when they first need it, and again when it is old or when nova refused an order (`forget`);
`flavor_from_memory` never blocks. A name that isn't there is looked for once more in a fresh list before it is called
wrong, but not more often than every few seconds: a wrong name in a label must not cost a request per launch.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from zuul_suse.datacenter import DatacenterError, Order, Quota, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.addresses import Networks, networks_of
from zuul_suse.datacenter.openstack.session import Json, Region
from zuul_suse.datacenter.openstack.turn import Turn

UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
AGE = 600.0  # seconds that a list is good for
AGAIN = 60.0  # seconds after which a list is asked for again that couldn't be read
SOON = 5.0  # seconds for which a list of servers may be held up by what it can do without
YOUNG = 20.0  # a list younger than this isn't read again for a name that it lacks
_SHOWN = 12  # names in an error

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Flavor:
    """A size of servers; sorts by size."""

    ram: int
    cores: int
    disk: int
    name: str
    id: str

    @property
    def need(self) -> Quota:
        return Quota(1, self.cores, self.ram)


class Kept(Generic[T]):
    """A value that is read when it is needed and kept for a while, as long as `whose` returns the same object."""

    def __init__(self, read: Callable[[], T], whose: Callable[[], object], age: float = AGE) -> None:
        self._read = read
        self._whose = whose
        self._age = age
        self._turn = Turn()  # many worker threads want it at once, one reads it
        self.value: T | None = None
        self._read_at = float("-inf")
        self._of: object = None

    def get(self, newer_than: float | None = None) -> T:
        """The value, read again if it is old. If that fails the old one is as good as any, and is for a while; but not
        for who asks for one that is not older than so many seconds."""
        oldest = self._age if newer_than is None else newer_than

        def read() -> T:
            self._drop_others()
            if self.value is None or time.monotonic() - self._read_at > oldest:
                try:
                    self.value = self._read()
                    self._read_at = time.monotonic()
                except DatacenterError:
                    if self.value is None or newer_than is not None:
                        raise
                    self._read_at = time.monotonic() - self._age + AGAIN
            return self.value

        return self._turn.take(read)

    def put(self, value: T) -> None:
        """It was read elsewhere."""
        self.value, self._read_at, self._of = value, time.monotonic(), self._whose()

    def _drop_others(self) -> None:
        whose = self._whose()
        if self._of is not whose:
            self.value, self._of = None, whose

    def forget(self) -> None:
        """Read it again next time; until then memory may still tell it."""
        self._read_at = float("-inf")


def choices(names: Sequence[str]) -> str:
    """Valid choices as an error tells them."""
    listed = sorted(set(names))
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"has {', '.join(listed[:_SHOWN]) or 'none'}{more}"


class Catalog:
    """See the module. `place` is how errors call the datacenter."""

    def __init__(self, place: str, region: Region) -> None:
        self._place = place
        self._region = region
        self.flavors = Kept(self._read_flavors, region.identity)
        self.networks = Kept(self._read_networks, region.identity)
        self._routed = Kept(self._read_routers, region.identity)
        self._images: dict[str, Kept[str]] = {}
        self._kinds: tuple[list[Json] | None, object, Networks] | None = None
        self._networks_due = 0.0
        self._lock = threading.Lock()  # worker threads meet where an image is first asked for

    def forget(self) -> None:
        """Nova refused something: what is known may be out of date."""
        self.flavors.forget()
        self.networks.forget()
        self._routed.forget()
        with self._lock:
            self._images.clear()

    def load(self) -> None:
        """Bring up to date what is told from memory; what can't be read now stays as it is."""
        for kept in (self.flavors, self.networks):
            with contextlib.suppress(DatacenterError):
                kept.get()

    # Flavors

    def _read_flavors(self) -> list[Flavor]:
        listed = self._region.all("compute", "/flavors/detail", "flavors")
        flavors = [flavor for flavor in map(_flavor, listed) if flavor is not None]
        if listed and not flavors:
            raise TryElsewhere(f"{self._place}: GET flavors: no flavor can be read of {str(listed[0])[:80]}")
        return sorted(flavors)

    def sizes(self) -> dict[str, Quota]:
        """What is known of flavors by id, from memory."""
        return {flavor.id: flavor.need for flavor in self.flavors.value or ()}

    def flavor(self, order: Order, name: str | None) -> Flavor:
        """The flavor for an order."""
        found = pick(self.flavors.get(), order, name) or pick(self.flavors.get(YOUNG), order, name)
        if found is None:
            raise WrongConfiguration(f"{self._place}.{self._no_flavor(order, name)}")
        return found

    def flavor_from_memory(self, order: Order, name: str | None) -> Flavor | None:
        """The flavor for an order; None if it isn't known (yet)."""
        return pick(self.flavors.value or (), order, name)

    def refusal(self, order: Order, name: str | None) -> str | None:
        """Why no flavor is for this order, as far as is known."""
        if self.flavors.value is None or self.flavor_from_memory(order, name) is not None:
            return None
        return self._no_flavor(order, name)

    def _no_flavor(self, order: Order, name: str | None) -> str:
        known = [flavor.name for flavor in self.flavors.value or ()]
        if not order.need.cores and not order.need.ram:
            if not name:
                return f"flavor-name: missing, and the label has neither cpus nor ram ({choices(known)})"
            return f'flavor-name: "{name}" not found ({choices(known)})'
        part = f' with "{name}" in its name' if name else ""
        sizes = [f"{flavor.name} ({flavor.cores} cores, {flavor.ram} MiB)" for flavor in self.flavors.value or ()]
        return f"flavor-name: none{part} covers {order.need.cores:g} cores, {order.need.ram:g} MiB ({choices(sizes)})"

    # Networks

    def _read_networks(self, timeout: float | None = None) -> list[Json]:
        if not self._region.has("network"):
            return []
        listed = self._region.all("network", "/networks", "networks", timeout=timeout)
        networks = [raw for raw in listed if isinstance(raw.get("id"), str) and isinstance(raw.get("name"), str)]
        if listed and not networks:
            raise TryElsewhere(f"{self._place}: GET networks: no network can be read of {str(listed[0])[:80]}")
        return networks

    def network_ids(self, names: Sequence[str]) -> list[str]:
        """Ids of networks given by name or id."""
        return [self.network_id(name, "networks") for name in names]

    def network_id(self, name: str, option: str) -> str:
        """The id of one network."""
        if UUID.fullmatch(name):
            return name
        found = [raw for raw in self.networks.get() if raw["name"] == name]
        found = found or [raw for raw in self.networks.get(YOUNG) if raw["name"] == name]
        if len(found) != 1:
            fault = "is the name of several: give an id" if found else "not found"
            known = [raw["name"] for raw in self.networks.get()]
            raise WrongConfiguration(f'{self._place}.{option}: "{name}" {fault} ({choices(known)})')
        return str(found[0]["id"])

    def external_network_id(self, name: str | None) -> str:
        """Where floating IPs come from: as configured here, as `nat_source` in clouds.yaml, or the only one there is.

        Where neutron shows none, as to a project that may not see it, the one that a router of the project leads to.
        """
        if name:
            return self.network_id(name, "floating-ip-network")
        source = self._region.config.get_nat_source()
        if source:
            return self.network_id(source, "cloud: clouds.yaml: nat_source")
        shown = {str(raw["id"]): raw["name"] for raw in self.networks.get() if raw.get("router:external")}
        found = frozenset(shown) or self._routed.get()
        if len(found) != 1:
            names = choices(list(shown.values()))
            raise WrongConfiguration(f"{self._place}.floating-ip-network: missing, not one external network ({names})")
        return next(iter(found))

    def nat_destination(self) -> str | None:
        """The network that floating IPs lead to, if clouds.yaml names one."""
        name = self._region.config.get_nat_destination()
        return self.network_id(name, "cloud: clouds.yaml: nat_destination") if name else None

    def _read_routers(self) -> frozenset[str]:
        listed = self._region.all("network", "/routers", "routers")
        gateways = [raw.get("external_gateway_info") or {} for raw in listed if raw.get("admin_state_up", True)]
        return frozenset(str(gateway["network_id"]) for gateway in gateways if gateway.get("network_id"))

    def network_kinds(self) -> Networks:
        """Which networks lead outside, and how servers are reached.

        From memory, which `load` keeps up to date; servers are listed whatever becomes of networks.
        """
        if self.networks.value is None and time.monotonic() >= self._networks_due:
            self._networks_due = time.monotonic() + AGAIN
            with contextlib.suppress(DatacenterError):
                self.networks.put(self._read_networks(timeout=SOON))
        listed = self.networks.value
        config = self._region.config
        if self._kinds is None or self._kinds[0] is not listed or self._kinds[1] is not config:
            self._kinds = (listed, config, networks_of(listed or [], config.config))
        return self._kinds[2]

    # Images

    def image_id(self, image: str) -> str:
        """The id of an image given by name or id; of several with one name, the newest."""
        if UUID.fullmatch(image):
            return image
        with self._lock:
            kept = self._images.setdefault(image, Kept(lambda: self._read_image(image), self._region.identity))
        return kept.get()

    def _read_image(self, name: str) -> str:
        wanted = {"name": name, "status": "active", "sort": "created_at:desc", "limit": "1"}
        for page in self._region.pages("image", "/images", "images", wanted):
            for raw in page:
                return str(raw["id"])
            break
        known = [
            raw["name"] for raw in self._region.all("image", "/images", "images", {"status": "active"}) if raw["name"]
        ]
        raise WrongConfiguration(f'{self._place}: image "{name}" not found ({choices(known)})')


def _flavor(raw: Json) -> Flavor | None:
    """A flavor as nova lists it; None if that is not how nova does."""
    try:
        return Flavor(int(raw["ram"]), int(raw["vcpus"]), int(raw.get("disk") or 0), str(raw["name"]), str(raw["id"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _size(flavor: Flavor, need: Quota) -> tuple[float, Flavor]:
    """By what is asked for; if that is both, a core weighs as much as 4 GiB, or one with few of the one would count
    as small that has a great many of the other."""
    if not need.cores:
        return flavor.ram, flavor
    return (flavor.cores + flavor.ram / 4096 if need.ram else flavor.cores), flavor


def pick(flavors: Sequence[Flavor], order: Order, name: str | None) -> Flavor | None:
    """By name or id; if the order says how much it needs, the smallest that covers it and has the name in its own."""
    need = order.need
    if need.cores or need.ram:
        fitting = [f for f in flavors if f.ram >= need.ram and f.cores >= need.cores and (not name or name in f.name)]
        return min(fitting, key=lambda flavor: _size(flavor, need), default=None)
    return next((flavor for flavor in flavors if name in (flavor.name, flavor.id)), None)
