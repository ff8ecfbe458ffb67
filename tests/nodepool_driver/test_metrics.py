# SPDX-License-Identifier: Apache-2.0
"""Figures per datacenter: what a real launcher sends to a real UDP listener, and what the docs say there is."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zuul_suse.datacenter import Gone, TryElsewhere
from zuul_suse.fleet.limiter import Limiter
from zuul_suse.fleet.metrics import NAMES, RateGate

from .conftest import Installation, wait_for
from .twin import Twin

PLACE = "nodepool.provider.suse.datacenter.nbg_1."
PAGE = Path(__file__).parents[2] / "docs" / "metrics.rst"


class Statsd:
    """Keeps what it is sent: by name, the type and the last value, and how often."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.values: dict[str, float] = {}
        self.types: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                lines = self._socket.recv(65536).decode().splitlines()
            except OSError:
                return
            for line in lines:
                name, value, kind = re.split(r"[:|]", line)[:3]
                self.values[name], self.types[name] = float(value), kind
                self.counts[name] = self.counts.get(name, 0) + 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    made = Statsd()
    monkeypatch.setenv("STATSD_HOST", "127.0.0.1")
    monkeypatch.setenv("STATSD_PORT", str(made.port))
    yield made
    made.close()


def test_launcher_sends_figures_of_each_datacenter(
    statsd: Statsd, install: Callable[..., Installation], tmp_path: Path
) -> None:
    twin = Twin(tmp_path / "nbg")
    twin.add("foreign")
    datacenter = {"name": "nbg.1", "kind": "fake", "state-dir": str(twin.folder), "boot-delay": 0.5, "max-servers": 5}
    label = {"name": "leap", "cloud-image": "leap", "cpus": 2, "ram": 4096}
    nodepool = install(
        {
            "name": "suse",
            "driver": "suse",
            "datacenters": [datacenter],
            "cloud-images": [{"name": "leap"}],
            "pools": [{"name": "main", "labels": [label]}],
        },
        {"leap": 0},
    )
    nodes = nodepool.fulfilled(nodepool.request("leap", "leap"))
    wait_for("both count as ready", lambda: statsd.values.get(PLACE + "servers.ready") == 2, 20)
    wait_for("none is being built", lambda: statsd.values.get(PLACE + "servers.building") == 0, 20)
    assert statsd.values[PLACE + "free.instances"] == 2
    assert statsd.values[PLACE + "free.cores"] == 1000 - 4
    assert statsd.values[PLACE + "free.ram"] == 10_000_000 - 2 * 4096
    assert statsd.values[PLACE + "breaker"] == 0
    assert statsd.counts[PLACE + "call.create.ok"] == 2
    assert statsd.types[PLACE + "call.create.ok"] == "c"
    assert statsd.types[PLACE + "call.list-servers"] == "ms"
    assert statsd.types[PLACE + "servers.ready"] == "g"
    assert 400 < statsd.values[PLACE + "boot"] < 20_000
    assert statsd.counts[PLACE + "boot"] == 2
    twin.fault("unreachable")
    wait_for("the breaker shows", lambda: statsd.values.get(PLACE + "breaker") == 2, 60)
    assert statsd.counts[PLACE + "call.list-servers.failed"] >= 3
    unknown = [name for name in statsd.values if name.startswith(PLACE) and not documented(name.removeprefix(PLACE))]
    assert unknown == []
    nodepool.give_back(nodes)


def on_the_page() -> dict[str, str]:
    """Name and type of each metric in the docs."""
    return dict(re.findall(r"^``([a-z.<>]+)``\s+(gauge|counter|timer) ", PAGE.read_text(), re.MULTILINE))


def documented(name: str) -> bool:
    patterns = [re.sub("<[a-z]+>", "[A-Za-z0-9-]+", re.escape(known)) for known in on_the_page()]
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def test_page_has_every_metric_with_its_type() -> None:
    page = {name.replace("<", "{").replace(">", "}"): kind for name, kind in on_the_page().items()}
    assert page == {name: kind for name, (kind, _) in NAMES.items()}


class Kept:
    """Metrics that are kept."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def gauge(self, name: str, value: float) -> None:
        self.sent.append(name)

    def count(self, name: str) -> None:
        self.sent.append(name)

    def time(self, name: str, seconds: float) -> None:
        self.sent.append(name)


def test_gate_counts_by_call_and_by_what_came_of_it() -> None:
    kept = Kept()
    gate = RateGate("nbg", Limiter(1000), kept, lambda: 0.0)
    with gate("GET servers/detail") as passage:
        passage.status = "200"
    for error in (Gone("x"), TryElsewhere("x"), RuntimeError("x")):
        with pytest.raises(type(error)), gate("DELETE servers"):
            raise error
    assert [name for name in kept.sent if name.count(".") == 2] == [
        "call.GET-servers-detail.200",
        "call.DELETE-servers.gone",
        "call.DELETE-servers.failed",
        "call.DELETE-servers.failed",
    ]


def test_datacenter_that_wants_to_be_left_alone_is_not_asked() -> None:
    limiter = Limiter(1000)
    limiter.rest(60)
    with pytest.raises(TryElsewhere, match="nbg: wants to be left alone for 60 s more") as caught:  # noqa: SIM117
        with RateGate("nbg", limiter, Kept(), lambda: 0.0)("GET servers"):
            pytest.fail("it was asked")
    assert caught.value.rest is not None
