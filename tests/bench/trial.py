# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool and the SDK have no types
"""One trial: N requests of one node each, until all are READY; then all released, until all are gone.

What is measured where: READY is the node's own `state_time` in ZooKeeper, ACTIVE is nova's `launched_at`, calls are
counted by the proxy between, processor time is the launcher's own without what it takes when idle. What the benchmark
itself asks the cloud goes past it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nodepool.zk import zookeeper as zk

from .launchers import LABEL, Launcher

IDLE = 15.0  # seconds in which the idle launcher is measured
BUSY = 0.1  # of a core: a launcher that starts takes more, an idle one less
Servers = Callable[[], list[Any]]  # of all regions, past the proxy


def tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that this share of all doesn't exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)] if ordered else None


@dataclass
class Trial:
    """One driver in one scenario, and its figures."""

    name: str
    driver: str
    count: int
    calls: Callable[[], Counter[str]]  # so far, by template
    servers: Servers
    launcher: Launcher
    patience: float
    figures: dict[str, Any] = field(default_factory=dict)
    _idle_rate: float = 0.0

    def run(self, before: Callable[[], None]) -> dict[str, Any]:
        """`before` is called when the launcher idles: the moment for a region to die."""
        self._settle()
        before()
        self.figures["load-average"] = [round(value, 2) for value in os.getloadavg()]
        began = time.time()
        with Phase(self, "create"):
            requests = [self._request() for _ in range(self.count)]
            ready = self._await_ready(requests)
        self._read_times(began, ready)
        if ready:
            with Phase(self, "delete"):
                self._release(requests)
                self._await_gone()
        return self.figures

    def _settle(self) -> None:
        """Wait until the launcher does nothing, and measure how much that is."""
        tell(f"{self.name}, {self.driver}: launcher starts")
        for _ in range(12):
            time.sleep(5)
            if not self.launcher.alive():
                raise SystemExit(f"the launcher ended: {self.launcher.folder / 'launcher.log'}")
            if self._rate(3) < BUSY:
                break
        self._idle_rate = self._rate(IDLE)
        self.figures["idle-cpu-percent"] = round(100 * self._idle_rate, 1)

    def _rate(self, seconds: float) -> float:
        before = self.launcher.cpu()
        time.sleep(seconds)
        return (self.launcher.cpu() - before) / seconds

    def _request(self) -> Any:
        request = zk.NodeRequest()
        request.node_types = [LABEL]
        request.requestor = "bench"
        request.state = zk.REQUESTED
        self.launcher.zk.storeNodeRequest(request, "100")
        return request

    def _await_ready(self, requests: list[Any]) -> dict[str, Any]:
        """Nodes of fulfilled requests by id; gives up after `patience` seconds without any progress."""
        waiting = {request.id for request in requests}
        nodes: dict[str, Any] = {}
        failed = 0
        told = progressed = time.monotonic()
        while waiting and time.monotonic() - progressed < self.patience:
            time.sleep(1)
            for request_id in sorted(waiting):
                now = self.launcher.zk.getNodeRequest(request_id)
                if now.state == zk.FULFILLED:
                    nodes |= {node_id: self.launcher.zk.getNode(node_id) for node_id in now.nodes}
                elif now.state == zk.FAILED:
                    failed += 1
                else:
                    continue
                waiting.discard(request_id)
                progressed = time.monotonic()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                tell(f"{self.name}, {self.driver}: {len(nodes)} of {self.count} READY, {failed} requests failed")
        self.figures |= {"ready": len(nodes), "failed": failed, "asked": self.count}
        return nodes

    def _read_times(self, began: float, nodes: Mapping[str, Any]) -> None:
        active = {server.id: launched for server in self.servers() if (launched := _launched(server)) is not None}
        ready = sorted(node.state_time - began for node in nodes.values())
        lags = [
            node.state_time - active[server_id]
            for node in nodes.values()
            if (server_id := str(node.external_id).rpartition("/")[2]) in active
        ]
        up = sorted(when - began for when in active.values() if when >= began - 1)
        marks = {"first": 0, "half": (len(ready) - 1) // 2, "last": -1}
        self.figures["ready-at"] = {mark: round(ready[place], 1) for mark, place in marks.items() if ready}
        self.figures["active-at"] = {
            mark: round(up[place], 1)
            for mark, place in (("first", 0), ("half", (len(up) - 1) // 2), ("last", -1))
            if up
        }
        self.figures["lag"] = {
            "p50": _round(statistics.median(lags) if lags else None),
            "p95": _round(percentile(lags, 0.95)),
            "max": _round(max(lags, default=None)),
            "measured": len(lags),
        }
        self.figures["curve"] = {"active": [round(when, 1) for when in up], "ready": [round(when, 1) for when in ready]}

    def _release(self, requests: list[Any]) -> None:
        for request in requests:
            now = self.launcher.zk.getNodeRequest(request.id)
            for node_id in now.nodes if now.state == zk.FULFILLED else ():
                node = self.launcher.zk.getNode(node_id)
                self.launcher.zk.lockNode(node, blocking=True, timeout=10)
                node.state = zk.USED
                self.launcher.zk.storeNode(node)
                self.launcher.zk.unlockNode(node)
            self.launcher.zk.deleteNodeRequest(now)

    def _await_gone(self) -> None:
        told = progressed = time.monotonic()
        left = self.count
        while left and time.monotonic() - progressed < self.patience:
            time.sleep(1)
            now = len(self.launcher.zk.getNodes())
            if now != left:
                left, progressed = now, time.monotonic()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                tell(f"{self.name}, {self.driver}: {left} nodes left")
        self.figures["left"] = left

    @property
    def idle_rate(self) -> float:
        return self._idle_rate


class Phase:
    """Counts calls and processor time of a part of a trial."""

    def __init__(self, trial: Trial, name: str) -> None:
        self._trial = trial
        self._name = name

    def __enter__(self) -> None:
        self._calls = self._trial.calls()
        self._cpu = self._trial.launcher.cpu()
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        took = time.monotonic() - self._began
        made = self._trial.calls() - self._calls
        used = self._trial.launcher.cpu() - self._cpu - took * self._trial.idle_rate
        nodes = max(1, self._trial.figures["ready"])
        self._trial.figures[self._name] = {
            "seconds": round(took, 1),
            "calls": made.total(),
            "calls-per-node": round(made.total() / nodes, 2),
            "calls-by-kind": dict(Counter(made).most_common(12)),
            "cpu-ms-per-node": round(1000 * used / nodes, 1),
        }
        tell(
            f"{self._trial.name}, {self._trial.driver}: {self._name} took {took:.0f} s, "
            f"{made.total() / nodes:.2f} calls and {1000 * used / nodes:.0f} ms per node"
        )


def _launched(server: Any) -> float | None:
    if not server.launched_at:
        return None
    # Nova keeps whole seconds, rounded down: on average it was half a second later.
    return datetime.fromisoformat(server.launched_at).replace(tzinfo=UTC).timestamp() + 0.5


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
