# SPDX-License-Identifier: Apache-2.0
"""Shows the services the Python environment that this package is installed in, wherever it lies.

Owns the mount `environment/` of the state folder. A clone below a home folder is closed to the services' users: they
see its environment read-only by a mount that `down` takes away. Called by `up` before services start.
"""

import os
import subprocess
import sys
from pathlib import Path

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.users import ZUUL

FOLDER = "environment"


def python(state: State) -> str:
    """The services' Python: this command's own, by a path that they can go."""
    return str(_programs(state) / Path(sys.executable).name)


def script(state: State, name: str) -> tuple[str, str]:
    """A command that was installed with this package; its first line names a Python that may be out of reach."""
    return python(state), str(_programs(state) / name)


def show(state: State) -> None:
    """Mount the environment unless it is there already, and try it.

    :raises SandboxError: it can't be mounted, or the services' users can't run it.
    """
    if _is_virtual():
        _mount(Path(sys.prefix), state.folder(FOLDER))
    command = [python(state), "-c", "import zuul.cmd, nodepool.cmd, zuul_suse.sandbox"]
    try:
        done = subprocess.run(
            command,
            user=ZUUL,
            group=ZUUL,
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
        reason = done.stderr.strip().splitlines()[-1] if done.returncode else None
    except OSError as fault:
        reason = str(fault)
    if reason:
        raise SandboxError(
            f"{sys.prefix}: the user {ZUUL} can't run this Python environment ({reason});"
            " make it with umask 022 and from a Python that every user can run, such as /usr/bin/python3"
        )


def _mount(source: Path, target: Path) -> None:
    if os.path.samestat(source.stat(), target.stat()):
        return
    if target.is_mount():  # of an environment that was made anew since
        _run("umount", "--lazy", str(target))
    _run("mount", "--bind", str(source), str(target))
    _run("mount", "-o", "remount,bind,ro,nosuid,nodev", str(target))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"{' '.join(command)}: {done.stderr.strip()}")


def _programs(state: State) -> Path:
    return state.root / FOLDER / "bin" if _is_virtual() else Path(sys.executable).parent


def _is_virtual() -> bool:
    return sys.prefix != sys.base_prefix
