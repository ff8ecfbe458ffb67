# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - upstream's fake cloud has no types
"""A datacenter kind over the fake OpenStack that Nodepool ships for its own tests.

The fake cloud is upstream's and unchanged, with everything that upstream's tests do to it (quotas that shrink, creates
that fail, servers that go ERROR). What is ours is the border: a Datacenter as the fleet knows it, one per availability
zone, with foreign errors translated. A server's id in the fake cloud is its address in the fleet, so that tests which
compare a node's `external_id` with the cloud's ids find them equal. Loaded as kind `openstack-twin` in the processes
of `make conformance` only; ends with its adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openstack.exceptions import BadRequestException

from zuul_suse.datacenter import (
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
from zuul_suse.datacenter.kinds import Option

KIND = "openstack-twin"
OPTIONS = (Option("zone", str, "availability zone of the fake cloud"),)
PROJECT: tuple[str, ...] = ()
LABEL_OPTIONS = (
    Option("flavor-name", str, "part of a flavor's name"),
    Option("min-ram", int, "least RAM of the flavor"),
    Option("networks", list, "networks by name", default=[]),
    Option("security-groups", list, "security groups by name", default=[]),
    Option("key-name", str, "key"),
    Option("userdata", str, "user data"),
    Option("boot-from-volume", bool, "root disk on a volume", default=False),
    Option("volume-size", int, "its size", default=50),
    Option("instance-properties", dict, "metadata of the server", default={}),
)
IMAGE_ID = re.compile("[0-9a-f]{32}")
STATES = {"ACTIVE": ServerState.ACTIVE, "ERROR": ServerState.FAILED}


def translated(error: Exception) -> DatacenterError:
    """The border: what a real OpenStack says by status code, this one says by class and words."""
    if isinstance(error, DatacenterError):
        return error
    if "quota exceeded" in str(error).lower():
        return NoCapacity(str(error))
    if isinstance(error, BadRequestException):
        return WrongConfiguration(str(error))
    return TryElsewhere(str(error))


class TwinDatacenter(PlainDatacenter):
    """One zone of the fake cloud. `adapter` is set by the adapter that owns the cloud, before the first call."""

    adapter: Any

    def __init__(self, name: str, zone: str | None) -> None:
        self.name = name
        self._zone = zone
        self._flavors: list[Any] = []

    @property
    def _cloud(self) -> Any:
        return self.adapter._client

    def _mine(self) -> list[Any]:
        return [server for server in self._cloud.list_servers() if server.id.startswith(f"{self.name}/")]

    def _flavor(self, settings: Mapping[str, Any]) -> Any:
        flavors = sorted(self._cloud.list_flavors(), key=lambda flavor: (flavor["ram"], flavor["name"]))
        wanted, ram = settings.get("flavor-name") or "", settings.get("min-ram") or 0
        found = [flavor for flavor in flavors if wanted in flavor["name"] and flavor["ram"] >= ram]
        if not found:
            raise WrongConfiguration(f'{self.name}: no flavor "{wanted}" with {ram} MiB')
        return found[0]

    def need(self, order: Order) -> Quota:
        flavor = self._flavor(order.settings)
        return Quota(1, flavor["vcpus"], flavor["ram"])

    def refusal(self, order: Order) -> str | None:
        try:
            self._flavor(order.settings)
        except WrongConfiguration as error:
            return str(error)
        return None

    def create(self, order: Order) -> str:
        with self.gate("POST servers"):
            try:
                made = self.adapter._createServer(self._arguments(order))
            except Exception as error:
                # The SDK reports a server that went ERROR as an exception; the API itself has given its id before.
                server_id = getattr(error, "resource_id", None)
                if server_id is None:
                    raise translated(error) from error
                return self._named(server_id)
        return self._named(made.id)

    def _named(self, server_id: str) -> str:
        """Give the record in the cloud its address in the fleet."""
        for server in self._cloud.list_servers():
            if server.id == server_id:
                server.id = f"{self.name}/{server_id}"
        return str(server_id)

    def _arguments(self, order: Order) -> dict[str, Any]:
        settings = order.settings
        # Built images have ids. They were uploaded by the builder, whose fake cloud is another than the launcher's.
        if not IMAGE_ID.fullmatch(order.image) and self._cloud.get_image(order.image) is None:
            raise WrongConfiguration(f'{self.name}: image "{order.image}" not found')
        given: dict[str, Any] = {
            "name": order.name,
            "image": order.image,
            "flavor": self._flavor(settings),
            "nics": [{"net-id": self._cloud.get_network(name)["id"]} for name in settings.get("networks") or ()],
            "security_groups": list(settings.get("security-groups") or ()),
            "meta": {**settings.get("instance-properties", {}), **order.metadata},
        }
        if self._zone:
            given["availability_zone"] = self._zone
        if settings.get("key-name"):
            given["key_name"] = settings["key-name"]
        if settings.get("boot-from-volume"):
            given |= {"boot_from_volume": True, "terminate_volume": True}
            given["volume_size"] = settings.get("volume-size", 50)
        return given

    def _server(self, record: Any) -> Server:
        addresses = record.addresses or {}
        public = {entry["version"]: entry["addr"] for entry in addresses.get("public", ())}
        fault = record.get("fault")
        return Server(
            id=record.id.removeprefix(f"{self.name}/"),
            name=record.name,
            state=STATES.get(record.status, ServerState.BUILDING),
            ipv4=public.get(4) or record.private_v4,
            ipv6=public.get(6, ""),
            address=record.interface_ip,
            private_ipv4=record.private_v4,
            host=record.host_id,
            fault=fault["message"] if fault else None,
            need=Quota(1, record.flavor["vcpus"], record.flavor["ram"]),
            metadata={key: str(value) for key, value in record.metadata.items()},
        )

    def list_servers(self) -> Sequence[Server]:
        with self.gate("GET servers"):
            try:
                # A record that says DELETED is gone: real ones vanish from the list at that moment.
                return [self._server(record) for record in self._mine() if record.status != "DELETED"]
            except Exception as error:
                raise translated(error) from error

    def delete(self, server_id: str) -> None:
        address = f"{self.name}/{server_id}"
        with self.gate("DELETE servers"):
            found = [server for server in self._mine() if server.id == address]
            if not found or found[0].status == "DELETED":
                raise Gone(f"there is no server {server_id}")
            try:
                self.adapter._deleteServer(address)
            except Exception as error:
                raise translated(error) from error

    def limits(self) -> Quota:
        with self.gate("GET limits"):
            found = self._cloud.get_compute_limits()
            return Quota(found.max_total_instances, found.max_total_cores, found.max_total_ram_size)

    def upload_image(self, image: ImageFile) -> str:
        with self.gate("PUT images"):
            try:
                made = self._cloud.create_image(name=image.name, filename=str(image.path), **image.metadata)
            except Exception as error:
                raise translated(error) from error
        return str(made.id)

    def list_images(self) -> Sequence[Image]:
        ours = [image for image in self._cloud.list_images() if hasattr(image, "_kw")]
        return [Image(image.id, image.name, {k: str(v) for k, v in image._kw.items()}) for image in ours]

    def find_image(self, image_id: str) -> Image:
        found = next((image for image in self.list_images() if image.id == image_id), None)
        if found is None:
            raise Gone(f"there is no image {image_id}")
        return found

    def delete_image(self, image_id: str) -> None:
        with self.gate("DELETE images"):
            if self._cloud.get_image(image_id) is None:
                raise Gone(f"there is no image {image_id}")
            try:
                self._cloud.delete_image(image_id)
            except Exception as error:
                raise translated(error) from error

    def console_log(self, server_id: str) -> str:
        with self.gate("POST console"):
            return self._cloud.get_server_console(f"{self.name}/{server_id}") or ""

    def examine(self, orders: Sequence[Order]) -> Iterator[Finding]:
        yield Finding("reachable", True, "in this process")

    def close(self) -> None:
        """Nothing is open."""


def open_datacenter(name: str, options: Mapping[str, Any]) -> TwinDatacenter:
    return TwinDatacenter(name, options.get("zone"))
