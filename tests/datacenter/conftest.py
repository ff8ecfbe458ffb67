# SPDX-License-Identifier: Apache-2.0

"""A private LXD or Incus daemon, and a real OpenStack, for this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .lxd_daemon import Daemon, private_daemon, tiny_root
from .openstack_project import shared_cloud


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    with private_daemon() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_root(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def cloud() -> Iterator[Any]:
    """The real OpenStack that runs on this machine; one is started, and ended again, if none does."""
    with shared_cloud() as found:
        yield found
