# SPDX-License-Identifier: Apache-2.0
"""Scenarios against schemas, and the tree's own crowbar_batch run against our API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.crowbar import barclamps
from tests.crowbar.conftest import Check

# What crowbar_batch needs of the API: the order of its calls, in as few lines as do it.
BATCH = """\
#!/usr/bin/env ruby
require "net/http"
require "json"
require "yaml"
require "easy_diff"
require "chef/mixin/deep_merge"
port = ARGV[ARGV.index("--port") + 1].to_i
HTTP = Net::HTTP.new("127.0.0.1", port)
def call(kind, path, body = nil)
  request = kind.new("/crowbar/#{path}")
  request.body = body.to_json if body
  answer = HTTP.request(request)
  abort "#{path}: #{answer.code}: #{answer.body}" unless answer.code == "200"
  JSON.parse(answer.body)
end
text = File.read(ARGV.last)
call(Net::HTTP::Get, "machines/1.0/")["nodes"].each { |n| text.gsub!("@@#{n['alias']}@@", n["name"]) }
YAML.load(text)["proposals"].each do |proposal|
  name, at = proposal["barclamp"], "#{proposal['barclamp']}/1.0/proposals"
  call(Net::HTTP::Put, at, "id" => "default") unless call(Net::HTTP::Get, "#{at}/").include?("default")
  old = call(Net::HTTP::Get, "#{at}/default")
  new = old.easy_clone
  attributes = {"attributes" => {name => proposal["attributes"]}, "deployment" => {name => proposal["deployment"]}}
  Chef::Mixin::DeepMerge.deep_merge!(attributes, new)
  removed, added = old.easy_diff(new)
  abort "no change" if added.empty?
  BREAK
  call(Net::HTTP::Post, "#{at}/default", new)
  call(Net::HTTP::Post, "#{at}/commit/default")
  abort "not applied" unless call(Net::HTTP::Get, "#{at}/default")["deployment"][name]["crowbar-status"] == "success"
end
"""


@pytest.fixture
def source(tmp_path: Path) -> list[dict[str, str]]:
    """A project with one scenario; its placeholder is one that the data knows."""
    folder = tmp_path / "src" / "scenarios"
    text = barclamps.SCENARIO.replace("port: ##port##", "tuning:\n      net: ##networkingmode##\n    port: 8080")
    barclamps.write(folder, {"cloud/good.yml": text})
    return [{"project": "acme/scenarios", "checkout": str(folder), "path": "cloud"}]


def with_batch(projects: dict[str, Path], more: str = "") -> None:
    """Give the tree a crowbar_batch."""
    barclamps.write(projects["acme/core"], {"bin/crowbar_batch": BATCH.replace("  BREAK\n", more)})


def test_a_good_scenario_is_built(later: dict[str, Path], check: Check, source: list[dict[str, str]]) -> None:
    with_batch(later)
    found = check(later, scenarios=source)
    assert found.passed, found.output
    counts = found.report["counts"]
    assert (counts["scenarios"], counts["proposals in them"]) == (1, 1)
    assert (counts["scenarios built with crowbar_batch"], counts["proposals that it committed"]) == (1, 1)
    assert any("stand-ins take the place of" in note for note in found.report["notes"])


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ('  abort "gave up"\n', "crowbar_batch, exit 1: gave up"),
        ("  exit\n", "crowbar_batch committed no proposal"),
        ('  new["attributes"]["web"]["port"] = "no number"\n', "400: "),
    ],
    ids=["fails", "does nothing", "sends what breaks the schema"],
)
def test_a_broken_crowbar_batch(
    later: dict[str, Path], check: Check, source: list[dict[str, str]], more: str, fault: str
) -> None:
    with_batch(later, more)
    found = check(later, scenarios=source)
    (only,) = found.faults()
    assert only.startswith("batch: acme/scenarios/cloud/good.yml: ")
    assert fault in only


SCENARIOS: dict[str, tuple[str, str]] = {
    "unknown attribute": ("    prot: 1\n", "web.default: /attributes/web/prot: key 'prot:' is undefined."),
    "wrong kind": ("    port: many\n", "web.default: /attributes/web/port: 'many': not a integer."),
    "unknown placeholder": ("    port: ##port##\n", "no value for the placeholder ##port##"),
    "no YAML": ("    port: [\n", "did not find expected node content"),
    "wiped": ("    port: 1\n  wipe_attributes: [port]\n", ""),
    "wiped for good": (
        "    names: []\n  wipe_attributes: [port]\n", "web.default: /attributes/web: key 'port:' is required."
    ),
    "wiped below a name with a dot": ("    port: 1\n  wipe_attributes: ['tuning.a\\.b']\n", ""),
    "added to a list": ("    names: [there]\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", SCENARIOS)
def test_a_proposal_is_put_together_as_crowbar_does(
    later: dict[str, Path], check: Check, source: list[dict[str, Any]], what: str
) -> None:
    attributes, fault = SCENARIOS[what]
    folder = Path(source[0]["checkout"])
    (folder / "cloud" / "good.yml").write_text(f"proposals:\n- barclamp: web\n  attributes:\n{attributes}")
    faults = check(later, scenarios=source).faults()
    if fault:
        assert any(f"scenarios: acme/scenarios/cloud/good.yml: {fault}" in f for f in faults), faults
    else:
        assert faults == []


def test_a_role_that_the_schema_does_not_know(
    later: dict[str, Path], check: Check, source: list[dict[str, Any]]
) -> None:
    file = Path(source[0]["checkout"]) / "cloud" / "good.yml"
    file.write_text(file.read_text().replace("web-server", "web-sever"))
    (fault,) = check(later, scenarios=source).faults()
    assert "/deployment/web/elements/web-sever: key 'web-sever:' is undefined." in fault


def test_a_barclamp_that_is_not_there(later: dict[str, Path], check: Check, source: list[dict[str, Any]]) -> None:
    file = Path(source[0]["checkout"]) / "cloud" / "good.yml"
    file.write_text(file.read_text().replace("barclamp: web", "barclamp: gone"))
    (fault,) = check(later, scenarios=source).faults()
    assert "gone.default: no barclamp of this name has a schema" in fault


def test_no_scenario_where_some_were_asked_for(
    later: dict[str, Path], check: Check, source: list[dict[str, Any]]
) -> None:
    found = check(later, scenarios=[{**source[0], "path": "gone"}])
    assert found.code == 2
    assert "acme/scenarios: no scenario at gone" in found.output


def test_examples_of_the_tree_are_scenarios_too(later: dict[str, Path], check: Check) -> None:
    barclamps.write(later["acme/web"], {"crowbar_framework/examples/x.yaml": "proposals: []\n"})
    assert check(later).faults() == ["scenarios: acme/web/crowbar_framework/examples/x.yaml: no proposals"]
