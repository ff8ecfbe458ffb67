# SPDX-License-Identifier: Apache-2.0
"""What all parts' tests share: the fixture `cloud`, and an end by SIGTERM that ends what the tests have started."""

from __future__ import annotations

import signal

import pytest

from .cloud.fixture import cloud

__all__ = ["cloud"]


def pytest_sessionstart() -> None:
    """A terminated session tears its fixtures down, as an interrupted one does: launchers and clouds don't stay."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))
