# SPDX-License-Identifier: Apache-2.0
"""The fixture `cloud`: a developer's running cloud if it is well and large enough, else one of our own for the session.

Offered to all tests by tests/conftest.py. A cloud that can't start fails the tests that want it; nothing is skipped.
Our own has a folder of its own, so that a developer's smaller cloud stays; `make cloud-down` ends both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .cloud import Cloud

REGIONS = 3  # what chaos and benchmark want; two would do for all else


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    # Imported when it is wanted: every test's conftest loads this module, also on nodes that lack what a cloud needs.
    from .cloud import running, start
    from .layout import CloudError, session_folder

    found = running()
    if found is not None and len(found.regions) >= REGIONS:
        yield found  # its owner ends it
        return
    try:
        made = start(session_folder(), REGIONS)
    except CloudError as fault:
        pytest.fail(f"cloud: {fault}")
    try:
        yield made
    finally:
        made.stop()
