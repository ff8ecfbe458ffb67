# SPDX-License-Identifier: Apache-2.0
"""The sandbox's ZooKeeper: Debian's package, a private instance, TLS on loopback.

Owns `zookeeper/` of the state folder and `etc/zookeeper/`. Its data outlives `down`: Nodepool's images are known there.
"""

import socket
import ssl
from pathlib import Path

from zuul_suse.sandbox.certificates import Certificates, Client
from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.templates import render
from zuul_suse.sandbox.users import ZOOKEEPER

# Debian's manifest leaves netty-codec out, so the class path is spelled out.
JARS = ("zookeeper", "netty-codec", "netty-resolver", "slf4j-log4j12", "log4j-1.2")


def configure(state: State, files: Certificates) -> None:
    folder = state.folder("etc", "zookeeper")
    render(
        "zoo.cfg.j2",
        folder / "zoo.cfg",
        data=state.folder("zookeeper"),
        port=state.port("zookeeper"),
        server=files.server,
        ca=files.zuul.ca,
    )
    render("zookeeper-log4j.properties.j2", folder / "log4j.properties")


def service(state: State, files: Certificates) -> Service:
    folder = state.root / "etc" / "zookeeper"
    class_path = ":".join([str(folder), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])
    command = ("java", "-Xmx256m", "-cp", class_path, "org.apache.zookeeper.server.quorum.QuorumPeerMain")
    return Service(
        name="zookeeper",
        command=(*command, str(folder / "zoo.cfg")),
        user=ZOOKEEPER,
        environment={"HOME": str(state.root / "zookeeper")},
        check=lambda: is_ok(state.port("zookeeper"), files.zuul),
        port_names=("zookeeper",),
    )


def is_ok(port: int, files: Client) -> bool:
    """ZooKeeper's own answer to `ruok`."""
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(str(files.certificate), str(files.key))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=3) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            link.sendall(b"ruok")
            return link.recv(4) == b"imok"
    except OSError:
        return False


def missing_jars() -> list[Path]:
    """Jars of Debian's packages that this machine lacks."""
    return [path for jar in JARS if not (path := Path("/usr/share/java") / f"{jar}.jar").exists()]
