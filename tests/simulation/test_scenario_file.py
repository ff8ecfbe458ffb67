# SPDX-License-Identifier: Apache-2.0
"""A scenario file is read as it is meant; what is wrong with it is told in one line: place, fault, valid choices."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.simulation import scenario_file
from zuul_suse.simulation.scenario import FAULTS, HOUR, MINUTE, default_scenario

EXAMPLE = Path(__file__).parents[2] / "docs" / "simulation-scenario.yaml"
SITES = "datacenters: [{name: a, max-servers: 9}, {name: b, max-servers: 9}]\n"


def test_example_is_read() -> None:
    scenario = scenario_file.read(EXAMPLE)
    assert [site.name for site in scenario.sites] == ["nbg", "prg", "provo", "lab"]
    assert (scenario.sites[0].weight, scenario.sites[0].foreign, scenario.sites[1].weight) == (2, 10, 1)
    assert scenario.labels[1].weights == {"provo": 3}
    assert scenario.labels[2].datacenters == ("nbg", "prg")
    assert scenario.load.hold_time == 40 * MINUTE
    assert (scenario.outages[0].at, scenario.outages[0].length) == (9 * HOUR, 45 * MINUTE)
    assert (scenario.hours, scenario.seed) == (12, 7)


def test_example_shows_every_key() -> None:
    given = yaml.safe_load(EXAMPLE.read_text())
    for section, known in (
        ([given], scenario_file.SCENARIO),
        (given["datacenters"], scenario_file.DATACENTER),
        (given["labels"], scenario_file.LABEL),
        ([given["load"]], scenario_file.LOAD),
        (given["outages"], scenario_file.OUTAGE),
    ):
        shown = set().union(*section)
        assert {option.name for option in known} - shown <= {"ready"}, "`ready` goes without labels of one's own"


def test_nothing_is_the_default() -> None:
    assert scenario_file.parse(None) == default_scenario()


def test_ready_scales_labels() -> None:
    text = "ready: 10\nlabels: [{name: a, min-ready: 1}, {name: b, min-ready: 3}]\n"
    labels = scenario_file.parse(yaml.safe_load(text)).labels
    assert [label.min_ready for label in labels] == [3, 7]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "scenario: expected a map, not []"),
        (
            "hour: 3",
            'scenario: unknown key "hour" (known: datacenters, hours, labels, load, outages, ready, seed)',
        ),
        ("hours: many", "scenario.hours: expected a number, not 'many'"),
        ("hours: 0", "scenario.hours: 0 is not more than 0"),
        ("seed: true", "scenario.seed: expected a whole number, not True"),
        ("datacenters: []", "datacenters: needs at least one"),
        ("datacenters: 3", "scenario.datacenters: expected a list, not 3"),
        ("datacenters: [{name: a}]", "datacenters[a]: max-servers is missing"),
        ("datacenters: [7]", "datacenters[0]: expected a map, not 7"),
        ("datacenters: [{name: a, max-servers: -1}]", "datacenters[a].max-servers: -1 is less than 0"),
        (
            "datacenters: [{name: a, max-servers: 9}, {name: a, max-servers: 9}]",
            'datacenters: "a" is there twice',
        ),
        (
            SITES + "labels: [{name: x, datacenters: [c]}]",
            'labels[x].datacenters: "c" is not one of the datacenters (has a, b)',
        ),
        (
            SITES + "labels: [{name: x, weights: {c: 1}}]",
            'labels[x].weights: "c" is not one of the datacenters (has a, b)',
        ),
        (SITES + "labels: [{name: x, weights: {a: no}}]", "labels[x].weights.a: expected a number, not False"),
        ("labels: [{name: x, share: 0}]", "labels: at least one must have a share of more than 0"),
        ("load: {hold-time: 40}", "load.hold-time: expected a time as 90s, 20m or 1.5h, not 40"),
        ("load: {sizes: {two: 1}}", "load.sizes: expected numbers of nodes, not 'two'"),
        ("load: {sizes: {1: 0}}", "load.sizes: at least one must be more than 0"),
        (
            SITES + "outages: [{fault: fire, datacenters: [a], at: 1h, for: 1h}]",
            f'outages[0].fault: "fire" is not one of {", ".join(FAULTS)}',
        ),
        (SITES + "outages: [{fault: slow, datacenters: [a], at: 1h}]", "outages[0]: for is missing"),
        (
            SITES + "outages: [{fault: slow, datacenters: [x], at: 1h, for: 1h}]",
            'outages[0].datacenters: "x" is not one of the datacenters (has a, b)',
        ),
        (
            SITES + "outages: [{fault: slow, datacenters: [a], at: soon, for: 1h}]",
            "outages[0].at: expected a time as 90s, 20m or 1.5h, not 'soon'",
        ),
        (
            SITES + "outages: [{fault: slow, datacenters: [a], at: 1h, for: 1h, share: 2}]",
            "outages[0].share: 2 is not between 0 and 1",
        ),
    ],
)
def test_fault_is_told(text: str, told: str) -> None:
    with pytest.raises(WrongConfiguration) as error:
        scenario_file.parse(yaml.safe_load(text))
    assert str(error.value) == told


def test_fault_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "day.yaml"
    with pytest.raises(WrongConfiguration, match=r"day.yaml: No such file"):
        scenario_file.read(file)
    file.write_text("a: [")
    with pytest.raises(WrongConfiguration, match=r"day.yaml: no YAML: [^\n]*$"):
        scenario_file.read(file)
    file.write_text("hours: -1")
    with pytest.raises(WrongConfiguration, match=r"day.yaml: scenario.hours: -1 is less than 0"):
        scenario_file.read(file)


def test_outage_of_the_command_line() -> None:
    outage = scenario_file.parse_outage("black-hole:a,b:1.5h:90s", ["a", "b", "c"])
    assert (outage.fault, outage.datacenters, outage.at, outage.length) == ("black-hole", ("a", "b"), 5400, 90)
    with pytest.raises(WrongConfiguration, match=r'--outage "slow:a": expected FAULT:DATACENTER:AT:FOR \(FAULT is one'):
        scenario_file.parse_outage("slow:a", ["a"])
    with pytest.raises(WrongConfiguration, match=r'"x" is not one of the datacenters \(has a\)'):
        scenario_file.parse_outage("slow:x:1h:1h", ["a"])
