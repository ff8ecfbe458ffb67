# SPDX-License-Identifier: Apache-2.0
"""The table that leads from Nodepool's own openstack driver to ours is complete and names what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import voluptuous as v
from nodepool.driver.openstack.config import OpenStackProviderConfig

from zuul_suse.nodepool_driver.schema import all_options

TABLE = Path(__file__).parents[2] / "docs" / "openstack-options.rst"
OURS = re.compile(r"([a-z, -]+): ``([a-z-]+)``")


def walk(schema: object, above: str = "") -> Iterator[str]:
    """Every key of a schema, with those above it."""
    if isinstance(schema, v.Schema):
        schema = schema.schema
    if isinstance(schema, dict):
        for key, value in schema.items():
            name = above + str(key.schema if isinstance(key, v.Marker) else key)
            yield name
            yield from walk(value, f"{name}.")
    elif isinstance(schema, list):
        for item in schema:
            yield from walk(item, above)
    elif isinstance(schema, v.All | v.Any):
        for part in schema.validators:
            yield from walk(part, above)


def builtin_keys() -> set[str]:
    driver = SimpleNamespace(openstack_config=None)
    return set(walk(OpenStackProviderConfig(driver, {"name": "x", "driver": "openstack"}).getSchema()))


def rows() -> dict[str, tuple[str, str]]:
    """Built-in key: our option, remark."""
    found: dict[str, tuple[str, str]] = {}
    for row in re.split(r"\n   \* - ", TABLE.read_text())[2:]:
        key, ours, remark = (" ".join(cell.split()) for cell in re.split(r"\n     -", row, maxsplit=2))
        assert key not in found, f"{key} is there twice"
        found[key.strip("`")] = (ours, remark.split(" Beyond that driver")[0])
    return found


def test_walk_sees_more_than_the_top() -> None:
    keys = builtin_keys()
    assert {"rate", "pools.labels.min-ram", "cloud-images.image-id", "pools.availability-zones"} < keys
    assert len(keys) > 60


def test_every_key_of_the_builtin_driver_has_a_row_and_no_other() -> None:
    assert set(rows()) == builtin_keys()


@pytest.mark.parametrize("key", sorted(rows()))
def test_row_names_options_that_exist_or_says_why_not(key: str) -> None:
    known = {(section, option.name) for section, option in all_options()}
    ours, remark = rows()[key]
    if ours == "none":
        assert len(remark) > 10
        return
    assert OURS.fullmatch(ours), ours
    also = re.findall(r"datacenter of kind openstack: ``[a-z-]+``", remark)
    for section, name in OURS.findall("\n".join([ours, *also])):
        assert (section.strip(" ,"), name) in known
