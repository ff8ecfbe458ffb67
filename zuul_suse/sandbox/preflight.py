# SPDX-License-Identifier: Apache-2.0
"""Looks whether this machine can carry a sandbox, before anything is started.

Owns nothing. Called first by `up`; each fault is one line that says what to do.
"""

import os
import shutil
import subprocess
from pathlib import Path

from zuul_suse.sandbox import SandboxError, datacenter, mounts, zookeeper
from zuul_suse.sandbox.state import MAX_ROOT_LENGTH, is_open

# Command → the package that has it on Debian; bindep.txt has the openSUSE names too.
COMMANDS = {
    "java": "default-jre-headless",
    "mvn": "maven",
    "git": "git",
    "ssh-keygen": "openssh-client",
    "bwrap": "bubblewrap",
    "rsync": "rsync",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "debootstrap": "debootstrap",
    "kpartx": "kpartx",
    "sudo": "sudo",
    "useradd": "passwd",
    "nginx": "nginx",
}
NOBODY = 65534  # what Linux calls whoever has no rights
FREE_GIB = 12  # an image, its copy in the datacenter, three nodes and their logs


def check(root: Path, free_gib: float = FREE_GIB) -> None:
    """Check user, commands, bubblewrap, disk and paths.

    :raises SandboxError: the first thing that is missing, and what to do about it.
    """
    if os.geteuid() != 0:
        raise SandboxError("the sandbox makes containers and bridges, so it needs root: run it with sudo")
    if len(str(root)) > MAX_ROOT_LENGTH:
        raise SandboxError(
            f"--state-dir {root}: longer than {MAX_ROOT_LENGTH} characters, too long for the Unix sockets below it"
        )
    if not is_open(root.parent):
        raise SandboxError(
            f"--state-dir {root}: lies in a folder that is closed to others, and services have users of their own;"
            " choose one that every user may enter"
        )
    missing = [f"{command} (package {package})" for command, package in COMMANDS.items() if not shutil.which(command)]
    missing += [f"{jar} (package zookeeper)" for jar in zookeeper.missing_jars()]
    if missing:
        raise SandboxError(f"missing on this machine: {', '.join(missing)}; run `make packages`")
    _check_bubblewrap()
    datacenter.program()
    mounts.check_forced_unmount()
    _check_disk(root, free_gib)


def _check_bubblewrap() -> None:
    """Whether a user without rights can be walled in, as the executor does with every play."""
    command = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "true"]
    try:
        done = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
        )
        reason = done.stderr.strip() if done.returncode else None
    except OSError as fault:
        reason = str(fault)
    if reason is not None:
        raise SandboxError(
            f"bubblewrap does not work for users without rights ({reason}), and the executor is one: allow them user"
            " namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1,"
            " kernel.apparmor_restrict_unprivileged_userns=0), or install bubblewrap setuid root"
        )


def _check_disk(root: Path, free_gib: float) -> None:
    folder = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 2**30
    if free < free_gib:
        raise SandboxError(
            f"--state-dir {root}: {free:.1f} GiB free on its disk, a sandbox wants {free_gib:.0f};"
            " free some, or choose a folder on another disk"
        )
