# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - checks what anybody may have written
"""Checks a provider's section of nodepool.yaml and says what is wrong in one line: place, fault, valid choices.

`Schema` is what `nodepool config-validate` is given; a launcher that loads the file calls the same `check`. Touches
neither network nor file. Voluptuous finds the faults, this module words the first of them.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import voluptuous as v

from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.datacenter.kinds import KINDS, Option, load_kind, with_defaults
from zuul_suse.nodepool_driver import options

Path = tuple[str | int, ...]

_LISTS: Mapping[str, tuple[Option, ...]] = {
    "diskimages": options.DISKIMAGE,
    "cloud-images": options.CLOUD_IMAGE,
    "pools": options.POOL,
    "labels": options.LABEL,
}
_TYPES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a map",
}


def place(provider: Any, path: Sequence[Any]) -> str:
    """Where in the file: list items by their name where they have one, as `providers[x].pools[main].labels`."""
    text, here = f"providers[{_name(provider, '?')}]", provider
    for step in path:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            text += f"[{_name(here, step)}]"
        else:
            here = here.get(step) if isinstance(here, dict) else None
            text += f".{step}"
    return text


def _name(item: Any, otherwise: object) -> object:
    return item.get("name", otherwise) if isinstance(item, dict) else otherwise


def wrong(provider: Any, path: Sequence[Any], fault: str) -> WrongConfiguration:
    """The error to raise."""
    return WrongConfiguration(f"{place(provider, path)}: {fault}")


def _checked(option: Option) -> Any:
    """The voluptuous schema of one value."""
    if option.choices:
        return v.All(str, v.In(option.choices))
    if isinstance(option.type, dict):
        return {key: _checked_type(value, option) for key, value in option.type.items()}
    return _checked_type(option.type, option)


def _checked_type(kind: Any, option: Option) -> Any:
    if kind is int:
        return v.All(int, lambda value: _bounded(value, option))
    if kind is float:
        return v.All(v.Any(int, float), lambda value: _bounded(value, option, positive=True))
    return kind


def _bounded(value: Any, option: Option, positive: bool = False) -> Any:
    """A number within the option's bounds; to Python a bool is an int, and .nan and .inf are floats."""
    if isinstance(value, bool):
        raise v.Invalid("expected a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise v.RangeInvalid("is not finite")
    if positive and value <= 0:
        raise v.RangeInvalid("is not more than 0")
    if option.least is not None and value < option.least:
        raise v.RangeInvalid(f"is less than {option.least}")
    if option.most is not None and value > option.most:
        raise v.RangeInvalid(f"is more than {option.most}")
    return value


def _check_keys(provider: Any, path: Path, given: Any, known: Sequence[Option]) -> None:
    """One map against its options, or the first fault in it."""
    if not isinstance(given, dict):
        raise wrong(provider, path, f"expected a map, not {given!r}")
    names = [option.name for option in known]
    for key in given:
        if key not in names:
            raise wrong(provider, path, f'unknown key "{key}" (known: {", ".join(sorted(names))})')
    for option in known:
        if option.required and given.get(option.name) is None:
            raise wrong(provider, path, f"{option.name} is missing")
        if option.name in given:
            _check_value(provider, (*path, option.name), given[option.name], option)


def _check_value(provider: Any, path: Path, value: Any, option: Option) -> None:
    try:
        v.Schema(_checked(option))(value)
    except v.MultipleInvalid as error:
        fault = error.errors[0]
        if option.choices:
            text = f'"{value}" is not one of {", ".join(option.choices)}'
        elif isinstance(fault, v.RangeInvalid):
            text = f"{_shown(_at(value, fault.path))} {fault.error_message}"
        elif isinstance(option.type, dict) and float in option.type.values():
            text = f"expected a map of names to numbers, not {value!r}"
        elif isinstance(option.type, type):
            text = f"expected {_TYPES[option.type]}, not {value!r}"
        else:
            text = f"expected texts only, not {value!r} (put quotes around numbers and booleans)"
        raise wrong(provider, path, text) from error


def _shown(number: float) -> str:
    """A number that may have any length."""
    try:
        text = repr(number)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) < 40 else f"{text[:20]}... ({len(text)} digits)"


