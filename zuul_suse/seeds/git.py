# SPDX-License-Identifier: Apache-2.0
"""Runs git: quietly, without the user's own configuration or any hook, and so that it can be ended.

Owns the git processes that run now. Called by the import and by the sandbox. `stop_all` is for an interrupted command:
a push over a network may take minutes, and what it holds must be given back before.

Names of files and references need not be UTF-8: bytes that are not come as surrogates (PEP 383) and go back as they
came, whatever the locale; `shown` makes them printable.
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
# What git reads is what is there: `git replace` puts other objects in the place of some, and a promisor is asked for
# those that are missing. Its words are English, for `_reason`.
PLAIN = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C", "LANGUAGE": ""}
# What of the caller's environment concerns how a server is reached, and not which repository is meant.
KEPT = ("GIT_SSH", "GIT_SSL", "GIT_PROXY", "GIT_TRACE", "GIT_EXEC_PATH")
CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "gc.auto": "0",
    # A server that neither answers nor takes anything ends the call. Gerrit may think about a push for minutes.
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "1800",
}
# What says most stands first: what a server refuses, before what git makes of it.
TOLD = ("remote: error", "remote: fatal", "!\t", " ! ", "error:", "fatal:")

_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()  # between the threads that start git and the one that stops them
_stopping = threading.Event()


class GitError(SeedError):
    """Git ended with a fault; its own reason, less passwords in URLs."""


def run(
    folder: Path,
    *words: str,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Run git in a folder and return what it prints.

    :param config: configuration for this call; in the environment, for a command line is seen by everybody.
    :param seconds: how long it may take; None for as long as it likes.
    :raises GitError: with git's own reason.
    """
    command = [b"git", b"-C", os.fsencode(folder), *map(_encoded, words)]
    pipe = subprocess.PIPE
    with _lock:
        if _stopping.is_set():
            raise GitError(f"git {words[0]}: interrupted")
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=_environment({**CONFIG, **(config or {})}) | dict(environment or {}),
            start_new_session=True,  # a push has a child that speaks to the server: both are ended, and by us only
        )
        _running.add(process)
    try:
        output, told = process.communicate(_encoded(text), timeout=seconds)
    except subprocess.TimeoutExpired as fault:
        raise GitError(f"git {words[0]}: no answer in {seconds:.0f} s") from fault
    finally:
        if process.poll() is None:
            _end(process)
            process.communicate()
        with _lock:
            _running.discard(process)
    if process.returncode:
        raise GitError(f"git {words[0]} in {folder}: {_reason(_printable(told), _printable(output))}")
    return output.decode(errors="surrogateescape").strip()


def shown(name: str) -> str:
    """A name as it may be printed: bytes that are not UTF-8, and control characters, as escapes."""
    text = _printable(_encoded(name))
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _printable(text: bytes) -> str:
    return text.decode(errors="backslashreplace")


def _environment(config: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment, less what names another repository or configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(KEPT)}
    return kept | QUIET | PLAIN | config_environment(config)


def config_environment(config: Mapping[str, str]) -> dict[str, str]:
    """Configuration as environment variables, for a git that another program starts."""
    numbered = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return numbered


def stop_all() -> None:
    """End every git that runs, and let none start any more: this command is at its end."""
    with _lock:
        _stopping.set()
        for process in _running:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a git and its children; it writes whole files only, so that nothing is left broken."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def _reason(told: str, output: str) -> str:
    """The line that says most."""
    lines = [*told.splitlines(), *output.splitlines()]
    faults = [line for start in TOLD for line in lines if line.startswith(start)]
    return re.sub(r"//[^/@\s]+@", "//", " ".join((faults or lines or ["failed"])[0].split()))
