# SPDX-License-Identifier: Apache-2.0
"""The kinds of datacenters, by the name that stands in a configuration file.

A kind is a module with `OPTIONS`, `LABEL_OPTIONS`, `IMAGE_TYPE` and `open_datacenter`. It is imported
when it is asked for, so a launcher loads no SDK that it doesn't use. Called by the shells and by commands that check a
configuration.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from zuul_suse import extras
from zuul_suse.datacenter import Datacenter, WrongConfiguration

KINDS: Mapping[str, str] = {
    "fake": "zuul_suse.datacenter.fake",
    "incus": "zuul_suse.datacenter.incus",
    "openstack": "zuul_suse.datacenter.openstack",
}

# Bounds of options: what nobody means any more.
DAY = 86_400  # seconds
MANY = 1_000_000  # servers, cores, requests
MOST_RAM = 10_000_000_000  # MiB


@dataclass(frozen=True)
class Option:
    """One configuration key: type, default and documentation in one entry.

    Every number has bounds, `least` and `most`; they are those of the values where the type is a map. A float is more
    than 0, too.
    """

    name: str
    type: Any
    doc: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


class Kind(Protocol):
    """What a kind's module offers."""

    OPTIONS: tuple[Option, ...]  # keys of one of `datacenters`
    PROJECT: tuple[str, ...]  # those of them that together say which project it is, whose servers and quota are one
    IMAGE_TYPE: str  # the format of built images that it takes best
    LABEL_OPTIONS: tuple[Option, ...]  # keys of a label's map of the kind's name; they come as `Order.settings`

    def open_datacenter(self, name: str, options: Mapping[str, Any]) -> Datacenter:
        """Make a datacenter from validated options; must not touch the network."""


def load_kind(name: str) -> Kind:
    """The module of a kind.

    :raises WrongConfiguration: there is no such kind, or what it imports is not installed.
    """
    try:
        module = KINDS[name]
    except KeyError:
        raise WrongConfiguration(f'kind: "{name}" is not one of {", ".join(sorted(KINDS))}') from None
    with extras.needed("nodepool", WrongConfiguration, f'kind "{name}"'):
        return cast(Kind, importlib.import_module(module))


def with_defaults(options: tuple[Option, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, completed by the defaults of the options that are missing."""
    return {option.name: given.get(option.name, option.default) for option in options}
