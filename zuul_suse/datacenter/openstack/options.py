# SPDX-License-Identifier: Apache-2.0
"""Every configuration key of the kind `openstack`: type, default and documentation in one entry.

What a label may say in its map `openstack:`, a datacenter may say for all labels that don't. Read by `openstack` and
by the shell that checks configurations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zuul_suse.datacenter.kinds import DAY, MANY, MOST_RAM, Option, with_defaults

LABEL_OPTIONS = (
    Option("flavor-name", str, "name or id of the flavor; with `cpus` or `ram`: a part of the names to choose from"),
    Option("networks", [str], "names or ids of the networks that a server is on; default: the only one there is"),
    Option("security-groups", [str], "names or ids of security groups; default: the project's `default`", default=[]),
    Option("key-name", str, "name of the key pair that may log in"),
    Option("userdata", str, "user data, say for cloud-init"),
    Option("config-drive", bool, "whether a server gets a configuration drive; default: as the cloud decides"),
    Option(
        "azs",
        [str],
        "availability zones, taken in turn by a label's servers; default: as the cloud decides",
        default=[],
    ),
    Option("boot-from-volume", bool, "whether the root disk is a volume made of the image", default=False),
    Option("volume-size", int, "size of that volume in GB", default=50, least=1, most=MANY),
    Option("volume-type", str, "type of that volume; default: the cloud's"),
    Option("instance-properties", {str: str}, "further metadata of a server", default={}),
    Option("scheduler-hints", {str: str}, "hints to nova's scheduler, say `group: <id of a server group>`", default={}),
)

OPTIONS = (
    Option("cloud", str, "the cloud's name in clouds.yaml", required=True),
    Option("region-name", str, "the region, if the cloud has several"),
    Option("clouds-file", str, "path of clouds.yaml; default: where openstacksdk looks, and OS_CLIENT_CONFIG_FILE"),
    Option("timeout", int, "seconds until a request counts as failed", default=60, least=1, most=3600),
    Option(
        "upload-timeout",
        int,
        "seconds until an image that was uploaded must be active",
        default=3600,
        least=1,
        most=DAY,
    ),
    Option("auto-floating-ip", bool, "give every server a floating IP; default: only with floating-ip-network"),
    Option(
        "floating-ip-network",
        str,
        "network of the floating IPs; default: `nat_source` in clouds.yaml, else the only external one",
    ),
    Option("prefer-ipv6", bool, "connect to a server's IPv6 address where it has one", default=False),
    Option("ignore-quota", bool, "take the project's quota for infinite", default=False),
    Option(
        "max-servers",
        int,
        "how many servers may exist in the project, 0: no more are made; default: its quota",
        least=0,
        most=MANY,
    ),
    Option("max-cores", int, "how many cores all servers may have; default: the project's quota", least=0, most=MANY),
    Option(
        "max-ram",
        int,
        "how much RAM all servers may have, in MiB; default: the project's quota",
        least=0,
        most=MOST_RAM,
    ),
    *LABEL_OPTIONS,
)

PROJECT = ("cloud", "region-name", "clouds-file")

Settings = Mapping[str, Any]


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A datacenter's options, completed by defaults."""
    return with_defaults(OPTIONS, options)


def settings_of(defaults: Settings, label: Settings) -> Settings:
    """A label's options over its datacenter's."""
    return {option.name: label.get(option.name, defaults[option.name]) for option in LABEL_OPTIONS}
