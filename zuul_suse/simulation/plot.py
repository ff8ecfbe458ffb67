# SPDX-License-Identifier: Apache-2.0
"""Draws a run as SVG. Matplotlib is imported only here and only when a plot is asked for: see the extra `plot`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from zuul_suse import extras
from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.simulation.report import Figures, rank
from zuul_suse.simulation.scenario import HOUR, MINUTE
from zuul_suse.simulation.simulation import SAMPLING, Simulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF_HOUR = 30 * MINUTE
MARKS = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def check() -> None:
    """Raise WrongConfiguration if nothing can be drawn, before a run takes its time."""
    with extras.needed("plot", WrongConfiguration, "--plot"):
        import matplotlib  # noqa: F401


def draw(run: Simulation, told: Figures, file: Path) -> None:
    """Waits, nodes, loads and outages over the time. The same run gives the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(
        {"svg.hashsalt": "zuul-suse", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure, ((waits, marks), (nodes, spread)) = plt.subplots(2, 2, figsize=(12, 7), layout="constrained")
        _waits(waits, run)
        _marks(marks, run)
        _nodes(nodes, run)
        _spread(spread, run, told)
        for axes in (waits, nodes, spread):
            axes.set_xlabel("hour of the day")
            axes.set_xlim(0, run.end / HOUR)
            for outage in run.scenario.outages:
                axes.axvspan(outage.at / HOUR, outage.end / HOUR, color="tab:red", alpha=0.05, lw=0)
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)


def _waits(axes: Axes, run: Simulation) -> None:
    """The longest wait of each half hour: points for thousands of requests would make a file that no page wants."""
    hours = [number / 2 for number in range(int(run.end / HALF_HOUR) + 1)]
    for least, most, color in ((1, 1, "tab:blue"), (2, 3, "tab:green"), (4, 99, "tab:orange")):
        longest = [0.0] * len(hours)
        for wait in run.journal.waits:
            if least <= wait.size <= most:
                half = int(wait.at / HALF_HOUR)
                longest[half] = max(longest[half], wait.seconds)
        name = "1 node" if most == 1 else f"{least} to {most} nodes" if most < 99 else f"{least} nodes or more"
        axes.step(hours, [seconds or math.nan for seconds in longest], where="post", lw=1, color=color, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("seconds")
    axes.set_title("longest wait of a request in each half hour (outages shaded)")
    axes.legend(loc="upper left")


def _marks(axes: Axes, run: Simulation) -> None:
    ordered = sorted(wait.seconds for wait in run.journal.waits)
    if ordered:
        heights = [rank(ordered, part) for part in MARKS]
        bars = axes.bar(["p50", "p90", "p95", "p99", "p99.9", "max"], heights, color="tab:blue")
        axes.bar_label(bars, [f"{height:.1f} s" for height in heights])
    axes.set_ylabel("seconds")
    axes.set_title(f"waits of {len(ordered)} requests")


def _nodes(axes: Axes, run: Simulation) -> None:
    hours = [sample.at / HOUR for sample in run.journal.samples]
    for name in ("ready", "used", "building", "waiting"):
        label = "requests waiting" if name == "waiting" else f"nodes {name}"
        axes.plot(hours, [getattr(sample, name) for sample in run.journal.samples], lw=1, label=label)
    axes.set_ylim(bottom=0)
    axes.set_title(f"nodes (sampled every {SAMPLING / MINUTE:.0f} minutes)")
    axes.legend(loc="upper left")


def _spread(axes: Axes, run: Simulation, told: Figures) -> None:
    samples = run.journal.samples
    hours = [sample.at / HOUR for sample in samples]
    struck = {name for outage in run.scenario.outages for name in outage.datacenters}
    names = list(told["spread"]["datacenters"])
    for index, name in enumerate(names):
        if name in struck:
            axes.plot(hours[::3], [sample.loads[index] * 100 for sample in samples[::3]], lw=0.6, color="tab:red")
    well = [[sample.loads[i] * 100 for i, name in enumerate(names) if name not in struck] for sample in samples]
    if well and well[0]:
        bounds = [min(loads) for loads in well], [max(loads) for loads in well]
        axes.fill_between(hours, *bounds, color="tab:blue", alpha=0.6, lw=0, label="the others, least to most")
        axes.legend(loc="lower right")
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of its room")
    axes.set_title("load of the datacenters (red: each that had an outage)")
