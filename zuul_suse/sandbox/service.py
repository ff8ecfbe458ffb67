# SPDX-License-Identifier: Apache-2.0
"""What a service of the sandbox is, and how one waits for it.

Owns nothing. Each part's module makes `Service`s; `supervision.py` runs them, `sandbox.py` asks after their health.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from zuul_suse.sandbox import SandboxError


@dataclass(frozen=True)
class Service:
    """One process that the supervisor keeps.

    `check` answers whether the service is well; it must come back within a few seconds and not raise. `user` is the
    system user whose rights the process has.
    """

    name: str
    command: tuple[str, ...]
    check: Callable[[], bool]
    user: str = field(kw_only=True)
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    url: str | None = None
    stop_seconds: int = 30
    port_names: tuple[str, ...] = ()
    umask: int = 0o077
    resumes: bool = False  # what it started goes on without it, and it finds that again at its start


@dataclass(frozen=True)
class Health:
    """What `status` tells of one service."""

    name: str
    running: bool
    healthy: bool
    pid: int | None
    log: str
    url: str | None


def answers(url: str, *, status: int = 200) -> bool:
    """Whether a GET on the URL brings that status within three seconds."""
    try:
        return requests.get(url, timeout=3).status_code == status
    except requests.RequestException:
        return False


def wait_until(well: Callable[[], bool], what: str, seconds: float, dead: Callable[[], str | None]) -> None:
    """Wait for a condition.

    :param dead: tells in a line why waiting is of no use, or None.
    :raises SandboxError: it did not come true in time, or can't any more.
    """
    end = time.monotonic() + seconds
    while not well():
        if reason := dead():
            raise SandboxError(reason)
        if time.monotonic() > end:
            raise SandboxError(f"{what}: not ready after {seconds:.0f} s")
        time.sleep(0.5)
