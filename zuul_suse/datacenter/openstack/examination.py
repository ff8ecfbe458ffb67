# SPDX-License-Identifier: Apache-2.0
"""Looks whether a region can be used, and explains what nova refused.

`run` is for `zuul-suse doctor`: it asks for what launches of these orders would need, the cheapest first, and stops
where nothing further can be learnt. `explained` is for a create that nova called wrong: it adds the valid choices.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zuul_suse.datacenter import DatacenterError, Finding, Gone, Order, Quota, WrongConfiguration
from zuul_suse.datacenter.openstack.catalog import Catalog, choices
from zuul_suse.datacenter.openstack.http import CONNECT_TIMEOUT
from zuul_suse.datacenter.openstack.options import Settings
from zuul_suse.datacenter.openstack.session import Region

CLOCKS_DIFFER = 60.0  # seconds; tokens and certificates are judged by clocks

# What nova says, in lower case, of something that an option names.
_MISSING = r"(multiple|not found|not be found|not exist|unable to find)"
_BLAMED = {
    option: re.compile(f"{thing}.*{_MISSING}|{_MISSING}.*{thing}")
    for option, thing in {
        ".security-groups": "security.?group",
        ".networks": "network",
        ".flavor-name": "flavor",
        ".key-name": "key.?(pair|_name)",
        ".volume-type": "volume.?type",
        "": "image",
    }.items()
}

Check = Callable[[], str]


class Examination:
    """See the module."""

    def __init__(self, name: str, region: Region, catalog: Catalog) -> None:
        self._name = name
        self._place = f"datacenters[{name}]"
        self._region = region
        self._catalog = catalog

    def run(
        self,
        orders: Sequence[Order],
        settings_of: Callable[[Order], Settings],
        quota: Callable[[], Quota],
        exposes: bool,
        options: Mapping[str, Any],
    ) -> Iterator[Finding]:
        """The findings, as they come."""
        try:
            self._region.session()
        except DatacenterError as error:
            yield Finding("configuration", False, str(error))
            return
        yield Finding("time-outs", True, f"{CONNECT_TIMEOUT:g} s to connect, {self._region.timeout:g} s to answer")
        try:
            clock = self._region.authenticate()
        except WrongConfiguration as error:
            yield Finding("authentication", False, str(error))
            return
        except DatacenterError as error:
            yield Finding("reachable", False, str(error))
            return
        yield Finding("authentication", True, f"project {self._region.project()}")
        try:
            yield Finding("reachable", True, f"compute {self._region.microversion()} at {self._region.url('compute')}")
        except DatacenterError as error:
            yield Finding("reachable", False, str(error))
            return
        yield _clock(clock)
        for check, look in self._looks(orders, settings_of, quota, exposes, options):
            yield from _found(check, look)

    def _looks(
        self,
        orders: Sequence[Order],
        settings_of: Callable[[Order], Settings],
        quota: Callable[[], Quota],
        exposes: bool,
        options: Mapping[str, Any],
    ) -> Iterator[tuple[str, Check]]:
        limits = functools.cache(quota)
        settings = {order.name: settings_of(order) for order in orders}
        yield "quota", lambda: self._quota(limits(), options)
        for order in orders:
            yield "flavors", lambda order=order: self._flavor(order, settings[order.name], limits)  # type: ignore[misc]
        for names in _distinct(settings, "networks"):
            yield "networks", lambda names=names: self._networks(names)  # type: ignore[misc]
        if exposes:
            name = options["floating-ip-network"]
            yield "floating IPs", lambda: self._floating(name)
        for image in sorted({order.image for order in orders if order.image}):
            yield "images", lambda image=image: f"{image} is {self._image(image)}"  # type: ignore[misc]
        keys = sorted({of["key-name"] for of in settings.values() if of["key-name"]})
        if not keys:
            yield "ssh key", lambda: "no key-name is configured: the image must know the key that logs in"
        for key in keys:
            yield "ssh key", lambda key=key: self._key(key)  # type: ignore[misc]
        for zones in _distinct(settings, "azs"):
            yield "zones", lambda zones=zones: self._zones(zones)  # type: ignore[misc]

    # Single looks: each returns what is well or raises what isn't

    def _quota(self, most: Quota, options: Mapping[str, Any]) -> str:
        wanted = options["max-servers"]
        if wanted is not None and wanted > most.instances:
            raise WrongConfiguration(f"max-servers: {wanted} is more than the project's quota: {most}")
        if most.instances < 1 or most.cores < 1 or most.ram < 1:
            raise WrongConfiguration(f"the project's quota leaves nothing: {most}")
        return str(most)

    def _flavor(self, order: Order, settings: Settings, limits: Callable[[], Quota]) -> str:
        flavor = self._catalog.flavor(order, settings["flavor-name"])
        most = limits()
        if not most.covers(flavor.need):
            raise WrongConfiguration(f"{order.name}: {flavor.name} takes {flavor.need}; the limit is {most}")
        return f"{order.name}: {flavor.name} ({flavor.cores} cores, {flavor.ram} MiB)"

    def _networks(self, names: list[str] | None) -> str:
        known = {raw["id"] for raw in self._catalog.networks.get()}
        if names is None:
            return "as the cloud decides: no networks are configured"
        for name, network in zip(names, self._catalog.network_ids(names), strict=True):
            if known and network not in known:
                listed = choices([raw["name"] for raw in self._catalog.networks.get()])
                raise WrongConfiguration(f'{self._place}.networks: "{name}" not found ({listed})')
        return ", ".join(names)

    def _floating(self, name: str | None) -> str:
        source, destination = self._catalog.external_network_id(name), self._catalog.nat_destination()
        return f"from network {source}" + (f" to network {destination}" if destination else "")

    def _image(self, image: str) -> str:
        image_id = self._catalog.image_id(image)
        try:
            status = self._region.get("image", f"/images/{image_id}")["status"]
        except Gone:
            raise WrongConfiguration(f'{self._place}: image "{image}" not found') from None
        if status != "active":
            raise WrongConfiguration(f'{self._place}: image "{image}" is {status}')
        return str(status)

    def _key(self, key: str) -> str:
        known = [raw["keypair"]["name"] for raw in self._region.all("compute", "/os-keypairs", "keypairs")]
        if key not in known:
            raise WrongConfiguration(f'{self._place}.key-name: "{key}" not found ({choices(known)})')
        return key

    def _zones(self, zones: list[str]) -> str:
        if not zones:
            return "as the cloud decides"
        listed = self._region.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
        known = [raw["zoneName"] for raw in listed if raw["zoneState"]["available"]]
        for zone in zones:
            if zone not in known:
                raise WrongConfiguration(f'{self._place}.azs: "{zone}" not found ({choices(known)})')
        return ", ".join(zones)

    # After a refusal

    def explained(self, error: DatacenterError, settings: Settings) -> DatacenterError:
        """The same error; if something that was configured is to blame, as such with its place, and with valid choices
        if it is a key pair or a zone."""
        text = str(error).lower()
        try:
            if "key_name" in text and settings["key-name"]:
                self._key(settings["key-name"])
            elif "availability zone" in text and settings["azs"]:
                self._zones(settings["azs"])
        except WrongConfiguration as better:
            return better
        except (DatacenterError, LookupError, TypeError):
            pass  # the refusal itself says enough
        option = next((option for option, pattern in _BLAMED.items() if pattern.search(text)), None)
        if option is None:
            return error
        return WrongConfiguration(f"{self._place}{option}: {error}")


def _distinct(settings: Mapping[str, Settings], option: str) -> list[Any]:
    """The different values of an option over all orders, in a stable order."""
    values: list[Any] = []
    for of in settings.values():
        if of[option] not in values:
            values.append(of[option])
    return values


def _found(check: str, look: Check) -> Iterable[Finding]:
    try:
        return [Finding(check, True, look())]
    except DatacenterError as error:
        return [Finding(check, False, str(error))]
    except (LookupError, TypeError) as error:
        return [Finding(check, False, f"the cloud's answer can't be read: {error!r}")]


def _clock(there: float | None) -> Finding:
    if there is None:
        return Finding("clock", True, "the cloud doesn't tell its time")
    ahead = there - time.time()
    detail = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return Finding("clock", abs(ahead) < CLOCKS_DIFFER, f"the cloud's is {detail}")
