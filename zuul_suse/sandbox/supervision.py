# SPDX-License-Identifier: Apache-2.0
"""Runs the sandbox's services under supervisord, and finds what a killed supervisord left behind.

Owns one supervisord per state folder, reached by a Unix socket below it. Each process of a sandbox carries a mark in
its environment, so that clean-up ends our processes only. Nothing restarts by itself: a service that dies is shown by
`status` and mended by `up`, so a crash is never hidden. Ends with `stop_all`.
"""

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.templates import render

MARK = "ZUUL_SUSE_SANDBOX"
# What services see of the environment that `up` was called in: the rest may hold passwords, and plays see it too.
PASSED = re.compile(
    r"PATH|PYTHON\w+|LANG|LANGUAGE|LC_\w+|TZ|TERM|HOME|SHELL|XDG_\w+|JAVA_\w+|DIB_\w+|ELEMENTS_PATH|ZUUL_SUSE_\w+"
    r"|OS_CLIENT_(CONFIG|SECURE)_FILE|\w*(CA_BUNDLE|CA_CERTS|CAINFO|CERT_FILE|CERT_DIR)|PIP_CERT|\w+_proxy",
    re.IGNORECASE,
)
RUNNING = 20  # supervisor's process states, supervisord.org/subprocess.html
STARTING = 10
NOT_YET_STOPPED = (STARTING, RUNNING, 40)


class Supervision:
    """The supervisord of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._socket = state.root / "supervisor.sock"
        self._config = state.root / "etc" / "supervisord.conf"

    def configure(self, services: Sequence[Service]) -> None:
        """Write supervisord's configuration; what runs is not touched."""
        self._state.folder("logs")
        render(
            "supervisord.conf.j2",
            self._config,
            socket=self._socket,
            root=self._state.root,
            programs=[_program(service, self._state.root) for service in services],
        )

    def up(self) -> None:
        """Start supervisord unless it runs, and let it take its configuration again.

        Services whose configuration changed are stopped, to be started by `start`.
        """
        if not self.alive():
            end_processes(self.strays())
            self._socket.unlink(missing_ok=True)
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
            # The mark is in supervisord's own environment, so that it is found as well; its children inherit it.
            environment = {key: value for key, value in os.environ.items() if PASSED.fullmatch(key)}
            environment[MARK] = str(self._state.root)
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SandboxError(f"supervisord does not start: {(done.stderr or done.stdout).strip()}")
            end = time.monotonic() + 10
            while not self.alive():
                if time.monotonic() > end:
                    raise SandboxError(f"supervisord does not answer on {self._socket}")
                time.sleep(0.1)
            return
        added, changed, removed = self._call("reloadConfig")[0]
        for name in [*changed, *removed]:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def alive(self) -> bool:
        """Whether our supervisord answers."""
        if not self._socket.exists():
            return False
        try:
            return bool(self._call("getState")["statecode"] == 1)
        except (OSError, xmlrpc.client.Error, http.client.HTTPException):
            return False

    def pids(self) -> dict[str, int | None]:
        """Service name → process id, None for one that does not run."""
        if not self.alive():
            return {}
        return {
            process["name"]: process["pid"] if process["state"] in (STARTING, RUNNING) else None
            for process in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start one service, if it does not run."""
        if self.pids().get(name) is None:
            self._call("startProcess", name, False)

    def end_orphans(self, name: str) -> None:
        """End what a service that does not run any more has left: an ssh-agent with the nodes' key, say.

        While it runs, some of its processes have no parent either, so these can't be told from orphans.
        """
        if self.pids().get(name) is None:
            end_processes([process for process in self.strays() if _service_of(process) == name])

    def stop(self, names: Iterable[str]) -> None:
        """Stop services side by side, for one after another takes Zuul half a minute, and wait for their ends."""
        names = [name for name in names if self.pids().get(name) is not None]
        for name in names:
            self._call("stopProcess", name, False)
        while any(int(self._call("getProcessInfo", name)["state"]) in NOT_YET_STOPPED for name in names):
            time.sleep(0.2)

    def stop_all(self) -> None:
        """Stop every service and supervisord, and end what a crash has left of ours."""
        if self.alive():
            self._call("shutdown")
            end = time.monotonic() + 60
            while self.strays() and time.monotonic() < end:
                time.sleep(0.3)
        end_processes(self.strays())
        self._socket.unlink(missing_ok=True)

    def strays(self) -> list[psutil.Process]:
        """Processes that carry this sandbox's mark, whoever their parent is now."""
        return marked_processes(self._state.root)

    def log(self, name: str) -> Path:
        return self._state.root / "logs" / f"{name}.log"

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  XML-RPC has no types
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with xmlrpc.client.ServerProxy("http://sandbox", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)


def marked_processes(root: Path) -> list[psutil.Process]:
    """All processes of the sandbox in that state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(root) and process.pid != psutil.Process().pid:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _service_of(process: psutil.Process) -> str | None:
    """The service that started a process, by what supervisord puts into the environment."""
    try:
        return process.environ().get("SUPERVISOR_PROCESS_NAME")
    except (psutil.Error, OSError):
        return None


def end_processes(processes: Sequence[psutil.Process]) -> None:
    """Ask processes to end, and end those that don't within five seconds."""
    for process in processes:
        try:
            process.send_signal(signal.SIGTERM)
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(alive, timeout=5)


def listens(port: int) -> bool:
    """Whether a TCP connection to that loopback port is taken."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_connected(port: int) -> bool:
    """Whether some process of this machine holds a TCP connection to that loopback port."""
    return any(
        link.status == psutil.CONN_ESTABLISHED and link.raddr and link.raddr.port == port
        for link in psutil.net_connections(kind="tcp")
    )


def _program(service: Service, root: Path) -> dict[str, object]:
    """A service in supervisord's words, in which a percent sign is doubled."""
    variables = {"USER": service.user, "LOGNAME": service.user, **service.environment}
    environment = ",".join(f'{key}="{value}"' for key, value in sorted(variables.items()))
    return {
        "name": service.name,
        "command": shlex.join(service.command).replace("%", "%%"),
        "user": service.user,
        "umask": f"{service.umask:03o}",
        "environment": environment.replace("%", "%%"),
        "folder": service.folder or root,  # never the caller's, which may be closed to the service's user
        "stop_seconds": service.stop_seconds,
    }
