# SPDX-License-Identifier: Apache-2.0
"""Draws a run as SVG. Matplotlib is imported only here and only when a plot is asked for: see the extra `plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.simulation.report import Figures, rank
from zuul_suse.simulation.scenario import HOUR, MINUTE
from zuul_suse.simulation.simulation import Simulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def check() -> None:
    """Raise WrongConfiguration if nothing can be drawn, before a run takes its time."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise WrongConfiguration(
            "--plot: matplotlib is not installed (pip install 'zuul-suse[plot]' brings it)"
        ) from None


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
    for least, most, color in ((1, 1, "tab:blue"), (2, 3, "tab:green"), (4, 99, "tab:orange")):
        some = [wait for wait in run.journal.waits if least <= wait.size <= most]
        name = "1 node" if most == 1 else f"{least} to {most} nodes" if most < 99 else f"{least} nodes or more"
        axes.plot([w.at / HOUR for w in some], [max(w.seconds, 0.1) for w in some], ".", ms=2, color=color, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("wait in seconds")
    axes.set_title("requests: from asking to the last node (outages shaded)")
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
    axes.set_title(f"nodes (sampled every {5 * MINUTE / MINUTE:.0f} minutes)")
    axes.legend(loc="upper left")


def _spread(axes: Axes, run: Simulation, told: Figures) -> None:
    hours = [sample.at / HOUR for sample in run.journal.samples]
    struck = {name for outage in run.scenario.outages for name in outage.datacenters}
    for index, name in enumerate(told["spread"]["datacenters"]):
        color = "tab:red" if name in struck else "tab:gray"
        loads = [sample.loads[index] * 100 for sample in run.journal.samples]
        axes.plot(hours, loads, lw=0.7, color=color, alpha=0.7)
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of its room")
    axes.set_title("load of each datacenter (red: one that had an outage)")
