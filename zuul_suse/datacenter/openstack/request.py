# SPDX-License-Identifier: Apache-2.0
"""An order as the body of nova's POST /servers. Pure; called by `openstack.create`."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping

from zuul_suse.datacenter import Order
from zuul_suse.datacenter.openstack.mark import KEYS, mark_of
from zuul_suse.datacenter.openstack.options import Settings
from zuul_suse.datacenter.openstack.session import Json

LONGEST = 255  # characters of a metadata value


class Zones:
    """Availability zones in turn; one per datacenter. A label's list is known by what is in it."""

    def __init__(self) -> None:
        self._turn = itertools.count()  # `next` on it is one step for all threads

    def next(self, zones: list[str]) -> str | None:
        """The zone for the next server, None if the cloud is to choose."""
        return zones[next(self._turn) % len(zones)] if zones else None


def short(values: Mapping[str, str]) -> dict[str, str]:
    """Metadata as nova takes it."""
    return {str(key)[:LONGEST]: str(value)[:LONGEST] for key, value in values.items()}


def server_body(
    order: Order,
    settings: Settings,
    flavor: str,
    image: str,
    networks: list[str] | None,
    zone: str | None,
    describes: bool = True,
) -> Json:
    """The whole request. Our own metadata beats what a label says, or servers would be nobody's.

    `describes`: whether the cloud knows descriptions of servers.
    """
    server: Json = {
        "name": order.name,
        "flavorRef": flavor,
        "metadata": short({**settings["instance-properties"], **order.config, **order.metadata}),
        "networks": "auto" if networks is None else [{"uuid": network} for network in networks],
    }
    mark = mark_of("", order.metadata) if all(key in order.metadata for key in KEYS) else None
    if describes and mark is not None:
        server["description"] = mark
    if settings["boot-from-volume"]:
        server["block_device_mapping_v2"] = [_root_volume(settings, image)]
    else:
        server["imageRef"] = image
    if settings["security-groups"]:
        server["security_groups"] = [{"name": name} for name in settings["security-groups"]]
    if settings["key-name"]:
        server["key_name"] = settings["key-name"]
    if settings["userdata"]:
        server["user_data"] = base64.b64encode(settings["userdata"].encode()).decode()
    if settings["config-drive"] is not None:
        server["config_drive"] = settings["config-drive"]
    if zone:
        server["availability_zone"] = zone
    body: Json = {"server": server}
    if settings["scheduler-hints"]:
        body["os:scheduler_hints"] = dict(settings["scheduler-hints"])
    return body


def _root_volume(settings: Settings, image: str) -> Json:
    volume: Json = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": settings["volume-size"],
        "delete_on_termination": True,
    }
    if settings["volume-type"]:
        volume["volume_type"] = settings["volume-type"]
    return volume
