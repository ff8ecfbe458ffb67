# SPDX-License-Identifier: Apache-2.0
"""An order as the body of nova's POST /servers. Pure; called by `openstack.create`."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from zuul_suse.datacenter import Order, WrongConfiguration
from zuul_suse.datacenter.openstack.mark import KEYS, mark_of
from zuul_suse.datacenter.openstack.microversion import DESCRIPTION, NETWORKS_AUTO, OURS, VOLUME_TYPE, Version
from zuul_suse.datacenter.openstack.options import Settings
from zuul_suse.datacenter.openstack.session import Json

LONGEST = 255  # characters of a metadata value, and of a server's name
UNMARKED = "a server of zuul-suse"  # its description, where the names in a mark are too long


class Zones:
    """Availability zones in turn; one per datacenter. Each label, which is whatever tells it from others, and each list
    of zones has a turn of its own."""

    REMEMBERED = 1000  # turns; a built image makes a label another one

    def __init__(self) -> None:
        self._lock = threading.Lock()  # worker threads create servers
        self._turns: OrderedDict[object, int] = OrderedDict()

    def next(self, zones: Sequence[str], label: object = None) -> str | None:
        """The zone for the next server, None if the cloud is to choose. `label` can be hashed."""
        if not zones:
            return None
        key = (label, *zones)
        with self._lock:
            turn = self._turns.pop(key, 0)
            self._turns[key] = turn + 1
            while len(self._turns) > self.REMEMBERED:
                self._turns.popitem(last=False)
        return zones[turn % len(zones)]


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
    version: Version = OURS,
) -> Json:
    """The whole request. Our own metadata beats what a label says, or servers would be nobody's.

    `version`: nova's microversion that is spoken.
    """
    server: Json = {
        "name": order.name[-LONGEST:],
        "flavorRef": flavor,
        "metadata": short({**settings["instance-properties"], **order.config}) | short(order.metadata),
    }
    server |= _networks(networks, version)
    if version >= DESCRIPTION and all(key in order.metadata for key in KEYS):
        server["description"] = mark_of("", order.metadata) or UNMARKED
    if settings["boot-from-volume"]:
        server["block_device_mapping_v2"] = [_root_volume(settings, image, version)]
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


def _networks(networks: list[str] | None, version: Version) -> Json:
    """Without a word about them an older nova takes the only one."""
    if networks is not None:
        return {"networks": [{"uuid": network} for network in networks]}
    return {"networks": "auto"} if version >= NETWORKS_AUTO else {}


def _root_volume(settings: Settings, image: str, version: Version) -> Json:
    volume: Json = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": settings["volume-size"],
        "delete_on_termination": True,
    }
    if settings["volume-type"]:
        if version < VOLUME_TYPE:
            spoken, needed = ("{}.{}".format(*one) for one in (version, VOLUME_TYPE))
            raise WrongConfiguration(f"volume-type: the cloud's compute API is {spoken}, this needs {needed}")
        volume["volume_type"] = settings["volume-type"]
    return volume
