# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""The fleet's figures to Nodepool's statsd: nodepool.provider.<provider>.datacenter.<datacenter>.<name>.

Nodepool itself decides whether there is a statsd, by STATSD_HOST and STATSD_PORT. Sends a datagram at once and waits
for nothing; called by all threads of a datacenter.
"""

from __future__ import annotations

from typing import Any

from nodepool import stats  # type: ignore[attr-defined]
from zuul_suse.fleet.metrics import Metrics, NoMetrics


class StatsdMetrics:
    """See the module."""

    def __init__(self, client: Any, provider: str, datacenter: str) -> None:
        self._client = client
        self._place = f"nodepool.provider.{provider}.datacenter.{stats.normalize_statsd_name(datacenter)}."

    def gauge(self, name: str, value: float) -> None:
        self._client.gauge(self._place + name, value)

    def count(self, name: str) -> None:
        self._client.incr(self._place + name)

    def time(self, name: str, seconds: float) -> None:
        self._client.timing(self._place + name, seconds * 1000)


def metrics_of(provider: str, datacenter: str) -> Metrics:
    """Where a datacenter's figures go."""
    client = stats.get_client()
    return StatsdMetrics(client, provider, datacenter) if client else NoMetrics()
