# SPDX-License-Identifier: Apache-2.0
"""The sandbox's datacenter: a private LXD or Incus daemon with a project, a profile and a bridge of its own.

Owns `datacenter/` of the state folder and one bridge of the machine; a daemon, project or network of the user's is
never asked. `seed` runs when the daemon answers and may run again; `shut_down` removes every instance and the bridge,
while uploaded images stay in the state folder. The driver talks to the daemon by its Unix socket.
"""

import hashlib
import ipaddress
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.users import NODEPOOL, ROOT

PROJECT = "zuul-suse"
PROFILE = "zuul-suse-node"
POOL = "zuul-suse"
DELETE_ATTEMPTS = 5
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Program:
    """The names under which LXD and Incus know the same things."""

    daemon: str
    client: str
    initializer: tuple[str, ...]
    terminator: tuple[str, ...]
    folder_variable: str
    config_variable: str


PROGRAMS = (
    Program(
        *(
            "incusd",
            "incus",
            ("incus", "admin", "init", "--preseed"),
            ("incus", "admin", "shutdown", "--timeout", "30"),
        ),
        *("INCUS_DIR", "INCUS_CONF"),
    ),
    Program(
        *("lxd", "lxc", ("lxd", "init", "--preseed"), ("lxd", "shutdown", "--timeout", "30")),
        *("LXD_DIR", "LXD_CONF"),
    ),
)


def program() -> Program:
    """Incus where it is installed, else LXD.

    :raises SandboxError: neither is.
    """
    for candidate in PROGRAMS:
        if shutil.which(candidate.daemon) and shutil.which(candidate.client):
            return candidate
    raise SandboxError("neither incusd nor lxd is installed; run `make packages` (the names stand in bindep.txt)")


def socket(state: State) -> Path:
    return state.root / "datacenter" / "unix.socket"


def service(state: State) -> Service:
    chosen = program()
    state.folder("datacenter")
    return Service(
        name="datacenter",
        command=(shutil.which(chosen.daemon) or chosen.daemon, "--group", NODEPOOL),
        user=ROOT,
        umask=0o022,  # its DHCP server has a user of its own, and reads what the daemon writes
        environment={chosen.folder_variable: str(state.root / "datacenter")},
        check=lambda: _answers(state),
        url=f"unix://{socket(state)}",
        stop_seconds=40,
        resumes=True,
    )


def bridge(state: State) -> str:
    """The bridge's name: one per state folder, as long as the kernel takes (15)."""
    return f"zsbr{hashlib.sha256(str(state.root).encode()).hexdigest()[:8]}"


def seed(state: State) -> None:
    """Project, pool, bridge and profile; harmless when done again.

    :raises SandboxError: the daemon refused; its words are told.
    """
    if not state.choices.subnet:
        state.choices.subnet = free_subnet()
        state.choices.forwarding_was_off = FORWARDING.read_text().strip() == "0"
        state.save()
    network = ipaddress.ip_network(state.choices.subnet)
    preseed = {
        "storage_pools": [{"name": POOL, "driver": "dir"}],
        "networks": [
            {
                "name": bridge(state),
                "type": "bridge",
                "config": {
                    "ipv4.address": f"{network[1]}/{network.prefixlen}",
                    "ipv4.nat": "true",
                    "ipv6.address": "none",
                    "bridge.mtu": str(_outer_mtu()),
                },
            }
        ],
        "projects": [{"name": PROJECT, "config": {"features.images": "true", "features.profiles": "true"}}],
    }
    _run(state, list(program().initializer), yaml.safe_dump(preseed))
    if PROFILE not in {path.rsplit("/", 1)[-1].split("?")[0] for path in _query(state, _of_project("profiles"))}:
        _client(state, "profile", "create", PROFILE, "--project", PROJECT)
    _client(state, "profile", "edit", PROFILE, "--project", PROJECT, text=yaml.safe_dump(_profile(state)))


