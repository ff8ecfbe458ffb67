# SPDX-License-Identifier: Apache-2.0
"""A project for itself: syntax, templates, data bags, rspec."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crowbar import barclamps, node

SPEC = 'RSpec.describe "one" do\n  it("holds") { expect(1).to eq(%s) }\nend\n'
# What Chef's Erubis takes, and plain ERB does not: nothing may stand between `case` and `when`.
CASE = "<% case @kind -%>\n  <% when 1 -%>\none\n<% end -%> <%# said %>\n<% # a remark -%>\n<% if @x %>\nx\n<% end %>\n"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A sound project."""
    project = barclamps.later(tmp_path / "src")["acme/web"]
    barclamps.write(project, {"chef/cookbooks/web/templates/default/web.conf.erb": CASE})
    return project


def run(tmp_path: Path, project: Path, *more: str | Path) -> node.Result:
    """Check it."""
    return node.unit(tmp_path / "out", "acme/web", project, barclamps.validator(tmp_path / "validator"), *more)


def test_a_sound_project(tmp_path: Path, web: Path) -> None:
    found = run(tmp_path, web)
    assert found.passed, found.output
    assert found.report["counts"]["Ruby files"] == 5
    assert found.report["counts"]["ERB templates"] == 1


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        ("chef/cookbooks/web/recipes/default.rb", "if x\n", "syntax"),
        ("bin/crowbar_web", "#!/usr/bin/env ruby\nputs(\n", "syntax"),
        ("Rakefile", "task :x do\n", "syntax"),
        ("chef/cookbooks/web/templates/default/web.conf.erb", "<% if @x %>\n", "erb"),
        ("chef/data_bags/crowbar/migrate/web/twice.rb", "1\n", "databags"),
    ],
    ids=["recipe", "program", "Rakefile", "template", "data bag"],
)
def test_a_fault_is_told_by_file(tmp_path: Path, web: Path, file: str, text: str, kind: str) -> None:
    barclamps.write(web, {file: text})
    (fault,) = run(tmp_path, web).report["new"]
    assert fault["check"] == kind
    assert fault["file"] == file or (kind == "databags" and "duplicated number" in fault["fault"])


def test_what_is_no_ruby_is_left_alone(tmp_path: Path, web: Path) -> None:
    barclamps.write(
        web, {"bin/tool": "#!/bin/sh\nif (\n", "model/==BC-MODEL==.rb": "class ==^BC-MODEL==Service\nend\n"}
    )
    found = run(tmp_path, web)
    assert found.passed, found.output
    assert found.report["counts"]["templates of new barclamps, which are not Ruby yet (not checked)"] == 1


def test_no_validator(tmp_path: Path, web: Path) -> None:
    found = node.unit(tmp_path / "out", "acme/web", web, tmp_path / "gone")
    assert found.code == 2
    assert "no checkout of crowbar-validate-databags at" in found.output


@pytest.mark.parametrize(("expected", "passes"), [("1", True), ("2", False)])
def test_rspec(tmp_path: Path, web: Path, expected: str, passes: bool) -> None:
    barclamps.write(web, {"spec/one_spec.rb": SPEC % expected})
    found = run(tmp_path, web)
    assert found.passed is passes, found.output
    assert found.report["counts"]["rspec examples"] == 1
    assert found.faults() == ([] if passes else ["rspec: acme/web/spec/one_spec.rb: one holds"])


def test_rspec_that_can_not_run_is_a_fault_only_where_it_is_known_to(tmp_path: Path, web: Path) -> None:
    barclamps.write(web, {"spec/one_spec.rb": 'require "no/such/library"\n' + SPEC % "1"})
    found = run(tmp_path, web)
    assert found.passed, found.output
    assert any("rspec: did not run" in note for note in found.report["notes"])
    known = tmp_path / "baseline"
    barclamps.write(known, {"x.yaml": "branch: main\nrspec: [acme/web]\n"})
    found = run(tmp_path, web, "--branch", "main", "--baseline", known)
    assert [f.partition(":")[0] for f in found.faults()] == ["rspec"]
