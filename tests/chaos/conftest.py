# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped pytest hooks
"""Fixtures of the chaos tests, and the table that is printed when they are over.

A trial has a launcher of its own, so that no fault outlives its test in a circuit breaker; regions, projects and proxy
are shared by all.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..cloud.cloud import Cloud
from ..nodepool_driver.conftest import (
    JARS,
    Coordination,
    Installation,
    answers_ruok,
    free_port,
    make_certificates,
    running,
    wait_for,
)
from .places import Places, places
from .trial import Row, Trial

ROWS: list[Row] = []


@dataclass
class ZooKeeperProcess:
    """A ZooKeeper that can be killed and started again on its data."""

    folder: Path
    coordination: Coordination
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = ":".join([str(self.folder), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])
        command = ["java", "-Xmx128m", "-cp", path, "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        self._process = self._stack.enter_context(
            running([*command, str(self.folder / "zoo.cfg")], self.folder / "log")
        )
        wait_for("ZooKeeper answers", lambda: answers_ruok(self.coordination), 60)

    def restart(self, seconds_down: float) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        time.sleep(seconds_down)
        self.start()

    def end(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def coordination(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperProcess]:
    folder = tmp_path_factory.mktemp("zookeeper")
    cert, key, both = make_certificates(folder)
    port = free_port()
    (folder / "zoo.cfg").write_text(
        f"dataDir={folder / 'data'}\ntickTime=2000\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n"
        f"secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\n"
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
        f"ssl.keyStore.location={both}\nssl.trustStore.location={cert}\n"
    )
    process = ZooKeeperProcess(folder, Coordination(port, cert, cert, key))
    try:
        process.start()
        yield process
    finally:
        process.end()


@pytest.fixture(scope="session")
def scene(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with places(cloud, tmp_path_factory.mktemp("chaos")) as found:
        yield found


@pytest.fixture
def trial(
    scene: Places, coordination: ZooKeeperProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Trial]:
    row = Row(request.node.name.removeprefix("test_").replace("_", " "))
    ROWS.append(row)
    for way in scene.proxy.ways.values():
        way.reset()
    with contextlib.ExitStack() as stack:
        made = Trial(scene, Installation(tmp_path, coordination.coordination), row, stack)
        yield made
    # What a failed test has left would be counted against the next one.
    for place in scene.projects.values():
        for server in place.member.compute.servers():
            place.member.compute.delete_server(server)
    wait_for("a clean scene", lambda: not scene.left(), 120, 1)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    terminalreporter.section("chaos")
    head = f"{'fault':<44} {'requests':>8} {'fulfilled':>9} {'seconds':>8} {'calm: before':>12} {'during':>7}"
    terminalreporter.line(f"{head} {'left':>8}  nodes")
    for row in ROWS:
        where = " ".join(f"{region}:{count}" for region, count in sorted(row.where.items()))
        terminalreporter.line(
            f"{row.name:<44} {row.requests:>8} {row.fulfilled:>9} {row.seconds:>8.1f} {row.calm_before:>12.1f}"
            f" {row.calm_during:>7.1f} {row.left:>8}  {where}"
        )
