# SPDX-License-Identifier: Apache-2.0
"""The virtual environment with OpenStack's services: installed once, kept for all later runs.

Owns a folder of the user's cache, named after the hash of requirements.txt. Called by `cloud.py` before anything
starts. It is never changed but for our two plug-ins (plugin/), which are laid in again when they change.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from zuul_suse.sandbox.state import cache_folder, cache_lock

from .layout import CloudError

HERE = Path(__file__).parent
PROGRAMS = {
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client",
    "mariadb-dump": "mariadb-client",
    "epmd": "rabbitmq-server",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
}
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH insists on a user of its own
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str) -> str:
    """The full path of a program, also where PATH lacks the system's folders.

    :raises CloudError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path=SBIN)
    if not found:
        raise CloudError(f"{name}: not found; the package {PROGRAMS[name]} brings it (`make test-packages`)")
    return found


def ensure() -> Path:
    """The virtual environment's folder; made when it is missing, which takes some minutes.

    :raises CloudError: a program is missing, or pip fails.
    """
    for name in PROGRAMS:
        program(name)
    if not RABBITMQ.exists():
        raise CloudError(f"{RABBITMQ}: not found; the package rabbitmq-server brings it (`make test-packages`)")
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()[:12]
    with cache_lock():
        folder = cache_folder() / f"openstack-{wanted}"
        if not (folder / "installed").exists():
            print("cloud: installing OpenStack's services (two to five minutes, once)", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            _pip(folder, "-r", str(HERE / "requirements.txt"))
            (folder / "installed").touch()
        _ensure_plugins(folder)
    return folder


def _ensure_plugins(folder: Path) -> None:
    """Lay our plug-ins in, unless these very ones are there."""
    source = HERE / "plugin"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(source.glob("*.*")))).hexdigest()
    mark = folder / "plugins"
    if mark.exists() and mark.read_text() == wanted:
        return
    _pip(folder, "--no-deps", "--force-reinstall", str(source))
    mark.write_text(wanted)


def _pip(folder: Path, *arguments: str) -> None:
    _run([str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *arguments])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        fault = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise CloudError(f"{' '.join(command[:3])}: {' '.join(fault)}")
