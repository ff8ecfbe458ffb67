# SPDX-License-Identifier: Apache-2.0
"""Runs git: quietly, without the user's own configuration, and so that it can be ended.

Owns the git processes that run now. Called by the import and by the sandbox. `stop_all` is for an interrupted command:
a push over a network may take minutes, and what it holds must be given back before.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from zuul_suse.seeds import SeedError

# The user's own git configuration (hooks, signing, templates) has no say.
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
# What says most stands first: what a server refuses, before what git makes of it.
TOLD = ("remote: error", "remote: fatal", "!\t", " ! ", "error:", "fatal:")

_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()  # between the threads that start git and the one that stops them
_stopping = threading.Event()


class GitError(SeedError):
    """Git ended with a fault; its own reason, less passwords in URLs."""


def run(
    folder: Path,
    *words: str,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Run git in a folder and return what it prints.

    :param seconds: how long it may take; None for as long as it likes.
    :raises GitError: with git's own reason.
    """
    command = ["git", "-C", str(folder), *words]
    pipe = subprocess.PIPE
    with _lock:
        if _stopping.is_set():
            raise GitError(f"git {words[0]}: interrupted")
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env={**os.environ, **QUIET, **(environment or {})},
            start_new_session=True,  # a push has a child that speaks to the server: both are ended, and by us only
        )
        _running.add(process)
    try:
        output, told = process.communicate(text, timeout=seconds)
    except subprocess.TimeoutExpired as fault:
        raise GitError(f"git {words[0]}: no answer in {seconds:.0f} s") from fault
    finally:
        if process.poll() is None:
            _end(process)
            process.communicate()
        with _lock:
            _running.discard(process)
    if process.returncode:
        raise GitError(f"git {words[0]} in {folder}: {_reason(told, output)}")
    return output.strip()


def stop_all() -> None:
    """End every git that runs, and let none start any more: this command is at its end."""
    with _lock:
        _stopping.set()
        for process in _running:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a git and its children; it writes whole files only, so that nothing is left broken."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def _reason(told: str, output: str) -> str:
    """The line that says most."""
    lines = [*told.splitlines(), *output.splitlines()]
    faults = [line for start in TOLD for line in lines if line.startswith(start)]
    return re.sub(r"//[^/@\s]+@", "//", " ".join((faults or lines or ["failed"])[0].split()))
