# SPDX-License-Identifier: Apache-2.0
"""A machine that devstack's functions can be tried on: the real zypper and rpm, on a root of their own.

Made by the tests and by `make devstack-check`. `sudo` runs nothing but zypper and rpm, every other command is only
written down, so nothing outside the machine's folder is changed. The folder is its owner's to remove.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .releases import Release

# Written down, never run. Of the caller's environment sudo keeps little: the wait for zypper's lock must be behind it.
SUDO = """\
#!/bin/bash
given=()
while [[ "$1" == -* || "$1" == *=* || "$1" == env ]]; do
    [[ "$1" != *=* ]] || given+=("$1")
    shift
done
echo "$*" >>"$MACHINE/calls"
case $1 in
    zypper | rpm) exec env -u ZYPP_LOCK_TIMEOUT "${given[@]}" "$@" ;;
    tee) cat >>"$MACHINE/written" ;;
    *) [[ -t 0 ]] || cat >/dev/null ;;
esac
"""
ZYPPER = '#!/bin/sh\nexec /usr/bin/zypper --root "$MACHINE/root" --no-gpg-checks "$@"\n'
RPM = '#!/bin/sh\nexec /usr/bin/rpm --root "$MACHINE/root" "$@"\n'
# `a2enmod -q` asks whether a module is on.
A2ENMOD = '#!/bin/sh\n[ "$1" = -q ] && grep -qx "a2enmod $2" "$MACHINE/calls"\n'
# devstack asks for the groups of its user, whom this machine need not have.
ID = "#!/bin/sh\necho nobody\n"
# No database of the developer's is spoken to, and no process of theirs: devstack signals nova-compute when it gives up.
NOTHING = "#!/bin/sh\n"
SHIMS = {
    "sudo": SUDO,
    "zypper": ZYPPER,
    "rpm": RPM,
    "a2enmod": A2ENMOD,
    "id": ID,
    **dict.fromkeys(("mysql", "uuidgen", "killall", "pkill"), NOTHING),
}

SPEC_HEAD = (
    "Name: {0}\nVersion: 1\nRelease: 1\nSummary: empty\nLicense: none\nBuildArch: noarch\n%description\n%files\n"
)
SPEC_MORE = "%package -n {0}\nSummary: empty\n%description -n {0}\n%files -n {0}\n"


class Machine:
    """One machine of a release."""

    def __init__(self, folder: Path, os_release: str | Release) -> None:
        self.folder = folder
        text = os_release.os_release if isinstance(os_release, Release) else os_release
        for name in ("bin", "root", "home"):
            (folder / name).mkdir(parents=True)
        (folder / "os-release").write_text(text)
        (folder / "calls").touch()
        (folder / "written").touch()
        for name, script in SHIMS.items():
            shim = folder / "bin" / name
            shim.write_text(script)
            shim.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        """Few variables, so that what a developer has set changes nothing."""
        path = f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        own = {"MACHINE": str(self.folder), "HOME": str(self.folder / "home"), "PATH": path, "LC_ALL": "C.UTF-8"}
        return own | {"OPENSUSE_OS_RELEASE": str(self.folder / "os-release")} | more

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment(**variables), cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def add_repository(self, repository: Path) -> None:
        done = self.run(
            self.folder / "bin/zypper", "--non-interactive", "addrepo", "--no-gpgcheck", repository, repository.name
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def installed(self) -> set[str]:
        return set(self.run(self.folder / "bin/rpm", "-qa", "--queryformat", "%{NAME}\\n").stdout.split())

    def calls(self) -> list[str]:
        """What sudo was asked to run."""
        return (self.folder / "calls").read_text().splitlines()

    def written(self) -> str:
        """What was to be written to files as root."""
        return (self.folder / "written").read_text()


def make_repository(folder: Path, names: Iterable[str]) -> Path:
    """Make an rpm-md repository of empty packages: one rpmbuild makes them all."""
    folder.mkdir(parents=True)
    first, *others = sorted(set(names))
    spec = folder / "empty.spec"
    spec.write_text(SPEC_HEAD.format(first) + "".join(SPEC_MORE.format(name) for name in others))
    macros = ["--define", f"_topdir {folder}/build", "--define", f"_rpmdir {folder}"]
    for command in (["rpmbuild", "-bb", "--quiet", *macros, str(spec)], ["createrepo_c", "-q", str(folder)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder
