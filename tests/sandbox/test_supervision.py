# SPDX-License-Identifier: Apache-2.0
"""A real supervisord with small services: what a killed one leaves is ended, and what runs is left alone."""

import getpass
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.supervision import Supervision, end_processes

# Its child leaves the session and, when the service is killed, has no parent any more: an ssh-agent does the same.
SERVICE = ("sh", "-c", "setsid sleep 300 & exec sleep 301")


@pytest.fixture
def supervision() -> Iterator[Supervision]:
    with tempfile.TemporaryDirectory(prefix="zsv-", dir="/var/tmp") as name:
        found = Supervision(State(Path(name)))
        found.configure([Service(name, SERVICE, lambda: True, user=getpass.getuser()) for name in ("one", "two")])
        found.up()
        try:
            yield found
        finally:
            end_processes([process for process in found.strays() if process.cmdline() == ["sleep", "300"]])
            found.stop_all()


def sleepers(supervision: Supervision, seconds: str) -> set[int]:
    return {process.pid for process in supervision.strays() if process.cmdline() == ["sleep", seconds]}


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_what_a_killed_service_left_is_ended_before_it_starts_again(supervision: Supervision) -> None:
    for name in ("one", "two"):
        supervision.start(name)
    assert eventually(lambda: len(sleepers(supervision, "300")) == len(sleepers(supervision, "301")) == 2)
    before = sleepers(supervision, "300")
    victim = supervision.pids()["one"]
    assert victim
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: supervision.pids()["one"] is None)
    assert sleepers(supervision, "300") == before, "the orphan lives on"
    for name in ("one", "two"):
        supervision.end_orphans(name)
    (left,) = sleepers(supervision, "300")
    assert left in before, "the other service's is left alone"
    supervision.start("one")
    assert eventually(lambda: len(sleepers(supervision, "300")) == 2)
    assert left in sleepers(supervision, "300")


def test_a_service_has_its_umask_and_user(supervision: Supervision) -> None:
    supervision.start("one")
    assert eventually(lambda: bool(sleepers(supervision, "301")))
    (pid,) = sleepers(supervision, "301")
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Umask:\t0077\n" in status
    assert f"Uid:\t{os.getuid()}\t" in status
