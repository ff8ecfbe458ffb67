# SPDX-License-Identifier: Apache-2.0

"""The two drivers' nodepool.yaml for the same regions, and a real, unmodified nodepool-launcher on it.

A launcher has a chroot of its own in ZooKeeper and sees the clouds through the proxy only. Its process is
ended with its group when the `with` ends, also after a failure.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from nodepool.zk import ZooKeeperClient
from nodepool.zk.zookeeper import ZooKeeper

from tests.nodepool_driver.conftest import BIN, Coordination, free_port, running

BUILT_IN, OURS = "built-in", "zuul-suse"
LABEL = "bench"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cloudware:
    """What a node is made of in the cloud at hand."""

    image: str
    flavor: str
    network: str


def built_in(regions: Sequence[str], ware: Cloudware) -> list[dict[str, Any]]:
    """One provider per region: the built-in driver knows no other way."""
    return [
        {
            "name": f"bench-{region}",
            "driver": "openstack",
            "cloud": region,
            "rate": 0.001,
            "boot-timeout": 300,
            "launch-timeout": 600,
            "port-cleanup-interval": 0,
            "cloud-images": [{"name": "image", "image-name": ware.image, "username": "root"}],
            "pools": [
                {
                    "name": "main",
                    "networks": [ware.network],
                    "auto-floating-ip": False,
                    "host-key-checking": False,
                    "labels": [
                        {
                            "name": LABEL,
                            "cloud-image": "image",
                            "flavor-name": ware.flavor,
                            "host-key-checking": False,
                        }
                    ],
                }
            ],
        }
        for region in regions
    ]


def ours(regions: Sequence[str], ware: Cloudware) -> list[dict[str, Any]]:
    """One provider for all."""
    label = {"flavor-name": ware.flavor, "networks": [ware.network]}
    return [
        {
            "name": "bench",
            "driver": "suse",
            "boot-timeout": 300,
            "launch-timeout": 600,
            "host-key-checking": False,
            "datacenters": [{"name": region, "kind": "openstack", "cloud": region} for region in regions],
            "cloud-images": [{"name": "image", "image": ware.image, "username": "root"}],
            "pools": [{"name": "main", "labels": [{"name": LABEL, "cloud-image": "image", "openstack": label}]}],
        }
    ]


@dataclass
class Launcher:
    """One launcher while it runs."""

    folder: Path
    zookeeper: Coordination
    clouds_yaml: Path
    root: str = field(default_factory=lambda: f"/bench-{uuid.uuid4().hex[:8]}")
    process: Any = None
    client: Any = None
    zk: Any = None

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @contextlib.contextmanager
    def run(self, providers: list[dict[str, Any]]) -> Iterator[Launcher]:
        tls = {name: str(getattr(self.zookeeper, name)) for name in ("cert", "key", "ca")}
        config = {
            "zookeeper-servers": [{"host": "127.0.0.1", "port": self.zookeeper.port, "chroot": self.root}],
            "zookeeper-tls": tls,
            "webapp": {"port": free_port(), "listen_address": "127.0.0.1"},
            "labels": [{"name": LABEL, "min-ready": 0}],
            "providers": providers,
        }
        file = self.folder / "nodepool.yaml"
        file.write_text(yaml.safe_dump(config))
        hosts = f"127.0.0.1:{self.zookeeper.port}{self.root}"
        self.client = ZooKeeperClient(hosts, **{f"tls_{name}": path for name, path in tls.items()})
        self.client.connect()
        self.zk = ZooKeeper(self.client, enable_cache=False)
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml)}
        command = [str(BIN / "nodepool-launcher"), "-f", "-c", str(file)]
        try:
            with running(command, self.folder / "launcher.log", env=environment) as self.process:
                yield self
        finally:
            self.client.disconnect()

    def alive(self) -> bool:
        return isinstance(self.process, subprocess.Popen) and self.process.poll() is None
