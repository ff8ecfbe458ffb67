# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse simulate`."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from zuul_suse.cli.loading import needs
from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.simulation import scenario_file
from zuul_suse.simulation.scenario import FAULTS, Scenario, default_scenario, scaled_labels

SILENT = 2.0  # seconds before a word on progress is due
AGAIN_TERMINAL, AGAIN_LOG = 0.2, 10.0  # seconds from one to the next


@click.command()
@click.option("--datacenters", type=click.IntRange(1, 500), help="How many datacenters.  [default: 30]")
@click.option("--ready", type=click.IntRange(0, 20000), help="Nodes kept ready over all labels.  [default: 800]")
@click.option(
    "--hours", type=click.FloatRange(0, 24 * 14, min_open=True), help="How long requests come.  [default: 24]"
)
@click.option("--requests-per-day", type=click.FloatRange(0), help="How many requests come.  [default: 6.25 x ready]")
@click.option("--load", type=click.FloatRange(0), default=1.0, help="Multiplies the requests.")
@click.option("--seed", type=int, help="Of all chance: the same seed gives the same run.  [default: 1]")
@click.option(
    "--outage",
    "outages",
    multiple=True,
    metavar="FAULT:DATACENTER[,...]:AT:FOR",
    help="In place of the scenario's outages, say black-hole:dc03,dc04:9h:90m; `none` for a day without any. "
    f"Faults: {', '.join(FAULTS)}.",
)
@click.option(
    "--scenario",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file with datacenters, labels, load and outages; other options prevail.",
)
@click.option("--plot", "svg", type=click.Path(path_type=Path, dir_okay=False), help="Also draw it into an SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@needs("simulate")
def simulate(
    datacenters: int | None,
    ready: int | None,
    hours: float | None,
    requests_per_day: float | None,
    load: float,
    seed: int | None,
    outages: tuple[str, ...],
    file: Path | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """A day of a large fleet within a minute, with outages: waits, spread, failovers, leaks.

    The fleet's own code runs over played datacenters, on a virtual clock; nothing is contacted.
    """
    from zuul_suse.simulation import plot, table
    from zuul_suse.simulation.report import figures
    from zuul_suse.simulation.simulation import Simulation

    try:
        if file and datacenters:
            raise click.UsageError("--datacenters doesn't go with --scenario: the file names its datacenters")
        if svg:
            plot.check()
        scenario = scenario_file.read(file) if file else _default(datacenters, ready, requests_per_day, hours)
        scenario = _overridden(scenario, ready, hours, requests_per_day, load, seed, outages)
    except WrongConfiguration as error:
        raise click.ClickException(str(error)) from error
    run = Simulation(scenario)
    with _progress(quiet=as_json) as tell:
        run.run(tell)
    told = figures(run)
    if svg:
        plot.draw(run, told, svg)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for line in table.lines(told, run.journal.waits, run.journal.samples):
        click.echo(line)
    if svg:
        click.echo(f"drawn: {svg}")


def _default(datacenters: int | None, ready: int | None, requests: float | None, hours: float | None) -> Scenario:
    return default_scenario(
        datacenters=datacenters or 30,
        ready=800 if ready is None else ready,
        requests_per_day=requests,
        hours=hours or 24.0,
    )


def _overridden(
    scenario: Scenario,
    ready: int | None,
    hours: float | None,
    requests_per_day: float | None,
    load: float,
    seed: int | None,
    outages: tuple[str, ...],
) -> Scenario:
    """The scenario with what the options say differently."""
    requests = (scenario.load.requests_per_day if requests_per_day is None else requests_per_day) * load
    names = [site.name for site in scenario.sites]
    if outages:
        planned = [] if outages == ("none",) else [scenario_file.parse_outage(text, names) for text in outages]
        scenario = replace(scenario, outages=planned)
    return replace(
        scenario,
        labels=scenario.labels if ready is None else scaled_labels(scenario.labels, ready),
        hours=hours or scenario.hours,
        load=replace(scenario.load, requests_per_day=requests),
        seed=scenario.seed if seed is None else seed,
    )


class _Teller:
    """Says how far it is, after a while: on a terminal in one line that changes, in a log in a line now and then. Where
    JSON is asked for and nobody looks, nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self._due = time.monotonic() + SILENT
        self._terminal = sys.stderr.isatty()
        self._quiet = quiet and not self._terminal
        self._told = False

    def __call__(self, part: float) -> None:
        if self._quiet or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + (AGAIN_TERMINAL if self._terminal else AGAIN_LOG)
        self._told = True
        begin = "\r" if self._terminal else ""
        click.echo(f"{begin}simulating: {part:4.0%}", nl=not self._terminal, err=True)

    def end(self) -> None:
        if self._told and self._terminal:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[_Teller]:
    teller = _Teller(quiet)
    try:
        yield teller
    finally:
        teller.end()
