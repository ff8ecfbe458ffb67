# SPDX-License-Identifier: Apache-2.0
"""Makes figures of a run: what `--json` prints, and what the table and the plot are drawn from.

Pure. Seconds everywhere, rounded to milliseconds, keys in a fixed order: the same seed gives the same bytes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from zuul_suse.datacenter import Quota, total
from zuul_suse.simulation.journal import Journal, Wait
from zuul_suse.simulation.node import READY, USED
from zuul_suse.simulation.scenario import HOUR, Outage
from zuul_suse.simulation.simulation import Simulation

Figures = dict[str, Any]

SIZES = ((1, 1), (2, 3), (4, 7), (8, math.inf))  # requests are told apart by how many nodes they have
CALLS = ("create", "delete", "list_servers", "limits")


def rank(ordered: Sequence[float], part: float) -> float:
    """The smallest value that this part of all doesn't exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]


def distribution(values: Iterable[float]) -> Figures:
    """How values are spread."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    marks = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        "count": len(ordered),
        "mean": round(sum(ordered) / len(ordered), 3),
        **{name: round(rank(ordered, part), 3) for name, part in marks.items()},
    }


def figures(run: Simulation) -> Figures:
    """All figures of a run that is over."""
    journal, scenario = run.journal, run.scenario
    return {
        "scenario": {
            "seed": scenario.seed,
            "hours": scenario.hours,
            "datacenters": len(scenario.sites),
            "room": sum(site.max_servers for site in scenario.sites),
            "ready": scenario.ready,
            "requests-per-day": scenario.load.requests_per_day,
        },
        "requests": {
            "fulfilled": len(journal.waits),
            "failed": journal.failed,
            "unfulfilled": run.host.waiting,
            "nodes": sum(wait.size for wait in journal.waits),
            "from-ready-nodes": sum(not wait.launched for wait in journal.waits),
        },
        "demand": demand(run),
        "waits": _waits(journal.waits),
        "launches": {
            "begun": journal.began,
            "arrived": sum(journal.launched.values()),
            "failovers": len(journal.leavings),
            "begun-anew": journal.retried,
            "evicted": journal.evicted,
            "seconds": distribution(journal.boots),
        },
        "api": _calls(run),
        "spread": _spread(run),
        "outages": [_outage(journal, outage, name) for outage in scenario.outages for name in outage.datacenters],
        "breakers": {
            "openings": sum(len(known) for known in journal.openings.values()) + len(journal.open_since),
            "not-closed-at-the-end": sorted(journal.open_since),
        },
        "leaks": leaks(run),
        "events": run.threads.events,
    }


def demand(run: Simulation) -> Figures:
    """What the requests would use at once if none of them waited, as a part of the room beside others' servers, of
    servers, cores or RAM, whichever is scarcest: over all the time, and in the busiest hour. Spare nodes make way."""
    scenario = run.scenario
    labels = {label.name: label for label in scenario.labels}
    rooms = [one.room_for_us() for one in run.datacenters.values()]
    hours = max(1, math.ceil(scenario.hours))
    used = [Quota() for _ in range(hours)]
    for wish in run.wishes:
        need = total(Quota(1, labels[name].cpus, labels[name].ram) for name in wish.labels)
        for hour in range(int(wish.at / HOUR), min(hours, math.ceil((wish.at + wish.hold) / HOUR))):
            part = (min(wish.at + wish.hold, (hour + 1) * HOUR, scenario.end) - max(wish.at, hour * HOUR)) / HOUR
            used[hour] += Quota(need.instances * part, need.cores * part, need.ram * part)
    room, mean, busiest = total(rooms), total(used), max(range(hours), key=lambda hour: used[hour].instances)
    waiting = run.host.unfulfilled()
    return {
        "room": room.instances,
        "servers": round(mean.instances / scenario.hours, 1),
        "of-room": round(_part(mean, room) / scenario.hours, 3),
        "busiest-hour": busiest,
        "busiest-hour-servers": round(used[busiest].instances, 1),
        "busiest-hour-of-room": round(_part(used[busiest], room), 3),
        "longest-waiting": round(max((run.end - request.at for request in waiting), default=0.0), 3),
    }


def _part(need: Quota, room: Quota) -> float:
    pairs = ((need.instances, room.instances), (need.cores, room.cores), (need.ram, room.ram))
    return max(amount / most if most > 0 else 0.0 for amount, most in pairs)


def _waits(waits: Sequence[Wait]) -> Figures:
    groups = {"all": distribution(wait.seconds for wait in waits)}
    groups["launched"] = distribution(wait.seconds for wait in waits if wait.launched)
    for least, most in SIZES:
        name = str(least) if least == most else f"{least}-{most:.0f}" if math.isfinite(most) else f"{least}+"
        groups[f"{name} nodes"] = distribution(wait.seconds for wait in waits if least <= wait.size <= most)
    return groups


def _calls(run: Simulation) -> Figures:
    calls: Counter[str] = Counter()
    for datacenter in run.datacenters.values():
        calls.update(datacenter.calls)
    nodes = max(1, sum(run.journal.launched.values()))
    return {
        "calls": {name: calls[name] for name in CALLS},
        "per-node": {name: round(calls[name] / nodes, 3) for name in CALLS},
        "per-node-all": round(sum(calls.values()) / nodes, 3),
    }


def _spread(run: Simulation) -> Figures:
    left = Counter(name for _, name in run.journal.leavings)
    told = {}
    for index, (name, datacenter) in enumerate(run.datacenters.items()):
        loads = [sample.loads[index] for sample in run.journal.samples]
        told[name] = {
            "room": datacenter.site.max_servers,
            "weight": datacenter.site.weight,
            "launched": run.journal.launched[name],
            "left": left[name],
            "load-mean": round(sum(loads) / max(1, len(loads)), 3),
            "load-peak": round(max(loads, default=0.0), 3),
            "calls": sum(datacenter.calls.values()),
        }
    return {"load-mean": distribution(one["load-mean"] for one in told.values()), "datacenters": told}


def _outage(journal: Journal, outage: Outage, name: str) -> Figures:
    """What an outage did in one datacenter, and what the breaker made of it."""
    openings = list(journal.openings.get(name, []))
    if name in journal.open_since:
        openings.append((journal.open_since[name], math.inf))
    opened = next((one for one in openings if one[0] < outage.end and one[1] > outage.at), None)
    told: Figures = {
        "datacenter": name,
        "fault": outage.fault,
        "begin": outage.at,
        "seconds": outage.length,
        "share": outage.share,
        "failovers": sum(place == name and outage.at <= at < outage.end + 60 for at, place in journal.leavings),
        "opened-after": None,
        "open-for": None,
        "closed-after-its-end": None,
    }
    if opened is not None:
        told["opened-after"] = round(opened[0] - outage.at, 3)
        if math.isfinite(opened[1]):
            told["open-for"] = round(opened[1] - opened[0], 3)
            told["closed-after-its-end"] = round(opened[1] - outage.end, 3)
    return told


def leaks(run: Simulation) -> Figures:
    """Servers of ours that no node has, nodes that have no server, and others' servers that went."""
    owned = {node.address for node in run.host.launcher.nodes.values()} - {None}
    there = {f"{name}/{key}" for name, datacenter in run.datacenters.items() for key in datacenter.ours()}
    alive = {node.address for node in run.host.launcher.nodes.values() if node.state in (READY, USED)}
    return {
        "servers": len(there - owned),
        "nodes-without-server": len(alive - there),
        "foreign-servers-gone": sum(one.site.foreign - one.foreign() for one in run.datacenters.values()),
    }
