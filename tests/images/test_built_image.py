# SPDX-License-Identifier: Apache-2.0
"""The stand-in, built by the real diskimage-builder as nodepool-builder calls it, and what is in its tar.

Minutes and root. ZUUL_SUSE_TEST_IMAGE names a tar that was built already, for instance by a sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zuul_suse.sandbox.nodepool import debian_mirrors

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 zuul-suse-test"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tar(
    elements: Path, images: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tarfile.TarFile]:
    ready = os.environ.get("ZUUL_SUSE_TEST_IMAGE")
    path = Path(ready) if ready else build(elements, images["standin-debian"], tmp_path_factory.mktemp("image"))
    with tarfile.open(path) as opened:
        yield opened


def build(elements: Path, image: dict[str, Any], folder: Path) -> Path:
    """By the image's own command and elements; the log is told when it fails."""
    (folder / "tmp").mkdir()
    program = Path(sys.executable).parent
    mirrors = debian_mirrors()
    environment = os.environ | {
        "PATH": f"{program}:{os.environ['PATH']}",
        "ELEMENTS_PATH": str(elements),
        "DIB_RELEASE": str(image.get("release", "")),
        "DIB_IMAGE_CACHE": str(folder / "cache"),
        "DIB_DISTRIBUTION_MIRROR": mirrors["main"],
        "DIB_DEBIAN_SECURITY_MIRROR": mirrors["security"],
        "TMPDIR": str(folder / "tmp"),
        "ZUUL_SSH_PUBLIC_KEY": KEY,
    }
    run = subprocess.run(
        [*image["dib-cmd"].split(), "-t", "tar", "--no-tmpfs", "-o", folder / "standin", *image["elements"]],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    return folder / "standin.tar"


def text(tar: tarfile.TarFile, path: str) -> str:
    file = tar.extractfile(f"./{path}")
    assert file, f"{path} is no file"
    return file.read().decode()


def test_it_says_stand_in_and_has_the_real_tools(tar: tarfile.TarFile) -> None:
    assert "VARIANT_ID=stand-in\n" in text(tar, "usr/lib/os-release")
    assert "not openSUSE" in text(tar, "etc/motd")
    for program in ("zypper", "rpm", "python3", "git", "rsync", "sudo", "curl"):
        assert tar.getmember(f"./usr/bin/{program}")


def test_zuul_can_log_in_and_become_root(tar: tarfile.TarFile) -> None:
    keys = tar.getmember("./home/zuul/.ssh/authorized_keys")
    assert text(tar, "home/zuul/.ssh/authorized_keys").startswith("ssh-ed25519 ")
    assert (keys.mode & 0o777, keys.uid) == (0o600, tar.getmember("./home/zuul").uid)
    assert keys.uid >= 1000
    assert text(tar, "etc/sudoers.d/zuul") == "zuul ALL=(ALL) NOPASSWD:ALL\n"
    assert tar.getmember("./etc/sudoers.d/zuul").mode & 0o777 == 0o440


def test_a_node_s_identity_is_its_own(tar: tarfile.TarFile) -> None:
    names = set(tar.getnames())
    assert "./etc/hostname" not in names
    assert not [name for name in names if name.startswith("./etc/ssh/ssh_host_")]
    assert text(tar, "etc/machine-id") == ""


def test_it_is_a_container_s_root_and_small(tar: tarfile.TarFile) -> None:
    names = tar.getnames()
    assert not [name for name in names if name.startswith(("./boot/vmlinuz", "./lib/modules", "./usr/lib/modules/"))]
    assert text(tar, "etc/fstab") == ""
    assert sum(member.size for member in tar.getmembers()) < 400_000_000
