# SPDX-License-Identifier: Apache-2.0
"""The fixture `cloud`: a developer's running cloud if it is well, else one of our own for the session.

Offered to all tests by tests/conftest.py. A cloud that can't start fails the tests that want it; nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cloud import Cloud, running, start
from .layout import CloudError

REGIONS = 3  # what chaos and benchmark want; two would do for all else


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    found = running()
    if found is not None and len(found.regions) >= REGIONS:
        yield found  # its owner ends it
        return
    try:
        made = start(regions=REGIONS)
    except CloudError as fault:
        pytest.fail(f"cloud: {fault}")
    try:
        yield made
    finally:
        made.stop()
