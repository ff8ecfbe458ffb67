# SPDX-License-Identifier: Apache-2.0
"""How far upstream's own stack.sh gets on an openSUSE release, without openSUSE: it says where, and what ended it.

Called by `make devstack-check` when it is given SOURCES. Runs as nobody, who may change nothing but the machine's
folder; what stack.sh asks of root is only written down, but for zypper and rpm (see `machine`). So it must end where
the first service has to answer. Takes minutes and a package index, and the release's Python on this host.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import names, overlay
from .machine import Machine, make_repository
from .releases import RELEASES, Release

NOBODY = 65534
LIMIT = 1500
# rpm changes its root to the machine's; nothing else of root's is given.
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+sys_chroot",
             "--ambient-caps=+sys_chroot", "timeout", str(LIMIT))  # fmt: skip
SERVICES = "key,mysql,rabbit,g-api,n-api,n-cond,n-sch,n-cpu,placement-api,placement-client,tempest"
# Packages are all installed, and the services' sources come next.
REACHED = "Installing OpenStack project source"
LOCALRC = """\
[[local|localrc]]
DEST={stack}
DATA_DIR={stack}/data
LOGFILE={stack}/logs/devstacklog.txt
SUBUNIT_OUTPUT={stack}/devstack.subunit
ADMIN_PASSWORD=secret
DATABASE_PASSWORD=secret
RABBIT_PASSWORD=secret
SERVICE_PASSWORD=secret
HOST_IP=127.0.0.1
SERVICE_HOST=127.0.0.1
VIRT_DRIVER=fake
ERROR_ON_CLONE=True
ENABLED_SERVICES={services}
"""


@dataclass(frozen=True)
class Run:
    """What came of it."""

    release: Release
    phases: list[str]
    packages: int
    ended: str

    @property
    def reached(self) -> bool:
        return REACHED in self.phases


def possible() -> list[Release]:
    """Name the releases whose Python is here, for all to use."""
    return [release for release in RELEASES if shutil.which(f"python{release.python}", path="/usr/bin:/usr/local/bin")]


def prepare(folder: Path, tree: Path, sources: Path, release: Release) -> Machine:
    """Lay the tree, the overlay and the sources where nobody may read and write them."""
    machine = Machine(folder, release)
    (folder / "bin" / "id").unlink()
    record = names.recorded()
    machine.add_repository(make_repository(folder / "repository", {*record.known, *record.unconfirmed}))
    shutil.copytree(tree, folder / "devstack", symlinks=True)
    shutil.copytree(overlay.FOLDER, folder / "overlay")
    with (folder / "devstack" / "functions").open("a", encoding="utf-8") as functions:
        functions.write(f"source {folder}/overlay/overlay.sh\n")
    stack = folder / "stack"
    shutil.copytree(sources, stack, symlinks=True)
    for name in ("logs", "data"):
        (stack / name).mkdir()
    (folder / "devstack" / "local.conf").write_text(LOCALRC.format(stack=stack, services=SERVICES))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return machine


def last_words(log: str) -> str:
    """Return stack.sh's own error, or the last thing that is not its trace, before it cleans up."""
    log = log.partition("stack.sh:exit_trap:")[0]
    lines = [re.sub(r"^[\d-]+ [\d:.]+ \| ?", "", line) for line in log.splitlines()]
    said = [line for line in lines if line.strip() and not re.match(r"\++ ", line)]
    errors = [line for line in said if line.startswith("[ERROR]")]
    return (errors or said or ["nothing"])[-1]


def run(folder: Path, tree: Path, sources: Path, release: Release) -> Run:
    """Run stack.sh until it ends."""
    folder.parent.chmod(0o755)  # or nobody could not get there
    machine = prepare(folder, tree, sources, release)
    subprocess.run(
        [*AS_NOBODY, "bash", "./stack.sh"], cwd=folder / "devstack", env=machine.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    logs = folder / "stack" / "logs"
    read = {name: (logs / name).read_text(errors="replace") if (logs / name).exists() else ""
            for name in ("devstacklog.txt", "devstacklog.txt.summary")}  # fmt: skip
    phases = [line.partition("| ")[2] for line in read["devstacklog.txt.summary"].splitlines() if "| " in line]
    return Run(release, phases, len(machine.installed()), last_words(read["devstacklog.txt"]))
