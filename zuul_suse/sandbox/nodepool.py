# SPDX-License-Identifier: Apache-2.0
"""The sandbox's Nodepool: upstream's launcher and builder, unmodified, with `driver: suse` from this package.

Owns `nodepool/` of the state folder and `etc/nodepool.yaml`. `forget_lost_nodes` runs at each `up`: nodes whose
servers went with a crash or a reboot are given back, before a job meets one.
"""

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import requests

from zuul_suse.fleet import split_server
from zuul_suse.sandbox import SandboxError, datacenter, environment, nodepool_part
from zuul_suse.sandbox.certificates import Certificates
from zuul_suse.sandbox.service import Service, answers
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.templates import render
from zuul_suse.sandbox.users import NODEPOOL, ROOT
from zuul_suse.sandbox.zuul import nodes_key

PROVIDER = "sandbox"
STANDIN = "standin-debian"
OPENSUSE = ("opensuse-leap-16.0", "opensuse-leap-15.6", "opensuse-tumbleweed")
IMAGES = (*OPENSUSE, STANDIN)
MIRROR_VARIABLES = {"main": "ZUUL_SUSE_DEBIAN_MIRROR", "security": "ZUUL_SUSE_DEBIAN_SECURITY_MIRROR"}
# Where dib's openSUSE elements get packages from, unless the operator names a mirror.
OPENSUSE_MIRROR = "https://download.opensuse.org"


def image(wanted: str | None) -> str:
    """The image that nodes are made from: the wanted one, else Leap 16.0, else the stand-in.

    :raises SandboxError: there is no image of that name.
    """
    if wanted in IMAGES:
        return wanted
    if wanted is not None:
        raise SandboxError(f'--image: "{wanted}" is no image (has {", ".join(IMAGES)})')
    return (
        OPENSUSE[0] if answers(f"{opensuse_mirror()}/distribution/leap/16.0/repo/oss/repodata/repomd.xml") else STANDIN
    )


def opensuse_mirror() -> str:
    return os.environ.get("ZUUL_SUSE_OPENSUSE_MIRROR", OPENSUSE_MIRROR).rstrip("/")


def elements() -> Path:
    """Our diskimage-builder elements, as the wheel holds them."""
    return Path(str(resources.files("zuul_suse") / "data" / "elements"))


def configure(state: State, files: Certificates) -> None:
    chosen = state.choices.image or STANDIN
    own = state.path("etc", "nodepool-own.yaml") if state.choices.nodepool_part else config(state)
    render(
        "nodepool.yaml.j2",
        own,
        root=state.root,
        port=state.port,
        tls=files.nodepool,
        provider=PROVIDER,
        project=datacenter.PROJECT,
        profile=datacenter.PROFILE,
        socket=datacenter.socket(state),
        image=chosen,
        elements=elements(),
        images=state.folder("nodepool", "images"),
        nodes_key=nodes_key(state).with_suffix(".pub").read_text().strip(),
        mirrors=debian_mirrors() if chosen == STANDIN else {},
        opensuse_mirror=opensuse_mirror(),
    )
    if state.choices.nodepool_part:
        part = nodepool_part.read(Path(state.choices.nodepool_part))
        nodepool_part.take_files(part, state.folder("etc", "nodepool-files"))
        nodepool_part.lay_in(own, part, config(state))
    for name in ("log", "run", "tmp"):
        state.folder("nodepool", name)


def config(state: State) -> Path:
    return state.path("etc", "nodepool.yaml")


