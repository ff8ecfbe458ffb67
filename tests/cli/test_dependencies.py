# SPDX-License-Identifier: Apache-2.0
"""What the package imports is what pyproject.toml asks for, extra by extra: nothing comes by chance, or for nothing."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLAIN = ""
# Part of the package → extra that brings what it imports; the longest that fits holds.
PARTS = {
    ".": PLAIN,
    "datacenter/incus": "nodepool",
    "datacenter/openstack": "nodepool",
    "nodepool_driver": "nodepool",
    "sandbox": "sandbox",
    "simulation": "simulate",
    "simulation/plot.py": "plot",
}
# What nothing imports, and why it is asked for all the same.
UNIMPORTED = {
    "cachetools": "Nodepool imports it without declaring it",
    "diskimage-builder": "nodepool-builder calls it",
    "git-review": "the demonstration calls it",
}


@cache
def declared(extra: str) -> frozenset[str]:
    """The distributions that an installation with an extra asks for itself, other extras of ours resolved."""
    found: set[str] = set()
    for text in [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] if extra else [])]:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == "zuul-suse":
            found = found.union(*(declared(name) for name in requirement.extras))
        else:
            found.add(canonicalize_name(requirement.name))
    return frozenset(found)


def imported(path: Path) -> Iterator[str]:
    """The top names of what a file imports, wherever in it, less Python's own and ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in (name.split(".")[0] for name in names):
            if name not in sys.stdlib_module_names and name != "zuul_suse":
                yield name


def part_of(path: Path) -> str:
    inside = path.relative_to(ROOT / "zuul_suse")
    return max((part for part in PARTS if part == "." or inside.is_relative_to(part)), key=len)


INSTALLED = packages_distributions()
FILES = sorted((ROOT / "zuul_suse").rglob("*.py"))


def distributions(name: str) -> set[str]:
    return {canonicalize_name(found) for found in INSTALLED.get(name, [])} - {"zuul-suse"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_what_its_extra_asks_for(part: str) -> None:
    files = [path for path in FILES if part_of(path) == part]
    assert files
    for path in files:
        for name in imported(path):
            assert distributions(name) & declared(PARTS[part]), f"{path}: {name} is not asked for by [{PARTS[part]}]"


def test_what_is_asked_for_is_imported() -> None:
    used = {found for path in FILES for name in imported(path) for found in distributions(name)}
    asked = {name for extra in {*PARTS.values()} for name in declared(extra)}
    assert asked - used == set(UNIMPORTED)


def test_the_driver_names_the_nodepool_that_its_extra_brings() -> None:
    (pin,) = [r for r in map(Requirement, PROJECT["optional-dependencies"]["nodepool"]) if r.name == "nodepool"]
    entry = ast.parse((ROOT / "zuul_suse" / "nodepool_driver" / "entry.py").read_text())
    (named,) = [
        ast.literal_eval(node.value)
        for node in entry.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NODEPOOL"
    ]
    assert str(pin.specifier) == f"=={named}"
