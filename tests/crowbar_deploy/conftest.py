# SPDX-License-Identifier: Apache-2.0
"""What the tests of Crowbar's deployment share: an operator's mirror, and nodes for each test."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .machines import Machines, make_mirror


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("ansible") is None:
        pytest.skip("Ansible is not installed here")
    for program in ("zypper", "rpm", "rpmbuild", "createrepo_c"):
        if not shutil.which(program):
            pytest.fail(f"{program} is not installed; run `make test-packages` (the names stand in bindep.txt)")
    return make_mirror(tmp_path_factory.mktemp("operator"))


@pytest.fixture
def machines(tmp_path: Path, mirror: Path) -> Iterator[Machines]:
    """Nodes as an operator gives them."""
    own = tmp_path / "own-mirror"
    shutil.copytree(mirror, own)
    made = Machines(tmp_path, own)
    with made.site:
        yield made
