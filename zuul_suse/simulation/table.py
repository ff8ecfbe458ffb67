# SPDX-License-Identifier: Apache-2.0
"""Words and small pictures for a terminal, from the figures of a run. Pure: gives lines, prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zuul_suse.simulation.journal import Sample, Wait
from zuul_suse.simulation.report import Figures
from zuul_suse.simulation.scenario import HOUR, MINUTE

BLOCKS = "▁▂▃▄▅▆▇█"
BOUNDS = (1, 2, 5, 10, 30, 60, 120, 300)
BAR = 40


def span(seconds: float | None) -> str:
    """A time that people can read: 0.8 s, 42 s, 3:05 min, 1:30 h."""
    if seconds is None:
        return "-"
    if abs(seconds) < 10:
        return f"{seconds:.1f} s"
    if abs(seconds) < MINUTE:
        return f"{seconds:.0f} s"
    sign, whole = ("-" if seconds < 0 else ""), round(abs(seconds))
    if whole < HOUR:
        return f"{sign}{whole // 60}:{whole % 60:02d} min"
    return f"{sign}{whole // 3600}:{whole % 3600 // 60:02d} h"


def clock(seconds: float) -> str:
    """A time of day."""
    return f"{int(seconds // HOUR):02d}:{int(seconds % HOUR // MINUTE):02d}"


def grid(head: Sequence[str], rows: Sequence[Sequence[object]], words: int = 1) -> list[str]:
    """Columns; the first `words` of them are words and stand on the left."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if index < words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def sparkline(values: Sequence[float], width: int = 72) -> str:
    """The course of a value, lowest to highest."""
    if not values:
        return ""
    width = min(width, len(values))
    means = []
    for index in range(width):
        part = values[index * len(values) // width : (index + 1) * len(values) // width]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def histogram(waits: Sequence[Wait]) -> list[str]:
    """How many requests waited how long; the bars grow with the logarithm, or the few late ones could not be seen."""
    counts = [0] * (len(BOUNDS) + 1)
    for wait in waits:
        counts[sum(wait.seconds > bound for bound in BOUNDS)] += 1
    longest = max(counts) or 1
    names = [f"to {span(bound)}" for bound in BOUNDS] + ["longer"]
    return [
        f"  {name:>12} {count:>6} {'█' * round(BAR * count.bit_length() / longest.bit_length())}".rstrip()
        for name, count in zip(names, counts, strict=True)
    ]


def lines(told: Figures, waits: Sequence[Wait], samples: Sequence[Sample]) -> Iterator[str]:
    """The whole account."""
    yield from _head(told)
    yield ""
    yield "waits, from a request to its last node"
    names = ("p50", "p95", "p99", "max")
    rows = [[name, one["count"], *(span(one.get(key)) for key in names)] for name, one in told["waits"].items()]
    yield from grid(["", "requests", *names], rows)
    yield from histogram(waits)
    yield ""
    yield from _outages(told)
    yield ""
    yield from _spread(told)
    yield ""
    yield from _courses(told, samples)


def _courses(told: Figures, samples: Sequence[Sample]) -> Iterator[str]:
    courses = {
        "in use": [sample.used for sample in samples],
        "ready": [sample.ready for sample in samples],
        "waiting": [sample.waiting for sample in samples],
        "not closed": [sample.out for sample in samples],
    }
    yield f"over the {told['scenario']['hours']:g} hours: nodes in use and ready, requests waiting, breakers not closed"
    for name, values in courses.items():
        yield f"{name:>12} {sparkline(values)} {min(values, default=0)} to {max(values, default=0)}"


def _demand(told: Figures) -> str:
    """Whether all of it can fit; what can't waits."""
    demand, waiting = told["demand"], told["requests"]["unfulfilled"]
    line = (
        f"demand:    {demand['servers']:g} servers at once on the mean, {demand['busiest-hour-servers']:g} from "
        f"{clock(demand['busiest-hour'] * HOUR)} on; room for {demand['room']:g} "
        f"({demand['of-room']:.0%} and {demand['busiest-hour-of-room']:.0%} of it)"
    )
    if demand["busiest-hour-of-room"] > 1:
        line += ": more than fits"
    if waiting:
        line += f"; {waiting} requests still wait at the end, the oldest for {span(demand['longest-waiting'])}"
    return line


def _head(told: Figures) -> Iterator[str]:
    scenario, requests, launches, api = told["scenario"], told["requests"], told["launches"], told["api"]
    yield (
        f"{scenario['datacenters']} datacenters with room for {scenario['room']} servers, {scenario['ready']} nodes "
        f"kept ready, {scenario['hours']:g} hours, seed {scenario['seed']}"
    )
    yield _demand(told)
    yield (
        f"requests:  {requests['fulfilled']} fulfilled with {requests['nodes']} nodes, {requests['failed']} failed, "
        f"{requests['unfulfilled']} still waiting; {requests['from-ready-nodes']} had ready nodes only"
    )
    yield (
        f"launches:  {launches['arrived']} arrived, p50 {span(launches['seconds'].get('p50'))}, "
        f"p99 {span(launches['seconds'].get('p99'))}; {launches['failovers']} failovers, "
        f"{launches['begun-anew']} begun anew, {launches['evicted']} ready nodes gave way"
    )
    calls = ", ".join(f"{name.removesuffix('_servers')} {count:g}" for name, count in api["per-node"].items())
    yield f"API calls: {api['per-node-all']:g} per node ({calls})"
    leaked = told["leaks"]
    yield (
        f"at the end: {leaked['servers']} servers leaked, {leaked['nodes-without-server']} nodes without a server, "
        f"{leaked['foreign-servers-gone']} foreign servers gone"
    )


def _outages(told: Figures) -> Iterator[str]:
    if not told["outages"]:
        yield "no outages"
        return
    yield "outages, and the datacenter's breaker"
    head = ["datacenter", "fault", "at", "for", "failovers", "opened after", "open for", "closed after its end"]
    rows = [
        [
            one["datacenter"],
            one["fault"] + (f" ({one['share']:.0%})" if one["share"] < 1 else ""),
            clock(one["begin"]),
            span(one["seconds"]),
            one["failovers"],
            span(one["opened-after"]),
            span(one["open-for"]) if one["opened-after"] is None or one["open-for"] is not None else "to the end",
            span(one["closed-after-its-end"]),
        ]
        for one in told["outages"]
    ]
    yield from grid(head, rows, words=2)
    left = told["breakers"]["not-closed-at-the-end"]
    yield f"  breakers opened {told['breakers']['openings']} times; not closed at the end: {', '.join(left) or 'none'}"


def _spread(told: Figures) -> Iterator[str]:
    load = told["spread"]["load-mean"]
    yield f"spread: load of a datacenter over the time, p50 {load.get('p50', 0):.0%}, most {load.get('max', 0):.0%}"
    head = ["datacenter", "room", "weight", "launched", "left", "mean load", "peak", "calls"]
    rows = [
        [
            name,
            one["room"],
            f"{one['weight']:g}",
            one["launched"],
            one["left"],
            f"{one['load-mean']:.0%}",
            f"{one['load-peak']:.0%}",
            one["calls"],
        ]
        for name, one in told["spread"]["datacenters"].items()
    ]
    yield from grid(head, rows)
