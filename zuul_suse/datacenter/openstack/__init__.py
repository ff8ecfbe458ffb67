# SPDX-License-Identifier: Apache-2.0
"""One OpenStack region: the kind `openstack`. This package is the only user of openstacksdk.

A create is one POST, a delete one DELETE, a list one GET, nothing is read back; what a create needs to know beside its
order (ids of flavors, networks, images) is kept in memory. The constructor reads nothing and contacts nobody, so a
wrong clouds.yaml is told by the first call. Methods are called by many threads at once; `close` drops connections.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zuul_suse.datacenter import (
    UNLIMITED,
    Belonging,
    Datacenter,
    DatacenterError,
    Finding,
    Gate,
    Gone,
    Image,
    ImageFile,
    Order,
    Quota,
    Server,
    ServerState,
    TryElsewhere,
    WrongConfiguration,
    no_gate,
)
from zuul_suse.datacenter.openstack.belongings import BELONGING_KINDS, Belongings, Ours
from zuul_suse.datacenter.openstack.catalog import Catalog
from zuul_suse.datacenter.openstack.examination import Examination
from zuul_suse.datacenter.openstack.floating import FloatingIPs
from zuul_suse.datacenter.openstack.images import Images
from zuul_suse.datacenter.openstack.mark import KEYS, mark_of
from zuul_suse.datacenter.openstack.options import (
    LABEL_OPTIONS,
    OPTIONS,
    PROJECT,
    Settings,
    given_options,
    settings_of,
)
from zuul_suse.datacenter.openstack.request import LONGEST, Zones, server_body
from zuul_suse.datacenter.openstack.servers import ServerList, View
from zuul_suse.datacenter.openstack.session import Region

__all__ = ["IMAGE_TYPE", "LABEL_OPTIONS", "OPTIONS", "PROJECT", "OpenStackDatacenter", "open_datacenter"]

IMAGE_TYPE = "qcow2"
ID_LENGTH = 36  # of a server's


class OpenStackDatacenter:
    """See the module."""

    gate: Gate = staticmethod(no_gate)
    belonging_kinds: tuple[str, ...] = BELONGING_KINDS
    log: logging.Logger | logging.LoggerAdapter[Any] = logging.getLogger("zuul_suse.datacenter")

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        given = given_options(options)
        self._options = given
        self.exposes = bool(given["floating-ip-network"])
        if given["auto-floating-ip"] is not None:
            self.exposes = given["auto-floating-ip"]
        place = f"datacenters[{name}]"
        self._region = Region(
            name,
            given["cloud"],
            given["region-name"],
            given["clouds-file"],
            given["timeout"],
            lambda call: self.gate(call),  # the fleet sets it later, and the log
            lambda text: self.log.warning(text),
        )
        self._catalog = Catalog(place, self._region)
        self._ours = Ours()
        self._servers = ServerList(self._region, self._ours.saw)
        self._floating = FloatingIPs(name, self._region, self._catalog, given["floating-ip-network"])
        self._belongings = Belongings(self._region, self._ours, self._floating, self._alive)
        self._images = Images(name, self._region, given["upload-timeout"])
        self._zones = Zones()

    def _settings(self, order: Order) -> Settings:
        return settings_of(self._options, order.settings)

    # Sizes

    def need(self, order: Order) -> Quota:
        flavor = self._catalog.flavor_from_memory(order, self._settings(order)["flavor-name"])
        return flavor.need if flavor else order.need

    def refusal(self, order: Order) -> str | None:
        return self._catalog.refusal(order, self._settings(order)["flavor-name"])

    def limits(self) -> Quota:
        """The project's quota, within what the configuration allows; also loads what lists and `need` take from memory,
        and goes without what fails there."""
        try:
            quota = self._quota()
        finally:
            self._catalog.load()
        caps = [self._options[f"max-{what}"] for what in ("servers", "cores", "ram")]
        most = [math.inf if cap is None else cap for cap in caps]
        return Quota(min(quota.instances, most[0]), min(quota.cores, most[1]), min(quota.ram, most[2]))

    def _quota(self) -> Quota:
        if self._options["ignore-quota"]:
            return UNLIMITED
        try:
            limits = self._region.get("compute", "/limits").get("limits")
        except WrongConfiguration as error:
            raise WrongConfiguration(f"{error}; `ignore-quota: true` does without the project's quota") from error
        absolute = limits.get("absolute") if isinstance(limits, dict) else None
        if not isinstance(absolute, dict):
            raise TryElsewhere(f"{self.name}: GET limits: the answer has no limits.absolute")
        return Quota(*(self._bound(absolute, f"maxTotal{what}") for what in ("Instances", "Cores", "RAMSize")))

    def _bound(self, absolute: Mapping[str, Any], name: str) -> float:
        """Nova writes -1 where there is no limit."""
        value = str(absolute.get(name))
        if not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise TryElsewhere(f"{self.name}: GET limits: {name} is no whole number: {value[:40]!r}")
        return math.inf if int(value) < 0 else int(value)

    # Servers

    def create(self, order: Order) -> str:
        """One POST, once names were looked up."""
        settings = self._settings(order)
        self._check_names(order)
        flavor = self._catalog.flavor(order, settings["flavor-name"])
        networks = settings["networks"]
        ids = None if networks is None else self._catalog.network_ids(networks)
        image = self._catalog.image_id(order.image)
        zone = self._zones.next(settings["azs"], (order.image, order.need, repr(order.settings)))
        body = server_body(order, settings, flavor.id, image, ids, zone, self._region.compute_version())
        try:
            answer = self._region.call("compute", "POST", "/servers", json=body)
        except (WrongConfiguration, Gone) as error:
            self._catalog.forget()
            told = Examination(self.name, self._region, self._catalog).explained(error, settings)
            raise (TryElsewhere(str(told)) if isinstance(told, Gone) else told) from error
        (server_id,) = self._region.made(answer, "server", "id")
        metadata = body["server"]["metadata"]
        self._ours.made(server_id, metadata)
        self._servers.add(
            Server(server_id, order.name, ServerState.BUILDING, need=flavor.need, metadata=metadata),
        )
        return server_id

    def _check_names(self, order: Order) -> None:
        """Names by which a server, or its floating IP, could not be known as ours again."""
        for key in KEYS:
            if len(order.metadata.get(key, "")) > LONGEST:
                raise WrongConfiguration(f"{self.name}: {key} is longer than {LONGEST} characters")
        if self.exposes and mark_of("-" * ID_LENGTH, order.metadata) is None:
            raise WrongConfiguration(f"{self.name}: the provider's name is too long to mark a floating IP with it")

    def expose(self, server_id: str) -> Server:
        known = self._servers.get(server_id)
        if known is not None and known.ipv4:
            return known
        metadata = self._ours.metadata(server_id)
        if known is None or metadata is None:  # an address without the node's mark would never be found again
            raise Gone(f"{self.name}: server {server_id} is not there, or not ours")
        given = self._floating.attach(server_id, metadata)
        return self._servers.expose(known, given.address, given.fixed)

    def list_servers(self) -> Sequence[Server]:
        view = View(
            networks=self._catalog.network_kinds(),
            prefer_ipv6=self._options["prefer-ipv6"],
            exposes=self.exposes,
            sizes=self._catalog.sizes(),
        )
        return self._servers.refresh(view)

    def delete(self, server_id: str) -> None:
        """Its floating IP first, for nova would leave it; what fails there is found again by its mark."""
        with contextlib.suppress(DatacenterError):
            self._floating.detach(server_id)
        self._region.call("compute", "DELETE", f"/servers/{server_id}")

    def console_log(self, server_id: str) -> str:
        answer = self._region.call("compute", "POST", f"/servers/{server_id}/action", json={"os-getConsoleOutput": {}})
        return str(self._region.json(answer).get("output") or "")

    # Images

    def upload_image(self, image: ImageFile) -> str:
        return self._images.upload(image)

    def list_images(self) -> Sequence[Image]:
        return self._images.ours()

    def find_image(self, image_id: str) -> Image:
        return self._images.find(image_id)

    def delete_image(self, image_id: str) -> None:
        self._images.delete(image_id)

    # What servers leave behind

    def _alive(self) -> set[str]:
        """Servers of now: the list of a poller may be older than the port that is judged by it."""
        return {server["id"] for server in self._region.all("compute", "/servers", "servers")}

    def list_belongings(self, kind: str) -> Sequence[Belonging]:
        return self._belongings.find(kind)

    def delete_belonging(self, belonging: Belonging) -> None:
        self._belongings.delete(belonging)

    def examine(self, orders: Sequence[Order]) -> Iterator[Finding]:
        examination = Examination(self.name, self._region, self._catalog)
        return examination.run(orders, self._settings, self._quota, self.exposes, self._options)

    def close(self) -> None:
        self._region.close()


def open_datacenter(name: str, options: Mapping[str, Any]) -> Datacenter:
    """See `kinds.Kind`."""
    return OpenStackDatacenter(name, options)
