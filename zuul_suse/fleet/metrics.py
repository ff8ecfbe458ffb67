# SPDX-License-Identifier: Apache-2.0
"""What the fleet tells of itself, and the gate that every request to a datacenter's API passes.

The fleet knows no metrics system: a shell gives each Member something with the three methods of `Metrics`, which adds
the datacenter's place before the names below and sends them off. Called by all threads of a Member; must not block and
must not raise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from zuul_suse.datacenter import (
    Gone,
    NoCapacity,
    Passage,
    Quota,
    TryElsewhere,
    WrongConfiguration,
    usable_rest,
)
from zuul_suse.fleet.breaker import CLOSED, HALF_OPEN, OPEN
from zuul_suse.fleet.limiter import Limiter

# Every name there is, with its type and meaning; `{call}` is what was asked of the API, `{status}` how it went.
NAMES: Mapping[str, tuple[str, str]] = {
    "servers.ready": ("gauge", "servers of this provider that run and can be reached"),
    "servers.building": ("gauge", "launches that have a place here and whose server can't be reached yet"),
    "servers.stuck": ("gauge", "servers that were to go minutes ago and are still there"),
    "free.instances": ("gauge", "servers that fit beside everything that is there and in flight"),
    "free.cores": ("gauge", "cores that are free likewise; absent if nobody limits them"),
    "free.ram": ("gauge", "RAM in MiB that is free likewise; absent if nobody limits it"),
    "breaker": ("gauge", "0 closed, 1 half-open, 2 open"),
    "call.{call}.{status}": (
        "counter",
        "requests to the API by method and path, and by HTTP status; `ok` where there is none, `failed`, `refused`, "
        "`gone` or `no-capacity` where none came",
    ),
    "call.{call}": ("timer", "what a request took, without waiting for the rate limit"),
    "boot": ("timer", "from the create call until the server can be reached"),
}
STATUS: Mapping[type[Exception], str] = {
    Gone: "gone",
    NoCapacity: "no-capacity",
    TryElsewhere: "failed",
    WrongConfiguration: "refused",
}


class Metrics(Protocol):
    """Where figures go. Seconds, not milliseconds."""

    def gauge(self, name: str, value: float) -> None: ...

    def count(self, name: str) -> None: ...

    def time(self, name: str, seconds: float) -> None: ...


class NoMetrics:
    """Of a fleet that nobody watches."""

    def gauge(self, name: str, value: float) -> None:
        pass

    def count(self, name: str) -> None:
        pass

    def time(self, name: str, seconds: float) -> None:
        pass


_STATES = {CLOSED: 0, HALF_OPEN: 1, OPEN: 2}


def tell_state(metrics: Metrics, breaker: str, ready: int, building: int, stuck: int, free: Quota | None) -> None:
    """The gauges, after each list."""
    metrics.gauge("breaker", _STATES[breaker])
    metrics.gauge("servers.ready", ready)
    metrics.gauge("servers.building", building)
    metrics.gauge("servers.stuck", stuck)
    for name in ("instances", "cores", "ram"):
        value = getattr(free, name, math.inf)
        if math.isfinite(value):
            metrics.gauge(f"free.{name}", value)


class LeftAlone(TryElsewhere):
    """The request was not made: the datacenter had asked to be left alone. Says nothing about how it is now."""


class RateGate:
    """A datacenter's `gate`: waits for the limiter, then counts and times the request.

    Whatever the request was for and whoever made it: `on_rest` is told for how long its answer asks to be left alone.
    """

    PATIENCE = 2.0  # a datacenter that wants to be left alone for longer must not hold up a worker thread

    def __init__(
        self,
        place: str,
        limiter: Limiter,
        metrics: Metrics,
        clock: Callable[[], float],
        on_rest: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._place = place
        self._on_rest = on_rest
        self._limiter = limiter
        self._metrics = metrics
        self._clock = clock

    @contextmanager
    def __call__(self, call: str) -> Iterator[Passage]:
        left = self._limiter.rests_for
        if left > self.PATIENCE:
            raise LeftAlone(f"{self._place}: wants to be left alone for {left:.0f} s more", rest=left)
        self._limiter.wait()
        name = re.sub(r"[^A-Za-z0-9]+", "-", call).strip("-")
        began = self._clock()
        passage = Passage()
        try:
            yield passage
        except Exception as error:
            passage.status = STATUS.get(type(error), "failed")
            passage.rest = passage.rest or getattr(error, "rest", None)
            raise
        finally:
            rest = usable_rest(passage.rest)
            if rest is not None:
                self._on_rest(rest)
            self._metrics.time(f"call.{name}", self._clock() - began)
            self._metrics.count(f"call.{name}.{passage.status}")
