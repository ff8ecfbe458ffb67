# SPDX-License-Identifier: Apache-2.0
"""The cloud's processes: their commands, environments, configuration files and health checks.

Owns `etc/` below the cloud's folder. Called by `cloud.py`; the sandbox's supervision runs them.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import requests

from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.supervision import listens

from .database import Database
from .environment import RABBITMQ, program
from .layout import Layout

HERE = Path(__file__).parent
USER = getpass.getuser()
# Name → application, and the variable and value that tell it where its configuration is.
APPLICATIONS = {
    "keystone": ("keystone.wsgi.api", "OS_KEYSTONE_CONFIG_FILES", "keystone.conf"),
    "placement": ("placement.wsgi.api", "OS_PLACEMENT_CONFIG_DIR", ""),
    "glance": ("glance.wsgi.api", "OS_GLANCE_CONFIG_DIR", ""),
    "neutron": ("neutron.wsgi.api", "OS_NEUTRON_CONFIG_FILES", "neutron.conf"),
    "nova": ("nova.wsgi.osapi_compute", "OS_NOVA_CONFIG_DIR", ""),
}
FILES = {"placement": "placement.conf", "glance": "glance-api.conf", "neutron": "neutron.conf", "nova": "nova.conf"}
HYPERVISORS = uuid.UUID("6f1d3c1e-7a3b-4b39-9a52-0a4f3d1c5b6e")
# Erlang's schedulers spin while they wait, which costs more than all else when the cloud is idle.
ERLANG = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


# What makes servers leaves the processors to the APIs: in a cloud these don't share a machine with hypervisors.
BEHIND = ("nice", "-n", "10")


def configure(layout: Layout) -> None:
    """Write every file that a process reads."""
    etc = layout.folder / "etc"
    layout.render("keystone.conf.j2", etc / "keystone" / "keystone.conf")
    for folder in ("fernet-keys", "credential-keys"):
        for number in ("0", "1"):
            key = layout.path("etc", "keystone", folder, number)
            key.parent.chmod(0o700)
            key.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
    for region in layout.regions:
        for name, file in FILES.items():
            layout.render(f"{file}.j2", etc / region / name / file, region)
            for folder in ("locks", "images", "staging", "tasks", "instances"):
                (etc / region / name / folder).mkdir(exist_ok=True)
        (etc / region / "neutron" / "policy.yaml").write_text("{}\n")
        shutil.copy(layout.environment / "etc" / "nova" / "api-paste.ini", etc / region / "nova")
        # The hypervisor's id, as plugin/virt.py reckons it; without it nova-compute would refuse to start twice.
        (etc / region / "nova" / "compute_id").write_text(str(uuid.uuid5(HYPERVISORS, region)))
    _configure_rabbitmq(layout)
    _configure_ssh(layout)


def shared(layout: Layout) -> Iterator[Service]:
    """What all regions use."""
    ports = layout.ports
    yield Database(layout).service()
    yield Service(
        "epmd",
        (program("epmd"), "-port", str(ports["epmd"]), "-address", "127.0.0.1"),
        lambda: listens(ports["epmd"]),
        user=USER,
    )
    yield _rabbitmq(layout)
    yield _application(layout, "keystone")
    script, closed = str(HERE / "ssh_door.py"), str(layout.folder / "etc" / "ssh" / "closed")
    config = str(layout.folder / "etc" / "ssh" / "sshd_config")
    command = (sys.executable, script, str(ports["ssh"]), program("sshd"), config, closed)
    yield Service("ssh", command, lambda: listens(ports["ssh"]), user=USER, stop_seconds=2)
    command = (sys.executable, str(HERE / "volume_stub.py"), str(ports["volumes"]))
    yield Service("volumes", command, lambda: listens(ports["volumes"]), user=USER, stop_seconds=2)


def regional(layout: Layout, region: str) -> Iterator[Service]:
    """One region's APIs and daemons, in an order in which they can start."""
    config = str(layout.folder / "etc" / region / "nova" / "nova.conf")
    for name in ("conductor", "scheduler"):
        command = (*BEHIND, layout.program(f"nova-{name}"), "--config-file", config)
        yield Service(f"{region}-{name}", command, lambda: True, user=USER, stop_seconds=2)
    for name in FILES:
        yield _application(layout, name, region)
    command = (*BEHIND, layout.program("nova-compute"), "--config-file", config)
    yield Service(f"{region}-compute", command, lambda: True, user=USER, stop_seconds=2)


def _application(layout: Layout, name: str, region: str = "") -> Service:
    module, variable, file = APPLICATIONS[name]
    full = f"{region}-{name}" if region else name
    port = layout.ports[full]
    command = (
        layout.program("uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--module", f"{module}:application",
        "--virtualenv", str(layout.environment), "--need-app", "--die-on-term", "--enable-threads",
        "--processes", "1", "--threads", "8", "--listen", "100", "--buffer-size", "65535", "--no-orphans",
        # Without it clients reuse a connection that uWSGI is about to close, and see it reset.
        "--add-header", "Connection: close",
        "--log-format", "%(method) %(uri) %(status) %(msecs)ms",
    )  # fmt: skip
    where = layout.folder / "etc" / region / name / file
    return Service(full, command, lambda: _answers(port), {variable: str(where)}, user=USER, stop_seconds=2)


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=3).status_code < 500
    except requests.RequestException:
        return False


def _rabbitmq(layout: Layout) -> Service:
    folder, ports = layout.folder / "etc" / "rabbitmq", layout.ports
    environment = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": "cloud@localhost",
        "RABBITMQ_DIST_PORT": str(ports["rabbitmq-dist"]),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
    }
    return Service(
        "rabbitmq", (str(RABBITMQ),), lambda: listens(ports["rabbitmq"]), environment, folder, user=USER, stop_seconds=2
    )


def _configure_rabbitmq(layout: Layout) -> None:
    folder = layout.folder / "etc" / "rabbitmq"
    layout.render("rabbitmq.conf.j2", folder / "rabbitmq.conf")
    (folder / "plugins").write_text("[].\n")
    salt = secrets.token_bytes(4)
    digest = base64.b64encode(salt + hashlib.sha256(salt + layout.password.encode()).digest()).decode()
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    user = {"name": "cloud", "password_hash": digest, "tags": "", "hashing_algorithm": "rabbit_password_hashing_sha256"}
    definitions = {
        "users": [user],
        "vhosts": [{"name": region} for region in layout.regions],
        "permissions": [{"user": "cloud", "vhost": region, **everything} for region in layout.regions],
    }
    (folder / "definitions.json").write_text(json.dumps(definitions))


def _configure_ssh(layout: Layout) -> None:
    folder = layout.folder / "etc" / "ssh"
    layout.render("sshd_config.j2", folder / "sshd_config")
    for kind in ("ed25519", "ecdsa", "rsa"):
        _make_key(kind, folder / f"host_{kind}")
    _make_key("ed25519", folder / "id")
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # compiled in: sshd separates its privileges there


def _make_key(kind: str, path: Path) -> None:
    command = [program("ssh-keygen"), "-q", "-t", kind, "-N", "", "-C", "cloud", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
