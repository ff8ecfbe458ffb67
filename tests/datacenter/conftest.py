# SPDX-License-Identifier: Apache-2.0

"""A private LXD or Incus daemon for this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .lxd_daemon import Daemon, private_daemon, tiny_root


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    with private_daemon() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_root(tmp_path_factory.mktemp("tiny"))