def _at(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = value[step]
    return value


def _check_items(provider: Any, path: Path, items: Any, known: Sequence[Option]) -> None:
    """A list of maps with distinct names."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        _check_keys(provider, (*path, index), item, known)
        if item["name"] in seen:
            raise wrong(provider, path, f'"{item["name"]}" is there twice')
        seen.add(item["name"])


def check(provider: Any) -> None:
    """Raise WrongConfiguration for the first fault."""
    _check_keys(provider, (), provider, options.PROVIDER)
    _check_datacenters(provider)
    for key in ("diskimages", "cloud-images", "pools"):
        _check_items(provider, (key,), provider.get(key, []), _LISTS[key])
    if not provider["datacenters"]:
        raise wrong(provider, ("datacenters",), "needs at least one")
    for index, image in enumerate(provider.get("cloud-images", [])):
        _check_names(provider, ("cloud-images", index, "images"), image.get("images", {}))
    for index, pool in enumerate(provider["pools"]):
        path = ("pools", index, "labels")
        _check_where(provider, path[:-1], pool)
        _check_items(provider, path, pool["labels"], options.LABEL)
        for number, label in enumerate(pool["labels"]):
            _check_image_of(provider, (*path, number), label)
            _check_where(provider, (*path, number), label)
            for kind in sorted(set(KINDS) & set(label)):
                _check_keys(provider, (*path, number, kind), label[kind], load_kind(kind).LABEL_OPTIONS)


def _check_where(provider: Any, path: Path, given: Mapping[str, Any]) -> None:
    """Datacenters that a pool or label names are there."""
    for key in ("datacenters", "weights"):
        _check_names(provider, (*path, key), given.get(key) or ())
    if given.get("datacenters") == []:
        raise wrong(provider, (*path, "datacenters"), "needs at least one")


def _check_names(provider: Any, path: Path, names: Iterable[str]) -> None:
    known = [datacenter["name"] for datacenter in provider["datacenters"]]
    for name in names:
        if name not in known:
            raise wrong(provider, path, f'"{name}" is not one of the datacenters {", ".join(known)}')


def _check_datacenters(provider: Any) -> None:
    for index, given in enumerate(provider["datacenters"]):
        path = ("datacenters", index)
        if not isinstance(given, dict):
            raise wrong(provider, path, f"expected a map, not {given!r}")
        # The kind decides which further keys there are.
        common = {option.name for option in options.DATACENTER}
        _check_keys(provider, path, {k: x for k, x in given.items() if k in common}, options.DATACENTER)
        if any(char in given["name"] for char in "/= "):
            raise wrong(provider, path, 'its name must have none of "/", "=" and space')
        _check_keys(provider, path, given, options.DATACENTER + load_kind(given["kind"]).OPTIONS)
    names = [given["name"] for given in provider["datacenters"]]
    for name in names:
        if names.count(name) > 1:
            raise wrong(provider, ("datacenters",), f'"{name}" is there twice')
    _check_projects(provider)


def _check_projects(provider: Any) -> None:
    """No two datacenters are one project: its quota would count twice."""
    known: dict[tuple[str, ...], str] = {}
    for index, given in enumerate(provider["datacenters"]):
        kind = load_kind(given["kind"])
        values = with_defaults(kind.OPTIONS, given)
        if not kind.PROJECT:
            continue
        project = (given["kind"], *(os.path.normpath(str(values[key] or "")) for key in kind.PROJECT))
        other = known.setdefault(project, given["name"])
        if other != given["name"]:
            same, last = ", ".join(kind.PROJECT[:-1]), kind.PROJECT[-1]
            way = (
                f"let labels' maps {given['kind']} choose what differs" if kind.LABEL_OPTIONS else "use other projects"
            )
            fault = f"is the same project as datacenters[{other}] ({same} and {last}) and would count twice: "
            raise wrong(provider, ("datacenters", index), f"{fault}keep one, and {way}")


def _check_image_of(provider: Any, path: Path, label: Mapping[str, Any]) -> None:
    """A label names exactly one image, and the provider has it."""
    kinds = [key for key in ("diskimage", "cloud-image") if key in label]
    if len(kinds) != 1:
        raise wrong(provider, path, "needs one of diskimage, cloud-image" + (", not both" if kinds else ""))
    known = [image["name"] for image in provider.get(f"{kinds[0]}s", [])]
    if label[kinds[0]] not in known:
        fault = f'"{label[kinds[0]]}" is not in {kinds[0]}s of this provider (has {", ".join(known) or "none"})'
        raise wrong(provider, (*path, kinds[0]), fault)


class Schema:
    """Stands in for a voluptuous schema in Nodepool's validator, which extends it and calls it."""

    def extend(self, _common: object) -> Schema:
        """Nodepool's common keys are in our options already."""
        return self

    def __call__(self, provider: Any) -> Any:
        _say_it_in_one_line()
        check(provider)
        return provider


class _OneLine(logging.Filter):
    """Nodepool's validator logs a traceback for every fault; ours is a fault of the file and needs none."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, WrongConfiguration):
            record.msg, record.args, record.exc_info = str(error), (), None
        return True


def _say_it_in_one_line() -> None:
    log = logging.getLogger("nodepool.cmd.config_validator")
    if not any(isinstance(known, _OneLine) for known in log.filters):
        log.addFilter(_OneLine())


def all_options() -> Iterator[tuple[str, Option]]:
    """Every option with the section it stands in, for the docs."""
    sections = {"provider": options.PROVIDER, "datacenter": options.DATACENTER} | dict(_LISTS)
    for name in sorted(KINDS):
        kind = load_kind(name)
        sections[f"datacenter of kind {name}"] = kind.OPTIONS
        sections[f"label, in its map {name}"] = kind.LABEL_OPTIONS
    for section, known in sections.items():
        for option in known:
            yield section, option
