# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and untyped Nodepool
"""A private LXD (or Incus) daemon with a bridge of its own, and a root file system small enough for tests.

Used by the fixtures of tests/datacenter and tests/nodepool_driver. Touches no other daemon on the machine: own state
folder, bridge and subnet, all removed at the end.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT, PROFILE = "zuul-suse-test", "zuul-suse-test-node"
FILES = {
    "etc/inittab": "::sysinit:/etc/network\n::respawn:/usr/sbin/dropbear -R -F -E\n",
    "etc/network": "#!/bin/sh\necho tiny asks for an address >/dev/console\n"
    "exec udhcpc -i eth0 -q -n -t 30 -A 1 -s /etc/lease\n",
    "etc/lease": '#!/bin/sh\n[ "$1" = bound ] && exec ifconfig "$interface" "$ip" netmask "$subnet"\n'
    'exec ifconfig "$interface" up\n',
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/shells": "/bin/sh\n",
}


@dataclass(frozen=True)
class Daemon:
    """A running daemon."""

    folder: Path
    program: str
    bridge: str

    @property
    def socket(self) -> Path:
        return self.folder / "unix.socket"

    def run(self, *command: str, text: str | None = None) -> str:
        variables = {"LXD_DIR": str(self.folder), "INCUS_DIR": str(self.folder)}
        done = subprocess.run(
            command,
            input=text,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done.stdout

    def options(self, **more: Any) -> dict[str, Any]:
        """Those of a datacenter of kind incus."""
        return {"url": str(self.socket), "project": PROJECT, "profiles": [PROFILE], **more}


def free_subnet() -> str:
    """A /24 that no route of this machine touches."""
    routes = json.loads(subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, check=True).stdout)
    taken = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default"]
    for _ in range(200):
        found = ipaddress.ip_network(f"10.{secrets.choice(range(190, 250))}.{secrets.randbelow(256)}.0/24")
        if not any(found.overlaps(network) for network in taken):
            return f"{found[1]}/24"
    pytest.fail("no free subnet for a bridge")


def preseed(bridge: str) -> str:
    network = {"ipv4.address": free_subnet(), "ipv4.nat": "false", "ipv6.address": "none"}
    devices = {
        "root": {"type": "disk", "path": "/", "pool": "test"},
        "eth0": {"type": "nic", "network": bridge, "name": "eth0"},
    }
    features = {"features.images": "true", "features.profiles": "false", "features.networks": "false"}
    return yaml.safe_dump(
        {
            "storage_pools": [{"name": "test", "driver": "dir"}],
            "networks": [{"name": bridge, "type": "bridge", "config": network}],
            "profiles": [{"name": PROFILE, "config": {"security.privileged": "true"}, "devices": devices}],
            "projects": [{"name": PROJECT, "config": features}],
        }
    )


@contextlib.contextmanager
def private_daemon() -> Iterator[Daemon]:
    """Started and set up; afterwards nothing of it is left."""
    program = next((name for name in ("lxd", "incusd") if shutil.which(name)), None)
    if program is None or os.geteuid() != 0:
        pytest.fail("root and the package lxd or incus are needed (see bindep.txt)")
    # A unix socket's path has 108 bytes at most, so not in pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="zst-"))
    daemon = Daemon(folder / "d", program, f"zst{secrets.token_hex(3)}")
    daemon.folder.mkdir(mode=0o711)
    setup = "lxd" if program == "lxd" else "incus"
    try:
        with (folder / "log").open("wb") as log:
            variables = {"LXD_DIR": str(daemon.folder), "INCUS_DIR": str(daemon.folder)}
            process = subprocess.Popen([program, "--group", "root"], stdout=log, stderr=log, env=os.environ | variables)
        daemon.run(program, "waitready", "--timeout=30")
        address = preseed(daemon.bridge)
        daemon.run(setup, *(["init"] if setup == "lxd" else ["admin", "init"]), "--preseed", text=address)
        yield daemon
    finally:
        end(daemon, process)
        shutil.rmtree(folder, ignore_errors=True)


def end(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    """Ask the daemon to stop its containers and take its bridge down; then make sure of it."""
    with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
        daemon.run(daemon.program, "shutdown", "--timeout=20")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    process.kill()
    process.wait()
    for pid in processes_of(daemon.folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "link", "delete", daemon.bridge], capture_output=True, check=False)
    time.sleep(0.2)
    mounts = Path("/proc/mounts").read_text().split("\n")
    for mount in [line.split()[1] for line in mounts if f"{daemon.folder}/" in line]:
        subprocess.run(["umount", "-l", mount], capture_output=True, check=False)


def processes_of(folder: Path) -> list[int]:
    """Left-over processes (dnsmasq, container monitors) that have the folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() + b"/" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def tiny_root(folder: Path) -> Path:
    """A tarball of a root with busybox as init and dropbear as ssh server, as diskimage-builder lays it out."""
    busybox, dropbear = Path("/bin/busybox"), Path("/usr/sbin/dropbear")
    if not busybox.exists() or not dropbear.exists():
        pytest.fail("Debian's packages busybox-static and dropbear-bin are needed (see bindep.txt)")
    root = folder / "root"
    for name in ("bin", "sbin", "usr/sbin", "etc/dropbear", "dev", "proc", "sys", "run", "tmp", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in ("sh", "udhcpc", "ifconfig", "sleep", "cat"):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").symlink_to("/bin/busybox")
    for name, text in FILES.items():
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    libraries = subprocess.run(["ldd", str(dropbear)], capture_output=True, text=True, check=True).stdout
    for file in [str(dropbear), *re.findall(r"(/\S+) \(0x", libraries)]:
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(file).resolve(), target)
    tarball = folder / "tiny.tar"
    with tarfile.open(tarball, "w") as tar:
        tar.add(root, arcname=".", filter=owned_by_root)
    return tarball


def owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member
