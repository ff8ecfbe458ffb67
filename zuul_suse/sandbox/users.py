# SPDX-License-Identifier: Apache-2.0
"""The system users that the sandbox's services run as, and what of the state folder is whose.

Owns the users, which are those of every sandbox of this machine and are never removed: files of another state folder
may be theirs. Called by `up` before services start. Only the supervisor, and what mounts and makes containers (the
datacenter's daemon, the image builder), stay root's.
"""

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.state import cache_lock

ROOT = "root"
ZUUL = "zuul-suse-zuul"
ZOOKEEPER = "zuul-suse-zookeeper"
GERRIT = "zuul-suse-gerrit"
NODEPOOL = "zuul-suse-nodepool"  # of the launcher; its group opens the datacenter's socket, as good as root there
LOGS = "zuul-suse-logs"
USERS = (ZUUL, ZOOKEEPER, GERRIT, NODEPOOL, LOGS)


@dataclass(frozen=True)
class Share:
    """Whose a part of the state folder is. A service's own part is `whole`: everything below it is the service's."""

    pattern: str
    user: str
    group: str
    mode: int
    whole: bool = False


def _own(name: str, user: str) -> Share:
    return Share(name, user, user, 0o700, whole=True)


def _read(pattern: str, group: str, mode: int = 0o640) -> Share:
    return Share(pattern, ROOT, group, mode)


# Others may pass through the folder, since each service needs its own part, but list nothing.
SHARES = (
    _read(".", ROOT, 0o711),
    *(_read(name, ROOT, 0o711) for name in ("etc", "tls", "ssh", "nodepool")),
    *(_read(name, ROOT, 0o700) for name in ("work", "logs", "datacenter-client")),
    *(_read(f"nodepool/{name}", ROOT, 0o700) for name in ("cache", "images", "log", "tmp")),
    *(_read(f"etc/{name}", ZUUL) for name in ("zuul.conf", "main.yaml", "site-variables.yaml", "zuul.gitconfig")),
    *(_read(f"etc/{name}", NODEPOOL) for name in ("nodepool.yaml", "nodepool-files/*")),
    _read("etc/nodepool-files", NODEPOOL, 0o750),
    _read("etc/zookeeper", ZOOKEEPER, 0o750),
    _read("etc/zookeeper/*", ZOOKEEPER),
    _read("tls/ca.pem", ROOT, 0o644),
    _read("tls/zookeeper.pem", ZOOKEEPER),
    _read("tls/zuul-*.pem", ZUUL),
    _read("tls/nodepool-*.pem", NODEPOOL),
    _read("ssh/*_ed25519", ZUUL),
    _read("git", ZUUL, 0o750),
    _own("zookeeper", ZOOKEEPER),
    _own("gerrit", GERRIT),
    *(_own(name, ZUUL) for name in ("zuul", "zuul/git", "zuul/executor", "zuul/run", "b")),
    _own("nodepool/run", NODEPOOL),
    _read("etc/nginx.conf", LOGS),
    _own("log-server", LOGS),
    Share("build-logs", ZUUL, LOGS, 0o750, whole=True),
)


def ensure() -> None:
    """Make the users that are missing.

    :raises SandboxError: `useradd` failed, with its words; or such a name is taken by a superuser.
    """
    with cache_lock():  # two commands at once would both add them
        for name in USERS:
            if not _exists(name):
                command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
                command += ["--shell", "/usr/sbin/nologin", "--comment", "zuul-suse sandbox", name]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SandboxError(f"useradd {name}: {(done.stderr or done.stdout).strip()}")
            if pwd.getpwnam(name).pw_uid == 0:
                raise SandboxError(f"user {name}: has uid 0; remove it, and `up` makes one without rights")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def give(root: Path) -> None:
    """Give each part of a state folder to whom it belongs; harmless when done again, also while services run.

    A folder that an older version filled as root is handed over with all that it holds.
    """
    for share in SHARES:
        for path in [root] if share.pattern == "." else sorted(root.glob(share.pattern)):
            _give(path, share)


def _give(path: Path, share: Share) -> None:
    # In a service's own folder anything may stand: no link is followed, and none is changed.
    before = path.lstat()
    if stat.S_ISLNK(before.st_mode):
        return
    uid, gid = pwd.getpwnam(share.user).pw_uid, pwd.getpwnam(share.group).pw_gid
    if share.whole and before.st_uid != uid:
        # From the bottom: the folder itself changes hands last, so that one that was cut short begins again.
        for folder, _, files in os.walk(path, topdown=False):
            for entry in [*(os.path.join(folder, name) for name in files), folder]:
                os.chown(entry, uid, gid, follow_symlinks=False)
    if (before.st_uid, before.st_gid) != (uid, gid):
        os.chown(path, uid, gid, follow_symlinks=False)
    if stat.S_IMODE(before.st_mode) != share.mode:
        path.chmod(share.mode)
