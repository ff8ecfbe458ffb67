# SPDX-License-Identifier: Apache-2.0
"""What a run of the benchmark found: JSON, a table beside the targets, a plot and a page of the docs.

Pure but for the files it is told to write. `passed` judges each target and is None where a run has no such trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .launchers import BUILT_IN, OURS

Run = Mapping[str, Any]
NEAR, FAR, THREE, DEAD = "near", "far", "three", "dead"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    figure: str
    built_in: str
    ours: str
    target: str
    passed: bool | None = None


def _get(run: Run, scenario: str, driver: str, *path: str) -> Any:  # noqa: ANN401 - a number, or None where there is none
    found: Any = run["trials"].get(scenario, {}).get(driver)
    for key in path:
        found = None if found is None else found.get(key)
    return found


def _text(value: Any, unit: str = "") -> str:  # noqa: ANN401
    return "-" if value is None else f"{value:g}{unit}"


def _at_most(value: Any, bound: float) -> bool | None:  # noqa: ANN401
    return None if value is None else bool(value <= bound)


def _plain(run: Run, scenario: str, figure: str, bound: float | None, unit: str, *path: str) -> Row:
    built_in, ours = (_get(run, scenario, driver, *path) for driver in (BUILT_IN, OURS))
    target = "" if bound is None else f"≤ {bound:g}{unit}"
    passed = None if bound is None else _at_most(ours, bound)
    return Row(figure, _text(built_in, unit), _text(ours, unit), target, passed)


def _no_worse(run: Run, scenario: str, figure: str, unit: str, *path: str) -> Row:
    """Judged by what the built-in driver did in the same run."""
    built_in, ours = (_get(run, scenario, driver, *path) for driver in (BUILT_IN, OURS))
    passed = None if built_in is None else _at_most(ours, built_in)
    return Row(figure, _text(built_in, unit), _text(ours, unit), "≤ built-in", passed)


def _first_lag(run: Run, scenario: str, driver: str) -> float | None:
    ready, active = (_get(run, scenario, driver, key, "first") for key in ("ready-at", "active-at"))
    return None if ready is None or active is None else round(ready - active, 1)


def _cpu(run: Run, scenario: str, driver: str) -> float | None:
    parts = [_get(run, scenario, driver, phase, "cpu-ms-per-node") for phase in ("create", "delete")]
    return None if None in parts else round(sum(parts), 1)


def _ratio(run: Run, scenario: str, to: str, driver: str) -> float | None:
    there, here = (_get(run, name, driver, "ready-at", "last") for name in (scenario, to))
    return None if not there or not here else round(there / here, 2)


def _ready(run: Run, scenario: str, driver: str) -> str:
    ready, asked = (_get(run, scenario, driver, key) for key in ("ready", "asked"))
    return "-" if ready is None else f"{ready} of {asked}"


def rows(run: Run) -> list[Row]:
    """The table."""
    made = [
        _plain(run, NEAR, "API calls per node, create", 1.5, "", "create", "calls-per-node"),
        _plain(run, NEAR, "API calls per node, delete", 1.2, "", "delete", "calls-per-node"),
        _plain(run, NEAR, "launcher CPU per node, create", None, " ms", "create", "cpu-ms-per-node"),
        _plain(run, NEAR, "launcher CPU per node, delete", None, " ms", "delete", "cpu-ms-per-node"),
        _both(run, "launcher CPU per node, create and delete", _cpu, 35, " ms"),
        _both(run, "first READY after the first ACTIVE", _first_lag, 10, " s"),
        _plain(run, NEAR, "lag from ACTIVE to READY, p50", None, " s", "lag", "p50"),
        _plain(run, NEAR, "lag from ACTIVE to READY, p95", 3, " s", "lag", "p95"),
        *(
            _plain(run, NEAR, f"{mark} {state} after the requests", None, " s", f"{state.lower()}-at", mark)
            for mark in ("first", "half", "last")
            for state in ("ACTIVE", "READY")
        ),
    ]
    far = [_ratio(run, FAR, NEAR, driver) for driver in (BUILT_IN, OURS)]
    dead = [_ratio(run, DEAD, THREE, driver) for driver in (BUILT_IN, OURS)]
    all_ready = None
    if _get(run, DEAD, OURS, "ready") is not None:
        all_ready = _get(run, DEAD, OURS, "ready") == _get(run, DEAD, OURS, "asked")
    made += [
        Row("last READY, region 100 ms away / near", _text(far[0], " x"), _text(far[1], " x"), "≤ 1.2 x",
            _at_most(far[1], 1.2)),
        _no_worse(run, FAR, "lag from ACTIVE to READY, p95, 100 ms away", " s", "lag", "p95"),
        _no_worse(run, THREE, "lag from ACTIVE to READY, p95, three regions", " s", "lag", "p95"),
        _no_worse(run, THREE, "API calls per node, create, three regions", "", "create", "calls-per-node"),
        Row("READY with one of three regions dead", _ready(run, DEAD, BUILT_IN), _ready(run, DEAD, OURS), "all",
            all_ready),
        Row("last READY, one of three dead / all well", _text(dead[0], " x"), _text(dead[1], " x"), "≤ 1.3 x",
            _at_most(dead[1], 1.3)),
    ]  # fmt: skip
    return made


def _both(run: Run, figure: str, of: Any, bound: float, unit: str) -> Row:  # noqa: ANN401 - one of the functions above
    built_in, ours = (of(run, NEAR, driver) for driver in (BUILT_IN, OURS))
    return Row(figure, _text(built_in, unit), _text(ours, unit), f"≤ {bound:g}{unit}", _at_most(ours, bound))


def table(run: Run) -> str:
    """For a terminal."""
    lines = [("figure", BUILT_IN, OURS, "to reach", "")]
    lines += [
        (row.figure, row.built_in, row.ours, row.target, {None: "", True: "reached", False: "MISSED"}[row.passed])
        for row in rows(run)
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def csv_table(run: Run) -> str:
    """For the docs: reStructuredText."""
    out = [".. csv-table::", "   :header: figure, built-in driver, zuul-suse, to reach, reached", ""]
    words = {None: "", True: "yes", False: "**no**"}
    for row in rows(run):
        cells = (row.figure, row.built_in, row.ours, row.target, words[row.passed])
        out.append("   " + ",".join(f'"{cell}"' for cell in cells))
    about = run["about"]
    out += ["", f"N = {about['count']}, {about['date']}, on {about['machine']}; load average when each trial began: "
            + ", ".join(
                f"{scenario} {driver} {trial['load-average'][0]:g}"
                for scenario, trials in run["trials"].items()
                for driver, trial in trials.items()
            ) + "."]  # fmt: skip
    return "\n".join(out) + "\n"


def write(run: Run, file: Path, page: Path | None) -> None:
    file.write_text(json.dumps(run, indent=1) + "\n")
    if page is not None:
        page.write_text(csv_table(run))


def draw(run: Run, file: Path) -> None:
    """READY over time, both drivers, one panel per scenario; ACTIVE as the thin line that can't be beaten."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zuul-suse"
    from matplotlib import pyplot

    titles = {NEAR: "one region", FAR: "one region, 100 ms away", THREE: "three regions", DEAD: "one of three dead"}
    shown = [name for name in titles if run["trials"].get(name)]
    figure, panels = pyplot.subplots(1, len(shown), figsize=(4 * len(shown), 3.6), sharey=True, squeeze=False)
    for panel, scenario in zip(panels[0], shown, strict=True):
        for driver, colour in ((BUILT_IN, "tab:orange"), (OURS, "tab:green")):
            curve = _get(run, scenario, driver, "curve")
            if curve is None:
                continue
            for state, width, style in (("active", 0.8, ":"), ("ready", 1.8, "-")):
                counts = list(range(1, len(curve[state]) + 1))
                panel.step(curve[state], counts, style, where="post", linewidth=width, color=colour,
                           label=f"{driver}: {state.upper()}")  # fmt: skip
        panel.set_title(titles[scenario], fontsize=10)
        panel.set_xlabel("seconds after the requests")
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("nodes")
    panels[0][0].legend(fontsize=7)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
