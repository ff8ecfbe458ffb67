# SPDX-License-Identifier: Apache-2.0
"""The image that write-guest-image writes is what the qcow2 specification asks for; qemu-img is asked too."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.roles.loading import load

PATH = Path(__file__).parents[2] / "roles" / "write-guest-image" / "library" / "qcow2_image.py"
MIB = 1 << 20


@pytest.fixture(scope="module")
def qcow2_image() -> ModuleType:
    """The role's module; a node that runs these tests has no Ansible."""
    return load(PATH)


@pytest.mark.parametrize(("size_mib", "l1_entries"), [(1, 1), (16, 1), (512, 1), (513, 2), (4096, 8)])
def test_tables_are_where_the_header_says(qcow2_image: ModuleType, size_mib: int, l1_entries: int) -> None:
    data = qcow2_image.image(size_mib)
    magic, version, backing, _, bits, size, crypt, l1_size, l1_at, table_at, table_clusters = struct.unpack_from(
        ">4sIQIIQIIQQI", data
    )
    assert (magic, version, backing, crypt) == (b"QFI\xfb", 3, 0, 0)
    assert size == size_mib * MIB
    assert (l1_size, table_clusters) == (l1_entries, 1)
    cluster = 1 << bits
    assert len(data) == 4 * cluster
    assert not any(data[l1_at : l1_at + cluster]), "an empty disk maps nothing"
    (block_at,) = struct.unpack_from(">Q", data, table_at)
    counts = struct.unpack_from(">5H", data, block_at)
    assert counts == (1, 1, 1, 1, 0), "each of the file's clusters is used once"
    assert sorted((0, table_at, block_at, l1_at)) == [0, cluster, 2 * cluster, 3 * cluster]


@pytest.mark.skipif(
    not shutil.which("qemu-img"), reason="qemu-img is not on this node; bindep.txt has it for make test"
)
def test_qemu_takes_it(qcow2_image: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "guest.qcow2"
    path.write_bytes(qcow2_image.image(48))
    subprocess.run(["qemu-img", "check", str(path)], check=True, capture_output=True)
    told = subprocess.run(["qemu-img", "info", "--output=json", str(path)], check=True, capture_output=True)
    assert json.loads(told.stdout)["virtual-size"] == 48 * MIB
