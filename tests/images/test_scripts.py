# SPDX-License-Identifier: Apache-2.0
"""Scripts of elements that can be tried without building an image: on a scratch root, or on their variables alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.facts.system.distribution import DistributionFiles

BOOKWORM = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
VARIANT="what it was before"
HOME_URL="https://www.debian.org/"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As much of a Debian root as the scripts of cleanup.d touch."""
    for folder in ("usr/lib", "etc/ssh", "var/lib/dbus"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(BOOKWORM)
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    return tmp_path


def run(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without DIB_DEBUG_TRACE, which is how a quiet build calls it: a variable that is not guarded fails here."""
    path = {"PATH": os.environ["PATH"]}
    if not shutil.which("sudo"):
        pytest.fail("sudo is not installed; run `make packages` (the names stand in bindep.txt)")
    return subprocess.run([script], env=path | environment, capture_output=True, text=True, check=False)


def os_release(root: Path) -> dict[str, str]:
    pairs = [line.split("=", 1) for line in (root / "etc/os-release").read_text().splitlines()]
    assert len(pairs) == len(dict(pairs)), "a key stands twice"
    return {key: value.strip('"') for key, value in pairs}


def test_the_stand_in_says_so_and_stays_debian_to_programs(elements: Path, root: Path) -> None:
    script = elements / "standin-marker/cleanup.d/50-mark-standin"
    for _ in range(2):  # twice is harmless
        done = run(script, TARGET_ROOT=str(root))
        assert done.returncode == 0, done.stderr
    fields = os_release(root)
    assert fields["NAME"] == "Debian GNU/Linux (stand-in)"
    assert fields["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm) (stand-in)"
    assert (fields["VARIANT"], fields["VARIANT_ID"]) == ("stand-in", "stand-in")
    assert (fields["ID"], fields["VERSION_ID"], fields["VERSION_CODENAME"]) == ("debian", "12", "bookworm")
    message = (root / "etc/motd").read_text()
    assert "stand-in" in message
    assert "not openSUSE" in message


def test_ansible_takes_the_stand_in_for_debian(elements: Path, root: Path) -> None:
    """Ansible takes any os-release with "suse" in it for that family: the marker must not name it."""
    run(elements / "standin-marker/cleanup.d/50-mark-standin", TARGET_ROOT=str(root))
    text = (root / "etc/os-release").read_text()
    reader = DistributionFiles(SimpleNamespace(debug=print, get_bin_path=lambda _name: None))
    facts = {"distribution_release": "NA"}
    assert reader.parse_distribution_file_SUSE("SUSE", text, "/etc/os-release", facts)[0] is False
    parsed, found = reader.parse_distribution_file_Debian("Debian", text, "/etc/os-release", facts)
    assert parsed
    assert found["distribution"] == "Debian"


def test_an_image_has_no_identity_of_its_own(elements: Path, root: Path) -> None:
    (root / "etc/hostname").write_text("builder\n")
    (root / "etc/machine-id").write_text("uninitialized\n")
    (root / "var/lib/dbus/machine-id").write_text("0123\n")
    done = run(elements / "container-node/cleanup.d/95-remove-identity", TARGET_ROOT=str(root))
    assert done.returncode == 0, done.stderr
    assert not (root / "etc/hostname").exists()
    assert (root / "etc/machine-id").read_text() == ""
    assert not (root / "var/lib/dbus/machine-id").exists()


@pytest.mark.parametrize(
    "script",
    [
        "standin-marker/cleanup.d/50-mark-standin",
        "container-node/cleanup.d/94-empty-fstab",
        "container-node/cleanup.d/95-remove-identity",
    ],
)
def test_no_script_touches_the_builder_when_there_is_no_root(elements: Path, script: str) -> None:
    assert run(elements / script, TARGET_ROOT="").returncode != 0


@pytest.mark.parametrize(
    ("key", "fine"),
    [
        ("ssh-ed25519 AAAAC3Nz zuul", True),
        ("ecdsa-sha2-nistp256 AAAAE2Vj", True),
        ("", False),
        ("/etc/zuul/id_ed25519.pub", False),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", False),
    ],
)
def test_what_is_no_public_key_is_refused_before_the_build(elements: Path, key: str, fine: bool) -> None:
    done = run(elements / "zuul-ssh-key/extra-data.d/10-check-ssh-key", ZUUL_SSH_PUBLIC_KEY=key)
    assert (done.returncode == 0) == fine
    assert fine or "env-vars.ZUUL_SSH_PUBLIC_KEY: " in done.stderr
    assert "PRIVATE" not in done.stderr, "a private key must not get into a log"
