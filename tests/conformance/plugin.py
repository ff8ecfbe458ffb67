# SPDX-License-Identifier: Apache-2.0
"""pytest's plugin for a run of Nodepool's own tests: puts our driver in, and holds the list of exceptions to its word.

Loaded by `pytest -p plugin` in each process of `make conformance`, before anything of Nodepool loads its drivers. A
test of the list is expected to fail: one that passes fails the run, and so does one that fails and is not in it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

EXPECTED_TO_FAIL = "40"  # seconds; those that pass take 5 to 15
EXCEPTIONS = Path(__file__).with_name("exceptions.yaml")


def put_in_our_driver() -> None:
    """Upstream's tests say `nodepool.driver.fake.adapter.FakeAdapter`, its configurations `driver: fake`."""
    from zuul_suse.datacenter import kinds

    kinds.KINDS = {**kinds.KINDS, "openstack-twin": "twin"}  # before the options are made, which list the kinds
    import driver
    from nodepool.driver import Drivers
    from nodepool.driver.fake import adapter

    adapter.FakeAdapter = driver.TwinAdapter
    load_class = Drivers._load_class

    def ours_for_fake(name: str, path: str, parent: type) -> object:
        return driver.TwinDriver if name == "fake" else load_class(name, path, parent)

    Drivers._load_class = staticmethod(ours_for_fake)


def read_exceptions() -> dict[str, tuple[str, bool]]:
    """Test, as `module::Class::test`: why our driver doesn't do what it expects, and whether it is run all the same."""
    listed: dict[str, tuple[str, bool]] = {}
    for entry in yaml.safe_load(EXCEPTIONS.read_text()) or []:
        for test in entry["tests"]:
            if test in listed:
                raise pytest.UsageError(f"{EXCEPTIONS.name}: {test} is there twice")
            listed[test] = (" ".join(entry["reason"].split()), entry.get("run", True))
    return listed


def pytest_configure(config: pytest.Config) -> None:
    put_in_our_driver()


def name_of(item: pytest.Item) -> str:
    path, _, rest = item.nodeid.partition("::")
    return f"{Path(path).stem}::{rest}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    listed = read_exceptions()
    for item in items:
        found = listed.pop(name_of(item), None)
        if found is not None:
            item.add_marker(pytest.mark.xfail(reason=found[0], run=found[1], strict=True))
    if listed and not config.getoption("keyword") and config.getoption("whole_run"):
        raise pytest.UsageError(f"{EXCEPTIONS.name} lists tests that don't exist: {', '.join(listed)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that is expected to fail does so mostly by waiting for what never comes."""
    os.environ["OS_TEST_TIMEOUT"] = EXPECTED_TO_FAIL if item.get_closest_marker("xfail") else "120"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole-run", action="store_true", help="every listed exception must be among the tests")
