# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse simulate` as it is used: what it prints, that it repeats itself, and how it tells faults."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from zuul_suse.cli import commands
from zuul_suse.simulation import scenario_file, table
from zuul_suse.simulation.report import distribution

command = importlib.import_module("zuul_suse.cli.simulate")  # the package has the command itself under this name
SMALL = ("--datacenters", "3", "--ready", "40", "--hours", "0.5", "--requests-per-day", "4000")
EXAMPLE = Path(__file__).parents[2] / "docs" / "simulation-scenario.yaml"


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["simulate", *arguments])


def in_a_process(seed: str, hash_seed: str) -> bytes:
    """A process of its own: what depends on the order of sets would differ from one to the other."""
    process = [sys.executable, "-c", "from zuul_suse.cli import main; main()", "simulate", *SMALL, "--json"]
    done = subprocess.run(
        [*process, "--seed", seed, "--outage", "server-error:dc01,dc02:5m:15m"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == b""
    return done.stdout


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first = in_a_process("7", "1")
    assert json.loads(first)["requests"]["fulfilled"] > 3
    assert in_a_process("7", "2") == first
    assert in_a_process("8", "1") != first


def test_json_has_what_is_asked_for() -> None:
    result = simulate(*SMALL, "--outage", "unreachable:dc02:5m:10m", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["scenario"] == {
        "seed": 1,
        "hours": 0.5,
        "datacenters": 3,
        "room": 104,
        "ready": 40,
        "requests-per-day": 4000,
    }
    assert told["requests"]["failed"] == told["leaks"]["servers"] == 0
    assert set(told["waits"]["all"]) == {"count", "mean", "p50", "p95", "p99", "max"}
    (outage,) = told["outages"]
    assert (outage["fault"], outage["datacenter"], outage["begin"], outage["seconds"]) == (
        "unreachable",
        "dc02",
        300,
        600,
    )
    assert 0 < outage["opened-after"] < 120
    assert 0 < outage["closed-after-its-end"] < 900
    assert told["spread"]["datacenters"]["dc01"]["launched"] > 0
    assert told["api"]["per-node"]["create"] >= 1


def test_table_is_for_people() -> None:
    result = simulate(*SMALL, "--outage", "unreachable:dc02:5m:10m")
    assert result.exit_code == 0
    for words in (
        "3 datacenters with room for 104 servers, 40 nodes kept ready, 0.5 hours, seed 1",
        "0 failed, 0 still waiting",
        "at the end: 0 servers leaked, 0 nodes without a server, 0 foreign servers gone",
        "outages, and the datacenter's breaker",
        "breakers opened 1 times; not closed at the end: none",
        "over the 0.5 hours",
    ):
        assert words in result.stdout, words
    row = next(line for line in result.stdout.splitlines() if line.strip().startswith("dc02") and "unreachable" in line)
    assert row.split()[1:5] == ["unreachable", "00:05", "10:00", "min"]


def test_options_prevail_over_the_file() -> None:
    result = simulate(
        *("--scenario", str(EXAMPLE), "--hours", "0.25", "--seed", "3", "--load", "0.5", "--outage", "none"),
        *("--ready", "13", "--json"),
    )
    told = json.loads(result.stdout)["scenario"]
    assert told["datacenters"] == 4
    assert (told["hours"], told["seed"], told["requests-per-day"], told["ready"]) == (0.25, 3, 400, 13)
    assert json.loads(result.stdout)["outages"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--scenario", "/nowhere.yaml"), 1, "Error: /nowhere.yaml: No such file or directory\n"),
        (("--datacenters", "3", "--scenario", "x"), 2, "--datacenters doesn't go with --scenario"),
        (("--outage", "fire:dc01:1h:1h"), 1, 'fault: "fire" is not one of unreachable, black-hole'),
        (("--datacenters", "0"), 2, "0 is not in the range 1<=x<=500"),
        (("--hours", "0"), 2, "0.0 is not in the range 0<x<=336"),
    ],
)
def test_faults_are_told_in_one_line(arguments: tuple[str, ...], code: int, told: str) -> None:
    result = simulate(*arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_plot_is_drawn_and_repeats_itself(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for file in files:
        assert simulate(*SMALL, "--plot", str(file)).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")  # noqa: S314 - drawn a moment ago


def test_plot_without_matplotlib_is_one_line_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("zuul_suse.simulation.simulation.Simulation", lambda _: pytest.fail("it ran"))
    result = simulate("--plot", str(tmp_path / "x.svg"))
    assert result.exit_code == 1
    assert result.stderr == ("Error: --plot: needs pip install 'zuul-suse[plot]' (module matplotlib is missing)\n")


@pytest.mark.parametrize(
    ("terminal", "as_json", "told"),
    [
        (True, False, "\rsimulating:  50%\r\x1b[K"),
        (True, True, "\rsimulating:  50%\r\x1b[K"),
        (False, False, "simulating:  50%\n"),
        (False, True, ""),
    ],
)
def test_progress_is_told_after_two_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, as_json: bool, told: str
) -> None:
    now = [100.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    teller = command._Teller(quiet=as_json)
    teller(0.3)
    assert capsys.readouterr().err == ""
    now[0] += 2.1
    teller(0.5)
    now[0] += 0.1
    teller(0.6)
    teller.end()
    assert capsys.readouterr().err == told


def test_progress_is_told_often_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[float] = []
    monkeypatch.setattr(command, "_Teller", lambda quiet: Kept(parts))
    assert simulate(*SMALL).exit_code == 0
    assert len(parts) > 60
    assert parts == sorted(parts)


class Kept:
    """Progress that is kept."""

    def __init__(self, parts: list[float]) -> None:
        self._parts = parts

    def __call__(self, part: float) -> None:
        self._parts.append(part)

    def end(self) -> None:
        pass


def test_what_does_not_fit_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "hours: 2\ndatacenters: [{name: lab, max-servers: 10, foreign: 2}]\nlabels: [{name: leap, min-ready: 2}]\n"
        "load: {requests-per-day: 2000, hold-time: 60m, bursts: 0, sizes: {1: 1}}\n"
    )
    result = simulate("--scenario", str(file))
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("demand:")]
    assert "room for 8 (" in line
    assert "% of it): more than fits; " in line
    assert "requests still wait at the end, the oldest for 1:" in line
    assert "more than fits" not in simulate("--scenario", str(file), "--load", "0.02").stdout


def test_numbers_for_people() -> None:
    assert [table.span(value) for value in (None, 0.84, 42.4, 59.6, 185, 5400, -75)] == [
        "-",
        "0.8 s",
        "42 s",
        "60 s",
        "3:05 min",
        "1:30 h",
        "-1:15 min",
    ]
    assert table.clock(34200) == "09:30"
    assert table.sparkline([0, 0, 7, 7], width=2) == "▁█"
    assert distribution([]) == {"count": 0}
    assert distribution(range(1, 101)) == {"count": 100, "mean": 50.5, "p50": 50, "p95": 95, "p99": 99, "max": 100}


def test_every_option_of_a_scenario_is_documented() -> None:
    for known in (scenario_file.SCENARIO, scenario_file.DATACENTER, scenario_file.LABEL, scenario_file.LOAD):
        assert all(option.doc for option in known)
