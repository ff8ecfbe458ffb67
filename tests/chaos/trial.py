# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""One trial: a launcher over the regions, requests of Zuul's, and the account of what became of them.

`victim` is where launches go first and where faults are made, `calm` a region that must not notice. `Trial.end` gives
all nodes back and sees to it that nothing is left anywhere after two rounds of clean-up. Made by the fixture `trial`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodepool.zk import zookeeper as zk

from ..nodepool_driver.conftest import Installation, running, wait_for
from .launcher import ROUND
from .places import Places

LAUNCHER = Path(__file__).parent / "launcher.py"
FIRST, CALM, VICTIM = "first", "calm", "victim"
LAUNCH_SECONDS = 150.0
SETTLE_SECONDS = 90.0  # for nova to delete what it was told to


@dataclass
class Row:
    """One line of the table."""

    name: str
    requests: int = 0
    fulfilled: int = 0
    seconds: float = 0.0  # until the last request of the fault was fulfilled
    calm_before: float = 0.0
    calm_during: float = 0.0
    where: Counter[str] = field(default_factory=Counter)
    left: str = "not looked"


@dataclass
class Trial:
    """See the module."""

    places: Places
    installation: Installation
    row: Row
    _stack: contextlib.ExitStack
    _nodes: list[Any] = field(default_factory=list)

    @property
    def victim(self) -> str:
        return self.places.cloud.regions[0]

    @property
    def calm(self) -> str:
        return self.places.cloud.regions[-1]

    @property
    def way(self) -> Any:
        """To the victim."""
        return self.places.proxy.ways[self.victim]

    def configure(self, **victim: Any) -> None:
        """Write nodepool.yaml; options for the victim."""
        regions = self.places.cloud.regions
        centers = [self.places.datacenter(region, **(victim if region == self.victim else {})) for region in regions]
        label = {"cloud-image": "image"}
        labels = [
            {"name": FIRST, **label, "weights": {self.victim: 1000}},
            {"name": CALM, **label, "datacenters": [self.calm]},
            {"name": VICTIM, **label, "datacenters": [self.victim]},
        ]
        image = {"name": "image", "image": self.places.cloud.image, "username": self.places.cloud.ssh_user}
        provider = {
            "name": "chaos",
            "driver": "suse",
            "boot-timeout": 90,
            "launch-retries": 1,  # Nodepool itself must hear of no failure
            "datacenters": centers,
            "cloud-images": [{**image, "connection-port": self.places.cloud.ssh_port}],
            "pools": [{"name": "main", "labels": labels}],
        }
        self.installation.write(provider, dict.fromkeys((FIRST, CALM, VICTIM), 0))

    def launch(self) -> None:
        """Start the launcher."""
        made = self.installation
        if made.client is None:
            made.connect()
            self._stack.callback(made.client.disconnect)
        command = [sys.executable, str(LAUNCHER), "-f", "-d", "-c", str(made.config_file)]
        made.launcher = self._stack.enter_context(running(command, made.folder / "launcher.log"))

    def kill(self) -> None:
        """kill -9, as the machine's fall would."""
        launcher = self.installation.launcher
        assert isinstance(launcher, subprocess.Popen)
        launcher.kill()
        launcher.wait()

    # Requests

    def request(self, label: str, count: int = 1) -> list[Any]:
        self.row.requests += count
        return [self.installation.request(label) for _ in range(count)]

    def fulfilled(self, requests: list[Any], seconds: float = LAUNCH_SECONDS) -> list[Any]:
        """Their nodes, of which none may lack an address or live in two places."""
        nodes = [node for request in requests for node in self.installation.fulfilled(request, seconds)]
        self.row.fulfilled += len(requests)
        for node in nodes:
            assert node.interface_ip, node
            assert node.host_keys, node
            self.row.where[node.az or node.external_id.split("/")[0]] += 1
        self._nodes.extend(nodes)
        return nodes

    def calm_launch(self) -> float:
        """One launch in the calm region: for how long the launcher itself kept it waiting, before it asked nova for a
        server and after nova had made it. What nova took in between depends on this machine, not on the fleet."""
        began = time.time()
        (node,) = self.fulfilled(self.request(CALM))
        ready = time.time()
        posts = [call for call in self.places.proxy.ways[self.calm].calls if call.at >= began and call.creates]
        server = self.places.projects[self.calm].member.compute.get_server(node.external_id.partition("/")[2])
        made = datetime.fromisoformat(server.launched_at).replace(tzinfo=UTC).timestamp()
        return (posts[0].at - began) + max(0.0, ready - made)

    def baseline(self) -> None:
        """The same before anything happens; not the launcher's first one, which looks up names and gets a token."""
        first = self.request(FIRST)
        self.calm_launch()
        self.row.calm_before = self.calm_launch()
        self.fulfilled(first)

    def ordeal(self, count: int = 2) -> list[Any]:
        """Launches that begin in the victim, and one in the calm region at the same time, which must not be slowed."""
        began = time.monotonic()
        requests = self.request(FIRST, count)
        self.row.calm_during = self.calm_launch()
        nodes = self.fulfilled(requests)
        self.row.seconds = time.monotonic() - began
        return nodes

    # The account

    def end(self) -> None:
        """Give everything back; after two rounds of clean-up nothing is left, and every node's record is gone."""
        self.installation.give_back(self._nodes)
        self._nodes = []
        rounds = self.installation.log.count(ROUND) + 1  # one is under way, maybe
        wait_for("two rounds of clean-up", lambda: self.installation.log.count(ROUND) >= rounds + 2, 60, 0.5)
        end = time.monotonic() + SETTLE_SECONDS
        while (left := self.places.left()) and time.monotonic() < end:
            time.sleep(1)
        self.row.left = "nothing" if not left else str(sum(map(len, left.values())))
        assert not left, f"{left}\n{self.installation.log[-3000:]}"
        wait_for("no node's record is left", lambda: not self.installation.nodes(), 20)
        slow = 3 * self.row.calm_before + 3
        during = f"calm region: {self.row.calm_during:.1f} s, before {self.row.calm_before:.1f} s"
        assert self.row.calm_during <= slow, during
        assert self.row.fulfilled == self.row.requests

    def building(self) -> list[Any]:
        return [node for node in self.installation.nodes() if node.state == zk.BUILDING]
