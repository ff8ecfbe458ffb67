# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL on loopback, for a sandbox that keeps Zuul's builds there. Ends with its context."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.sandbox.state import free_port

USER = "postgres"  # Debian's package makes it; the server refuses to run as root
PASSWORD = "builds"


@dataclass(frozen=True)
class PostgreSQL:
    """One that runs."""

    programs: Path
    port: int

    @property
    def uri(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def ask(self, query: str) -> str:
        """The first value of the answer."""
        command = [str(self.programs / "psql"), "-qtAX", self.uri, "-c", query]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """In a folder that doesn't exist yet, below one that everybody may enter."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folder.mkdir()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    for path in (folder, secret):
        shutil.chown(path, USER)
    data = str(folder / "data")
    initialise = [str(programs / "initdb"), "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([*initialise, "-N"], check=True, capture_output=True, user=USER, cwd=folder)
    server = PostgreSQL(programs, free_port(frozenset()))
    command = [
        str(programs / "postgres"), "-D", data, "-p", str(server.port),
        "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=USER, cwd=folder)
    try:
        for _ in range(120):
            if server.answers():
                break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
