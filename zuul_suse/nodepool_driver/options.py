# SPDX-License-Identifier: Apache-2.0
"""Every configuration key of a `driver: suse` provider: type, default and documentation in one entry.

The keys of one datacenter beyond DATACENTER stand in its kind's module. Read by `schema`, `config` and the docs.
"""

from __future__ import annotations

from zuul_suse.datacenter.kinds import DAY, KINDS, MANY, MOST_RAM, Option

LIGHT, HEAVY = 0.001, 1000.0  # weights beyond would decide all by themselves
IMAGE_TYPES = ("tar", "qcow2", "raw", "vhd")

PROVIDER = (
    Option(
        "name",
        str,
        "the provider's name; must not begin with `fake`, which Nodepool keeps for itself",
        required=True,
    ),
    Option("driver", str, "`suse`", required=True),
    Option("datacenters", list, "the places that run nodes, used as one", required=True),
    Option(
        "pools", list, "pools of labels; with none the provider only cleans up, before it is removed", required=True
    ),
    Option("diskimages", list, "built images that are uploaded to every datacenter", default=[]),
    Option("cloud-images", list, "images that the datacenters have already", default=[]),
    Option(
        "launch-retries",
        int,
        "how often a launch that failed in every datacenter is begun anew",
        default=3,
        least=0,
        most=100,
    ),
    Option(
        "launch-timeout", int, "seconds that a launch may take, over all datacenters", default=1800, least=1, most=DAY
    ),
    Option(
        "boot-timeout",
        int,
        "seconds from the create call to an address, and from there to ssh",
        default=180,
        least=1,
        most=DAY,
    ),
    Option(
        "max-concurrency", int, "requests handled at a time; -1: no limit, 0: none", default=-1, least=-1, most=MANY
    ),
    Option("priority", int, "of this provider among others; lower comes first", least=-MANY, most=MANY),
    Option(
        "patience",
        int,
        "seconds for which a request that fits nowhere lets smaller ones pass; then a datacenter is kept for it",
        default=60,
        least=0,
        most=DAY,
    ),
    Option("host-key-checking", bool, "whether host keys of nodes are collected", default=True),
    Option(
        "image-type",
        str,
        "format in which built images are uploaded where a datacenter says no other; default: its kind's own",
        choices=IMAGE_TYPES,
    ),
    Option("image-name-format", str, "name of an uploaded image", default="{image_name}-{timestamp}"),
    Option("post-upload-hook", str, "command that is run after an upload"),
)

DATACENTER = (
    Option("name", str, "the datacenter's name in logs, and the zone of its nodes", required=True),
    Option("kind", str, "what it is", required=True, choices=tuple(sorted(KINDS))),
    Option(
        "rate",
        float,
        "requests per second to its API; no more are made, whatever asks for them",
        default=10.0,
        least=0.01,
        most=10_000,
    ),
    Option(
        "creates",
        int,
        "create calls to it at a time, at the most; there are fewer where more of them take longer",
        default=8,
        least=1,
        most=1000,
    ),
    Option(
        "weight",
        float,
        "pull of this datacenter: twice as much takes it for twice as empty",
        default=1.0,
        least=LIGHT,
        most=HEAVY,
    ),
    Option(
        "image-type",
        str,
        "format in which built images are uploaded here; default: the provider's, else its kind's own",
        choices=IMAGE_TYPES,
    ),
)

_WHERE = (
    Option("datacenters", [str], "names of the datacenters that may be used; default: all"),
    Option(
        "weights",
        {str: float},
        "weights of datacenters by their names, in place of the datacenters' own",
        least=LIGHT,
        most=HEAVY,
    ),
)

_IMAGE_ACCESS = (
    Option("username", str, "the user that logs in; default: the built image's, else what Zuul's executor is set to"),
    Option("python-path", str, "Python on the node; `auto` lets Ansible look"),
    Option("shell-type", str, "Ansible's ansible_shell_type"),
    Option("connection-type", str, "Ansible's connection", default="ssh", choices=("ssh", "network_cli", "winrm")),
    Option("connection-port", int, "port to connect to; default: 22, with winrm 5986", least=1, most=65535),
)

DISKIMAGE = (
    Option("name", str, "a name from the diskimages at the top level", required=True),
    Option("pause", bool, "upload no new builds", default=False),
    Option("meta", dict, "metadata that the uploaded image gets", default={}),
    *_IMAGE_ACCESS,
)

CLOUD_IMAGE = (
    Option("name", str, "the name that labels use", required=True),
    Option("image", str, "the image's alias or id in the datacenters; default: the name"),
    Option("images", {str: str}, "the same for single datacenters, by their names, where it differs"),
    *_IMAGE_ACCESS,
)

POOL = (
    Option("name", str, "the pool's name", required=True),
    Option("labels", list, "labels that this pool offers", required=True),
    Option("max-servers", int, "how many nodes the pool may have; 0: it gets no more", least=0, most=MANY),
    Option("max-cores", int, "how many cores the pool's nodes may have", least=0, most=MANY),
    Option("max-ram", int, "how much RAM the pool's nodes may have, in MiB", least=0, most=MOST_RAM),
    Option("node-attributes", dict, "attributes that every node of the pool gets"),
    Option("priority", int, "of this pool among others; lower comes first", least=-MANY, most=MANY),
    Option("host-key-checking", bool, "whether host keys of nodes are collected; default: the provider's"),
    Option("use-internal-ip", bool, "connect to a node's private address", default=False),
    Option("console-log", bool, "whether the console of a server that doesn't boot goes to the log", default=False),
    *_WHERE,
)

LABEL = (
    Option("name", str, "a name from the labels at the top level", required=True),
    Option("diskimage", str, "a built image, from this provider's diskimages"),
    Option("cloud-image", str, "an existing image, from this provider's cloud-images"),
    Option("cpus", int, "cores of a node; default: what the datacenter gives", least=1, most=MANY),
    Option("ram", int, "RAM of a node in MiB; default: what the datacenter gives", least=1, most=MOST_RAM),
    Option("config", {str: str}, "further settings in the datacenter's own words", default={}),
    Option(
        "dynamic-instance-properties",
        {str: str},
        "further metadata of a server, in which `{request.NAME}` is an attribute of Nodepool's request",
        default={},
    ),
    Option("host-key-checking", bool, "whether host keys of nodes are collected; default: the pool's"),
    Option(
        "console-log", bool, "whether the console of a server that doesn't boot goes to the log; default: the pool's"
    ),
    *_WHERE,
    *(Option(kind, dict, f"options for datacenters of kind {kind}: see there") for kind in sorted(KINDS)),
)
