# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and untyped Nodepool
"""A private ZooKeeper with TLS, and real launchers against it.

Everything runs on free ports in pytest's own folders and is ended by its process group, also after a failure.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from nodepool.config import Config
from nodepool.driver import Drivers
from nodepool.zk import ZooKeeperClient
from nodepool.zk import zookeeper as zk
from nodepool.zk.zookeeper import ZooKeeper

from zuul_suse.nodepool_driver.adapter import SuseAdapter

from ..datacenter.lxd_daemon import Daemon, private_daemon, tiny_root

BIN = Path(sys.executable).parent
JARS = ("zookeeper", "netty-codec", "netty-resolver", "slf4j-log4j12", "log4j-1.2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, check: Callable[[], Any], seconds: float = 30.0, pause: float = 0.1) -> Any:
    """The first true value of `check`, or a failure that names what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(pause)
    pytest.fail(f"{what}: not within {seconds:g} s")


@contextlib.contextmanager
def running(command: list[str], log: Path, **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its own group, which is killed at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **kwargs)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class Coordination:
    """A running ZooKeeper: port and the files for TLS."""

    port: int
    ca: Path
    cert: Path
    key: Path


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """One self-signed certificate serves as CA, server and client."""
    cert, key, both = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + cert.read_text())
    return cert, key, both


def answers_ruok(zookeeper: Coordination) -> bool:
    context = ssl.create_default_context(cafile=str(zookeeper.ca))
    context.load_cert_chain(zookeeper.cert, zookeeper.key)
    try:
        with (
            socket.create_connection(("127.0.0.1", zookeeper.port), timeout=2) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(b"ruok")
            return link.recv(4) == b"imok"
    except OSError:
        return False


@contextlib.contextmanager
def private_zookeeper(folder: Path) -> Iterator[Coordination]:
    """A ZooKeeper with its data and certificates in this folder."""
    if shutil.which("java") is None or not Path("/usr/share/java/zookeeper.jar").exists():
        pytest.fail("Debian's packages zookeeper and default-jre-headless are needed (see bindep.txt)")
    cert, key, both = make_certificates(folder)
    port = free_port()
    config = folder / "zoo.cfg"
    config.write_text(
        f"dataDir={folder / 'data'}\ntickTime=2000\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n"
        f"secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\n"
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
        f"ssl.keyStore.location={both}\nssl.trustStore.location={cert}\n"
    )
    class_path = ":".join([str(folder), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])
    command = ["java", "-Xmx128m", "-cp", class_path, "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
    with running([*command, str(config)], folder / "log"):
        found = Coordination(port, cert, cert, key)
        wait_for("ZooKeeper answers", lambda: answers_ruok(found))
        yield found


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordination]:
    with private_zookeeper(tmp_path_factory.mktemp("zookeeper")) as found:
        yield found


@dataclass
class Installation:
    """One nodepool.yaml in a chroot of its own, a launcher that runs on it, and Zuul's side of the bargain."""

    folder: Path
    zookeeper: Coordination
    root: str = field(default_factory=lambda: f"/test-{uuid.uuid4().hex[:8]}")
    client: Any = None
    zk: Any = None
    launcher: subprocess.Popen[bytes] | None = None
    taken: list[Any] = field(default_factory=list)

    @property
    def config_file(self) -> Path:
        return self.folder / "nodepool.yaml"

    @property
    def log(self) -> str:
        path = self.folder / "launcher.log"
        return path.read_text() if path.exists() else ""

    def write(self, provider: dict[str, Any], labels: dict[str, int], **more: Any) -> None:
        config = {
            "zookeeper-servers": [{"host": "127.0.0.1", "port": self.zookeeper.port, "chroot": self.root}],
            "zookeeper-tls": {name: str(getattr(self.zookeeper, name)) for name in ("cert", "key", "ca")},
            "webapp": {"port": free_port(), "listen_address": "127.0.0.1"},
            "labels": [{"name": name, "min-ready": ready} for name, ready in labels.items()],
            "providers": [provider],
            **more,
        }
        self.config_file.write_text(yaml.safe_dump(config))

    def connect(self) -> None:
        tls = {"tls_cert": self.zookeeper.cert, "tls_key": self.zookeeper.key, "tls_ca": self.zookeeper.ca}
        self.client = ZooKeeperClient(
            f"127.0.0.1:{self.zookeeper.port}{self.root}", **{name: str(path) for name, path in tls.items()}
        )
        self.client.connect()
        self.zk = ZooKeeper(self.client, enable_cache=False)

    # What Zuul does

    def request(self, *labels: str) -> Any:
        request = zk.NodeRequest()
        request.node_types = list(labels)
        request.requestor = "tests"
        request.state = zk.REQUESTED
        self.zk.storeNodeRequest(request, "100")
        return request

    def fulfilled(self, request: Any, seconds: float = 30.0) -> list[Any]:
        """The nodes of a request, locked as Zuul locks them."""

        def ended() -> Any:
            now = self.zk.getNodeRequest(request.id)
            return now if now.state in (zk.FULFILLED, zk.FAILED) else None

        now = wait_for(f"request for {request.node_types}", ended, seconds)
        assert now.state == zk.FULFILLED, self.log[-4000:]
        nodes = [self.zk.getNode(node_id) for node_id in now.nodes]
        for node in nodes:
            self.zk.lockNode(node, blocking=True, timeout=5)
            self.taken.append(node)
        self.zk.deleteNodeRequest(now)
        return nodes

    def end(self) -> None:
        """What Zuul does with all it has and wants when it is told to forget everything."""
        for request in list(self.zk.nodeRequestIterator(cached=False)):
            self.zk.deleteNodeRequest(request)
        self.give_back([node for node in self.taken if node.lock])
        self.taken.clear()

    def give_back(self, nodes: list[Any]) -> None:
        for node in nodes:
            node.state = zk.USED
            self.zk.storeNode(node)
            self.zk.unlockNode(node)

    def nodes(self, label: str | None = None) -> list[Any]:
        nodes = list(self.zk.nodeIterator(cached=False))
        return [node for node in nodes if label is None or node.type[0] == label]


@contextlib.contextmanager
def open_adapter(section: dict[str, Any]) -> Iterator[SuseAdapter]:
    """The adapter as Nodepool makes it, through its own driver loader; its datacenters are listed all the time."""
    whole = Config()
    whole.setLabels([{"name": "leap"}])
    driver = Drivers.get("suse")
    config = driver.getProviderConfig(copy.deepcopy(section))
    config.load(whole)
    made = driver.getAdapter(config)
    for member in made.fleet.members.values():
        member.pace.QUICK = member.pace.STEADY = member.pace.SLOW = 0.05
    yield made
    made.stop()


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    with private_daemon() as found:
        yield found


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_root(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def install(zookeeper: Coordination, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Installation]]:
    """Writes a nodepool.yaml and starts the unmodified nodepool-launcher on it."""
    with contextlib.ExitStack() as stack:

        def start(provider: dict[str, Any], labels: dict[str, int], **more: Any) -> Installation:
            made = Installation(tmp_path_factory.mktemp("nodepool"), zookeeper)
            made.write(provider, labels, **more)
            made.connect()
            stack.callback(made.client.disconnect)
            command = [str(BIN / "nodepool-launcher"), "-f", "-d", "-c", str(made.config_file)]
            made.launcher = stack.enter_context(running(command, made.folder / "launcher.log"))
            return made

        yield start
