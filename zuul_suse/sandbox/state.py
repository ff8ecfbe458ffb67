# SPDX-License-Identifier: Apache-2.0
"""The state folder: where everything of one sandbox lies, and the choices that outlive a stop.

Owns the folder's layout, `sandbox.json` (ports, passwords, subnet) and the lock that keeps two commands from
working on one sandbox. Made by the command line, handed to every module of the sandbox. Lives until `down --purge`.
"""

import fcntl
import json
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from zuul_suse.sandbox import SandboxError, mounts

SYSTEM_CACHE = Path("/var/cache")
DEFAULT_ROOT = Path("/var/lib/zuul-suse")

PORTS = (
    "gerrit-http",
    "gerrit-ssh",
    "zookeeper",
    "zuul-web",
    "zuul-fingergw",
    "executor-finger",
    "scheduler-health",
    "executor-health",
    "nodepool-launcher",
    "logs",
)
"""Every port of a sandbox, by the name that `--port NAME=NUMBER` takes."""

LOG_ADDRESS = "127.0.0.2"  # build logs are of another origin than Zuul's pages, cookies included

# Where the executor's builds lie, below the state folder; one letter, because the longest socket path is below it: that
# of Ansible's ssh connections, to which ssh adds 17 characters. The kernel takes socket paths of 107 at most.
BUILDS = "b"
MAX_ROOT_LENGTH = 107 - len(f"/{BUILDS}/{32 * 'x'}/.ansible/cp/{10 * 'x'}{17 * 'x'}")


@dataclass
class Choices:
    """What was chosen once and is kept: written to `sandbox.json`."""

    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    database_uri: str | None = None
    review: str | None = None  # "gerrit", or "git" where no Gerrit can be had
    subnet: str | None = None
    forwarding_was_off: bool = False
    image: str | None = None
    nodepool_part: str | None = None  # a file of the user's, see `nodepool_part`
    # The tenant's untrusted projects: name → what Zuul's tenant file says of it.
    untrusted_projects: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    # Folders of `seeds/` that are laid over the trusted repository, in this order.
    config_layers: list[str] = field(default_factory=list)


class State:
    """One sandbox's folder; `choices` is read at once and written by `save()`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.choices = Choices()
        if self.choices_file.exists():
            try:
                written = json.loads(self.choices_file.read_text())
                # What an older version wrote and this one does not know is left out, so that its folder still works.
                known = {entry.name for entry in fields(Choices)}
                self.choices = Choices(**{key: value for key, value in written.items() if key in known})
            except PermissionError as fault:
                raise SandboxError(f"{self.choices_file}: holds passwords, so only root reads it: use sudo") from fault
            except (ValueError, AttributeError) as fault:
                raise SandboxError(
                    f"{self.choices_file}: not readable ({fault}); mend it, or start afresh with"
                    f" `zuul-suse sandbox down --purge --state-dir {root}`"
                ) from fault

    @property
    def choices_file(self) -> Path:
        return self.root / "sandbox.json"

    @property
    def exists(self) -> bool:
        return self.choices_file.exists()

    def path(self, *parts: str) -> Path:
        """A path below the state folder; its parent folder is made."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def folder(self, *parts: str) -> Path:
        """A folder below the state folder, made if it is missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save(self) -> None:
        """Write `sandbox.json` whole or not at all; it holds passwords, so only the owner reads it."""
        part = self.path("sandbox.json.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self.choices), file, indent=2)
        part.replace(self.choices_file)

    def password(self, account: str) -> str:
        """The password of an account, drawn the first time it is asked for."""
        return self.choices.passwords.setdefault(account, secrets.token_urlsafe(18))

    def port(self, name: str) -> int:
        return self.choices.ports[name]

    def choose_ports(self, pinned: Mapping[str, int], in_use_by_us: frozenset[str]) -> None:
        """Give every service a port: the pinned one, the one it had, or a free one.

        :param pinned: ports that the user asked for.
        :param in_use_by_us: names whose service runs now; they keep their ports.
        :raises SandboxError: a pinned port belongs to another process.
        """
        ports = self.choices.ports
        for name, number in pinned.items():
            if name in in_use_by_us and ports.get(name) != number:
                raise SandboxError(f"--port {name}={number}: the service runs on {ports[name]}; stop it with `down`")
            if name not in in_use_by_us and not is_free(number):
                raise SandboxError(
                    f"--port {name}={number}: used by another process; choose another number or leave --port out"
                )
            ports[name] = number
        for name in PORTS:
            if name not in pinned and name not in in_use_by_us and not (name in ports and is_free(ports[name])):
                ports[name] = free_port(taken=frozenset(ports.values()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sandbox for one command.

        :raises SandboxError: another command works on this sandbox now.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)  # others pass through it, see `users`
        with open(os.open(self.root / "lock", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as fault:
                lock.seek(0)
                raise SandboxError(
                    f"{self.root}: another command works on this sandbox (process {lock.read().strip() or '?'});"
                    " wait for it, or choose another --state-dir"
                ) from fault
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def purge(self) -> None:
        """Remove the folder and all in it, once nothing is mounted there any more."""
        mounts.release(self.root)
        shutil.rmtree(self.root)


def cache_folder() -> Path:
    """Downloads that every sandbox of this user may share (Gerrit's jars, Ansible).

    Services of root's sandboxes have users of their own and run what lies here: where these can't enter root's cache,
    it is the system's.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    if os.geteuid() == 0 and not is_open(base):
        base = SYSTEM_CACHE
    folder = base / "zuul-suse"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_open(folder: Path) -> bool:
    """Whether every user may enter a folder; one that is missing is made as open as its parents are."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents) if path.exists())


@contextmanager
def cache_lock() -> Iterator[None]:
    """Wait until no other command fills the cache: two sandboxes may be started at once."""
    with open(cache_folder() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of the loopback addresses that a sandbox has services on."""
    for address in ("127.0.0.1", LOG_ADDRESS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_port(taken: frozenset[int]) -> int:
    """A free loopback port below the range that the kernel hands out to clients, so that it stays free."""
    for _ in range(200):
        port = 20000 + secrets.randbelow(12000)
        if port not in taken and is_free(port):
            return port
    raise SandboxError("no free port between 20000 and 32000 on loopback")