def shut_down(state: State) -> None:
    """Remove every instance, and end the daemon in its own way, which takes the bridge and its firewall rules away.

    The daemon must run: a supervisor's signal would leave bridge and DHCP server behind.
    """
    for attempt in range(DELETE_ATTEMPTS):
        for instance in instances(state):
            try:
                _client(state, "delete", "--force", instance, "--project", PROJECT)
            except SandboxError:
                # Nodepool's own delete of it may still be under way, and ends it as well.
                if attempt == DELETE_ATTEMPTS - 1:
                    raise
                time.sleep(1)
    _run(state, list(program().terminator))
    if state.choices.forwarding_was_off and not _other_bridges(state):
        FORWARDING.write_text("0\n")


def instances(state: State) -> list[str]:
    """Names of all instances in the sandbox's project."""
    if PROJECT not in {path.rsplit("/", 1)[-1] for path in _query(state, "/1.0/projects")}:
        return []
    return [path.rsplit("/", 1)[-1].split("?")[0] for path in _query(state, _of_project("instances"))]


def free_subnet() -> str:
    """A /24 that no address or route of this machine touches."""
    used = list(_used_networks())
    for _ in range(500):
        candidate = ipaddress.ip_network(f"10.{secrets.randbelow(200) + 50}.{secrets.randbelow(256)}.0/24")
        if not any(candidate.overlaps(network) for network in used):
            return str(candidate)
    raise SandboxError("no free subnet in 10.0.0.0/8 for the sandbox's bridge")


def _used_networks() -> Iterator[ipaddress.IPv4Network]:
    routes = subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, text=True, check=True).stdout
    for route in json.loads(routes or "[]"):
        if route["dst"] != "default":
            yield ipaddress.IPv4Network(route["dst"], strict=False)


def _other_bridges(state: State) -> bool:
    """Whether another daemon's bridge may need forwarding: then it stays on."""
    links = {path.name for path in Path("/sys/class/net").iterdir() if (path / "bridge").exists()}
    return bool(links - {bridge(state)})


def _outer_mtu() -> int:
    """Nodes must not send larger packets than the machine's own way out takes."""
    routes = subprocess.run(["ip", "-j", "-4", "route", "show", "default"], capture_output=True, text=True, check=True)
    for route in json.loads(routes.stdout or "[]"):
        path = Path("/sys/class/net") / route["dev"] / "mtu"
        if path.exists():
            return int(path.read_text())
    return 1500


def _profile(state: State) -> dict[str, object]:
    """A node is a privileged container that may nest: devstack mounts, loads and restarts what it likes in it."""
    return {
        "description": "a node for Zuul's jobs",
        "config": {"security.privileged": "true", "security.nesting": "true", "boot.autostart": "false"},
        "devices": {
            "root": {"type": "disk", "path": "/", "pool": POOL},
            "eth0": {"type": "nic", "name": "eth0", "network": bridge(state)},
        },
    }


def _of_project(kind: str) -> str:
    return f"/1.0/{kind}?project={PROJECT}"


def _answers(state: State) -> bool:
    if not socket(state).exists():
        return False
    try:
        return bool(_query(state, "/1.0", seconds=5)["api_status"])
    except SandboxError:
        return False


def _query(state: State, path: str, seconds: float = 60) -> Any:  # noqa: ANN401  JSON
    text = _client(state, "query", path, seconds=seconds)
    return json.loads(text) or []


def _client(state: State, *words: str, text: str | None = None, seconds: float = 120) -> str:
    return _run(state, [program().client, *words], text, seconds)


def _run(state: State, command: list[str], text: str | None = None, seconds: float = 120) -> str:
    chosen = program()
    environment = os.environ | {
        chosen.folder_variable: str(state.root / "datacenter"),
        chosen.config_variable: str(state.folder("datacenter-client")),
    }
    try:
        done = subprocess.run(
            command, input=text or "", env=environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired as fault:
        raise SandboxError(f"datacenter: `{' '.join(command[:3])}` did not answer in {seconds:.0f} s") from fault
    if done.returncode:
        raise SandboxError(f"datacenter: `{' '.join(command[:3])}`: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