def validate(state: State) -> None:
    """Nodepool's own check of what `configure` wrote.

    :raises SandboxError: with Nodepool's words.
    """
    command = [_command("nodepool"), "-c", str(config(state)), "config-validate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"nodepool config-validate {config(state)}: {(done.stderr or done.stdout).strip()[-400:]}")


def services(state: State) -> list[Service]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    run = state.folder("nodepool", "run")
    clouds = state.root / "etc" / "nodepool-files" / nodepool_part.CLOUDS
    return [
        Service(
            name="nodepool-launcher",
            command=(
                *environment.script(state, "nodepool-launcher"),
                *("-d", "-c", str(config(state)), "-p", str(run / "launcher.pid")),
            ),
            user=NODEPOOL,
            environment={"HOME": str(run)} | ({"OS_CLIENT_CONFIG_FILE": str(clouds)} if clouds.exists() else {}),
            check=lambda: answers(f"{_webapp(state)}/ready"),
            url=f"{_webapp(state)}/node-list",
            port_names=("nodepool-launcher",),
        ),
        Service(
            name="nodepool-builder",
            command=(
                *(_command("nodepool-builder"), "-d", "-c", str(config(state))),
                *("-p", str(state.root / "nodepool" / "builder.pid")),
            ),
            user=ROOT,
            umask=0o022,  # of the files in the images too
            # diskimage-builder leaves its work in TMPDIR when it is killed: keep it where `purge` finds it.
            environment={"PATH": path, "TMPDIR": str(state.folder("nodepool", "tmp"))},
            check=lambda: True,
        ),
    ]


def image_ready(state: State) -> bool:
    """Whether the image is uploaded to the datacenter."""
    return any(row["image"] == state.choices.image and row["state"] == "ready" for row in _list(state, "image-list"))


def nodes(state: State) -> list[dict[str, Any]]:
    """Nodepool's own list of nodes."""
    return _list(state, "node-list")


def build_log(state: State) -> Path | None:
    """The newest log of diskimage-builder."""
    logs = sorted(state.folder("nodepool", "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None


def failed_builds(builder_log: Path, image: str | None) -> int:
    """How often the builder said that a build of the image failed; Nodepool's own list forgets failures soon."""
    if not builder_log.exists():
        return 0
    with open(builder_log, errors="replace") as log:
        return sum(f"DIB failed creating {image}" in line for line in log)


def forget_lost_nodes(state: State) -> list[str]:
    """Delete, through Nodepool, ready nodes whose server is no longer in the datacenter; returns their ids.

    Nodes of other providers (`up --nodepool-part`) are in datacenters that are not ours to look into.
    """
    servers = set(datacenter.instances(state))
    ready = [node for node in nodes(state) if node["state"] == "ready" and node["provider"] == PROVIDER]
    lost = [node["id"] for node in ready if split_server(node["server_id"] or "")[1] not in servers]
    for node in lost:
        command = [_command("nodepool"), "-c", str(config(state)), "delete", node]
        subprocess.run(command, capture_output=True, text=True, check=False)
    return lost


def debian_mirrors() -> dict[str, str]:
    """Where the stand-in's packages come from, as `main` and `security`.

    ZUUL_SUSE_DEBIAN_MIRROR and ZUUL_SUSE_DEBIAN_SECURITY_MIRROR name them; a Debian machine uses its own otherwise.

    :raises SandboxError: nobody named one.
    """
    found = _apt_sources()
    for name, variable in MIRROR_VARIABLES.items():
        if mirror := os.environ.get(variable):
            found[name] = mirror
        if name not in found:
            raise SandboxError(f"{STANDIN}: no mirror of Debian known; set {variable}, or choose another --image")
    return found


def _apt_sources() -> dict[str, str]:
    """This machine's own mirrors; empty where there is no apt."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        release, uri = line.split(" ", 1)
        found.setdefault("security" if "security" in release else "main", uri.rstrip("/"))
    return found


def _list(state: State, name: str) -> list[dict[str, Any]]:
    try:
        answer = requests.get(f"{_webapp(state)}/{name}", headers={"Accept": "application/json"}, timeout=5)
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
    except (requests.RequestException, ValueError):
        return []
    return rows


def _webapp(state: State) -> str:
    return f"http://127.0.0.1:{state.port('nodepool-launcher')}"


def _command(name: str) -> str:
    return str(Path(sys.executable).parent / name)
