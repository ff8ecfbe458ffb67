# SPDX-License-Identifier: Apache-2.0
"""What the tests of the devstack overlay share: a repository of empty packages, and a machine of each release."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from . import overlay
from .machine import Machine, make_repository
from .releases import RELEASES, Release

# Not in the map: the same on openSUSE.
PLAIN = ("curl", "gcc-c++", "libvirt-devel", "mdevctl", "swtpm", "tar")
Make = Callable[..., Machine]


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A repository for each release, with every name that the map can give."""
    for program in ("zypper", "rpm", "rpmbuild", "createrepo_c"):
        if not shutil.which(program):
            pytest.fail(f"{program} is not installed; run `make test-packages` (the names stand in bindep.txt)")
    folder = tmp_path_factory.mktemp("repositories")
    return {r.name: make_repository(folder / r.name, {*overlay.opensuse_names(r.python), *PLAIN}) for r in RELEASES}


@pytest.fixture
def make_machine(tmp_path: Path, repositories: dict[str, Path]) -> Make:
    """Make a machine of a release, its repository added."""

    def make(release: Release) -> Machine:
        machine = Machine(tmp_path / release.name, release)
        machine.add_repository(repositories[release.name])
        return machine

    return make


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    return request.param


@pytest.fixture
def machine(make_machine: Make, release: Release) -> Machine:
    return make_machine(release)
