# SPDX-License-Identifier: Apache-2.0
"""Mounts below the state folder that a killed image build has left.

Owns nothing. diskimage-builder binds the machine's own /dev and /proc into the root that it builds; whoever removes
such a folder with the mount still in it removes the machine's devices. Called by `down`, before anything is removed.
"""

import codecs
import subprocess
import tempfile
from pathlib import Path

from zuul_suse.sandbox import SandboxError


def check_forced_unmount() -> None:
    """Whether this machine lets a mount go by force, as diskimage-builder does with the /dev that it bound.

    A container often may not. There diskimage-builder goes on to remove its folder, and with it the machine's devices
    (seen in LXD with its default system call filter).

    :raises SandboxError: it does not.
    """
    with tempfile.TemporaryDirectory(prefix="zuul-suse-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False)
        if subprocess.run(["umount", "-f", folder], capture_output=True, check=False).returncode:
            subprocess.run(["umount", folder], capture_output=True, check=False)
            raise SandboxError(
                "this machine refuses `mount` or `umount -f`, without which an image build would remove its /dev;"
                " run the sandbox on a real or virtual machine, or in a container that may (LXD:"
                " security.syscalls.deny_default=false)"
            )


def below(root: Path) -> list[Path]:
    """Mount points below a folder, the deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # The fifth field, in which blanks are written as octal escapes (proc(5)).
        path = Path(codecs.decode(line.split()[4].encode(), "unicode_escape"))
        if root in path.parents:
            found.append(path)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def release(root: Path) -> None:
    """Unmount everything below a folder.

    :raises SandboxError: something stays mounted; removing the folder would then remove what is mounted there.
    """
    for path in below(root):
        if subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode:
            # Still in use by somebody: out of sight at once, gone when they are done.
            subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=False)
    if left := below(root):
        raise SandboxError(f"{left[0]}: can't be unmounted; unmount it by hand, then run this again")
