# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - checks what anybody may have written
"""Reads a scenario from a YAML file and outages from the command line, and says in one line what is wrong with them.

Every key stands in an Option with its type, default and documentation; docs/simulation-scenario.yaml shows them all.
What the file leaves out is as in the default scenario. Called by `zuul-suse simulate`; reads that one file only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.datacenter.kinds import Option, with_defaults
from zuul_suse.simulation.scenario import (
    FAULTS,
    Label,
    Load,
    Outage,
    Scenario,
    Site,
    default_scenario,
    scaled_labels,
)

TIME = "time"  # the type of a text as 90s, 20m or 1.5h
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}

SCENARIO = (
    Option("hours", float, "how long requests come", default=24.0),
    Option("seed", int, "of all chance", default=1),
    Option(
        "ready", int, "nodes kept ready over all labels, in the proportion of their min-ready; default: 800, or the sum"
    ),
    Option("datacenters", list, "the datacenters; default: thirty of different size"),
    Option("labels", list, "what nodes are asked for as; default: five"),
    Option("load", dict, "the requests", default={}),
    Option("outages", list, "what goes wrong; default: each kind of fault once, if the datacenters are the default's"),
)
DATACENTER = (
    Option("name", str, "its name", required=True),
    Option("max-servers", int, "how many servers fit", required=True),
    Option("weight", float, "pulls nodes towards it", default=1.0),
    Option("rate", float, "requests per second that the fleet allows itself", default=10.0),
    Option("latency", float, "seconds that a call takes", default=0.15),
    Option("boot-time", float, "seconds until a server is active, as a rule", default=40.0),
    Option("foreign", int, "others' servers in it", default=2),
)
LABEL = (
    Option("name", str, "its name", required=True),
    Option("min-ready", int, "how many nodes are kept ready", default=0),
    Option("share", float, "its part of the load", default=1.0),
    Option("cpus", int, "cores of a node", default=4),
    Option("ram", int, "RAM of a node in MiB", default=8192),
    Option("datacenters", list, "where it is offered; default: everywhere"),
    Option("weights", dict, "pulls its nodes towards datacenters", default={}),
)
LOAD = (
    Option("requests-per-day", float, "how many requests come, bursts included", default=5000.0),
    Option("sizes", dict, "how often a request has so many nodes", default={1: 70, 2: 18, 3: 6, 5: 4, 8: 2}),
    Option("hold-time", TIME, "for how long nodes are used: the median of a lognormal", default="40m"),
    Option("hold-spread", float, "sigma of that lognormal", default=0.6),
    Option("bursts", int, "how often in office hours many requests come at once", default=6),
    Option("burst-size", int, "requests in a burst", default=40),
)
OUTAGE = (
    Option("fault", str, "what goes wrong", required=True, choices=FAULTS),
    Option("datacenters", list, "where", required=True),
    Option("at", TIME, "when it begins", required=True),
    Option("for", TIME, "how long it lasts", required=True),
    Option("share", float, "the part of calls or servers that it hits", default=1.0),
)
_TYPES = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a map", TIME: "a time"}


def seconds(text: Any, place: str) -> float:
    """A time as 90s, 20m or 1.5h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(text))
    if not found:
        raise WrongConfiguration(f"{place}: expected a time as 90s, 20m or 1.5h, not {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def _checked(given: Any, known: Sequence[Option], place: str) -> dict[str, Any]:
    """One map against its options, completed by defaults; times become seconds."""
    if not isinstance(given, dict):
        raise WrongConfiguration(f"{place}: expected a map, not {given!r}")
    names = [option.name for option in known]
    for key in given:
        if key not in names:
            raise WrongConfiguration(f'{place}: unknown key "{key}" (known: {", ".join(sorted(names))})')
    for option in known:
        if option.required and given.get(option.name) is None:
            raise WrongConfiguration(f"{place}: {option.name} is missing")
        if given.get(option.name) is not None:
            _check_value(given[option.name], option, f"{place}.{option.name}")
    values = with_defaults(tuple(known), given)
    for option in known:
        if option.type == TIME:
            values[option.name] = seconds(values[option.name], f"{place}.{option.name}")
    return values


def _check_value(value: Any, option: Option, place: str) -> None:
    if option.choices:
        if value not in option.choices:
            raise WrongConfiguration(f'{place}: "{value}" is not one of {", ".join(option.choices)}')
        return
    if option.type == TIME:
        seconds(value, place)
        return
    kinds = (int, float) if option.type is float else option.type
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise WrongConfiguration(f"{place}: expected {_TYPES[option.type]}, not {value!r}")
    if option.type in (int, float) and value < 0:
        raise WrongConfiguration(f"{place}: {value!r} is less than 0")
    if option.type is float and value == 0 and option.name not in ("requests-per-day", "share", "latency"):
        raise WrongConfiguration(f"{place}: {value!r} is not more than 0")


def _items(given: Any, known: Sequence[Option], place: str) -> list[dict[str, Any]]:
    """A list of maps; those with names have distinct ones."""
    if not isinstance(given, list):
        raise WrongConfiguration(f"{place}: expected a list, not {given!r}")
    items = []
    seen: set[object] = set()
    for index, item in enumerate(given):
        name = item.get("name", index) if isinstance(item, dict) else index
        items.append(_checked(item, known, f"{place}[{name}]"))
        if name in seen:
            raise WrongConfiguration(f'{place}: "{name}" is there twice')
        seen.add(name)
    return items


def _known_names(given: Any, names: Sequence[str], place: str) -> tuple[str, ...]:
    for name in given:
        if name not in names:
            raise WrongConfiguration(f'{place}: "{name}" is not one of the datacenters (has {", ".join(names)})')
    return tuple(given)


def _site(given: Mapping[str, Any]) -> Site:
    return Site(**{key.replace("-", "_"): value for key, value in given.items()})


def _label(given: Mapping[str, Any], names: Sequence[str], place: str) -> Label:
    values = {key.replace("-", "_"): value for key, value in given.items()}
    values["datacenters"] = _known_names(given["datacenters"] or (), names, f"{place}.datacenters")
    _known_names(given["weights"], names, f"{place}.weights")
    for name, weight in given["weights"].items():
        _check_value(weight, Option("weight", float, ""), f"{place}.weights.{name}")
    return Label(**values)


def _load(given: Any) -> Load:
    values = _checked(given, LOAD, "load")
    for size, often in values["sizes"].items():
        if not isinstance(size, int) or size < 1:
            raise WrongConfiguration(f"load.sizes: expected numbers of nodes, not {size!r}")
        _check_value(often, Option("share", float, ""), f"load.sizes.{size}")
    if sum(values["sizes"].values()) <= 0:
        raise WrongConfiguration("load.sizes: at least one must be more than 0")
    return Load(**{key.replace("-", "_"): value for key, value in values.items()})


def _outage(given: Mapping[str, Any], names: Sequence[str], place: str) -> Outage:
    where = _known_names(given["datacenters"], names, f"{place}.datacenters")
    if not 0 < given["share"] <= 1:
        raise WrongConfiguration(f"{place}.share: {given['share']!r} is not between 0 and 1")
    return Outage(given["fault"], where, given["at"], given["for"], given["share"])


def parse_outage(text: str, names: Sequence[str]) -> Outage:
    """An outage as FAULT:DATACENTER[,DATACENTER...]:AT:FOR, say unreachable:dc03,dc04:9h:90m."""
    parts = text.split(":")
    if len(parts) != 4:
        raise WrongConfiguration(
            f'--outage "{text}": expected FAULT:DATACENTER:AT:FOR (FAULT is one of {", ".join(FAULTS)})'
        )
    given = dict(zip(("fault", "datacenters", "at", "for"), parts, strict=True)) | {"datacenters": parts[1].split(",")}
    place = f'--outage "{text}"'
    return _outage(_checked(given, OUTAGE, place), names, place)


def parse(given: Any) -> Scenario:
    """A scenario from what YAML gave; raises WrongConfiguration for the first fault."""
    values = _checked({} if given is None else given, SCENARIO, "scenario")
    default = default_scenario(ready=800 if values["ready"] is None else values["ready"], hours=values["hours"])
    scenario = replace(default, seed=values["seed"], load=_load(values["load"]))
    if values["datacenters"] is not None:
        sites = [_site(item) for item in _items(values["datacenters"], DATACENTER, "datacenters")]
        if not sites:
            raise WrongConfiguration("datacenters: needs at least one")
        scenario = replace(scenario, sites=sites, outages=[])
    names = [site.name for site in scenario.sites]
    if values["labels"] is not None:
        items = _items(values["labels"], LABEL, "labels")
        if not sum(item["share"] for item in items):
            raise WrongConfiguration("labels: at least one must have a share of more than 0")
        scenario = replace(scenario, labels=[_label(item, names, f"labels[{item['name']}]") for item in items])
    if values["ready"] is not None:
        scenario = replace(scenario, labels=scaled_labels(scenario.labels, values["ready"]))
    if values["outages"] is not None:
        items = _items(values["outages"], OUTAGE, "outages")
        outages = [_outage(item, names, f"outages[{index}]") for index, item in enumerate(items)]
        scenario = replace(scenario, outages=outages)
    return scenario


def read(file: Path) -> Scenario:
    """The scenario in a file; the fault, if there is one, names the file."""
    try:
        return parse(yaml.safe_load(file.read_text()))
    except OSError as error:
        raise WrongConfiguration(f"{file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise WrongConfiguration(f"{file}: no YAML: {' '.join(str(error).split())}") from error
    except WrongConfiguration as error:
        raise WrongConfiguration(f"{file}: {error}") from error
