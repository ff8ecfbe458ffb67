# SPDX-License-Identifier: Apache-2.0
"""Known failures: they pass, new ones don't, and one that went away must be taken out. And the shipped baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crowbar import barclamps, node
from tests.crowbar.conftest import Check

SHIPPED = sorted((node.FILES / "crowbar_checks" / "baseline").glob("*.yaml"))
ENTRY: dict[str, Any] = {
    "project": "acme/web", "check": "cookbooks", "file": "chef/cookbooks/web/metadata.rb",
    "fault": "depends on gone, which is in no project", "reason": "it was always so",
}  # fmt: skip


@pytest.fixture
def broken(later: dict[str, Path]) -> dict[str, Path]:
    """Projects with one fault."""
    barclamps.write(later["acme/web"], {"chef/cookbooks/web/metadata.rb": 'name "web"\ndepends "gone"\n'})
    return later


def known(tmp_path: Path, *entries: dict[str, Any]) -> list[str | Path]:
    """A baseline, as options."""
    folder = tmp_path / "baseline"
    barclamps.write(folder, {"r1.yaml": yaml.safe_dump({"branch": "main", "bundle": list(entries)})})
    return ["--baseline", folder, "--release", "r1"]


def test_a_known_failure_passes(tmp_path: Path, broken: dict[str, Path], check: Check) -> None:
    found = check(broken, *known(tmp_path, ENTRY))
    assert found.passed, found.output
    assert found.report["known"][0]["reason"] == "it was always so"
    assert "it was always so" in found.output


def test_a_new_one_beside_it_does_not(tmp_path: Path, broken: dict[str, Path], check: Check) -> None:
    barclamps.write(broken["acme/web"], {"chef/cookbooks/web/recipes/default.rb": 'include_recipe "gone"\n'})
    found = check(broken, *known(tmp_path, ENTRY))
    assert len(found.report["new"]) == 1
    assert len(found.report["known"]) == 1


def test_another_fault_of_the_same_file_is_new(tmp_path: Path, broken: dict[str, Path], check: Check) -> None:
    found = check(broken, *known(tmp_path, {**ENTRY, "fault": "depends on other, which is in no project"}))
    assert len(found.report["new"]) == 1
    assert len(found.report["gone"]) == 1


def test_without_a_text_any_fault_of_that_check_is_known(tmp_path: Path, broken: dict[str, Path], check: Check) -> None:
    assert check(broken, *known(tmp_path, {k: v for k, v in ENTRY.items() if k != "fault"})).passed


def test_one_that_went_away_fails_and_is_told(tmp_path: Path, later: dict[str, Path], check: Check) -> None:
    found = check(later, *known(tmp_path, ENTRY))
    assert not found.passed
    assert found.report["sentences"] == [
        "acme/web/chef/cookbooks/web/metadata.rb: depends on gone, which is in no project [cookbooks]: "
        "went away, take it out of the baseline"
    ]


@pytest.mark.parametrize("entry", [{**ENTRY, "project": "acme/other"}, {**ENTRY, "without": "acme/core"}])
def test_what_was_not_looked_at_did_not_go_away(
    tmp_path: Path, later: dict[str, Path], check: Check, entry: dict[str, Any]
) -> None:
    assert check(later, *known(tmp_path, entry)).passed


def test_without_a_project_that_is_there_a_failure_is_new(
    tmp_path: Path, broken: dict[str, Path], check: Check
) -> None:
    assert not check(broken, *known(tmp_path, {**ENTRY, "without": "acme/core"})).passed


def test_a_release_that_nobody_knows(tmp_path: Path, later: dict[str, Path], check: Check) -> None:
    found = check(later, *known(tmp_path)[:2], "--release", "r2")
    assert found.code == 2
    assert "release: r2 not known (known: r1)" in found.output


def test_baselines_are_shipped() -> None:
    assert len(SHIPPED) == 6
    branches = [yaml.safe_load(file.read_text())["branch"] for file in SHIPPED]
    assert len(set(branches)) == len(branches)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.stem)
def test_each_shipped_entry_has_a_reason(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    assert set(content) <= {"branch", "rspec", "unit", "bundle"}
    entries = [*content.get("unit", []), *content.get("bundle", [])]
    assert entries
    for entry in entries:
        assert {"project", "check", "reason"} <= set(entry) <= {*ENTRY, "files", "without"}, entry
        assert ("file" in entry) != ("files" in entry), entry
        assert len(entry["reason"]) > 20, entry
        assert "TODO" not in entry["reason"], entry
