# SPDX-License-Identifier: Apache-2.0
"""Requests that fit nowhere: how often a PoolWorker looks for room for those that ask for the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from zuul_suse.nodepool_driver.provider import SuseProvider


@pytest.fixture
def provider() -> SuseProvider:
    made: SuseProvider = SuseProvider.__new__(SuseProvider)  # without Nodepool's threads
    made._full = {}
    made.queue = SimpleNamespace(first=lambda pool: SimpleNamespace(key="promised"))  # type: ignore[assignment]
    return made


def looks(provider: SuseProvider, ranks: list[Any], key: str = "other") -> int:
    """How often the answer wasn't known."""
    handler: Any = SimpleNamespace(pool=SimpleNamespace(name="main"), request=SimpleNamespace(id=key))
    count = 0
    for rank in ranks:
        if not provider.known_full(("main", "leap"), rank, handler):
            count += 1
            provider.fits_not(("main", "leap"), rank)
    return count


def test_one_answer_does_for_all_ranks_from_the_first_on(provider: SuseProvider) -> None:
    assert looks(provider, [("200", priority) for priority in range(500)]) == 1


def test_what_is_more_important_is_tried_for_itself(provider: SuseProvider) -> None:
    assert looks(provider, [("200", 5), ("200", 6), ("100", 0), ("100", 1), ("200", 5)]) == 2


def test_request_that_room_is_promised_to_is_always_tried(provider: SuseProvider) -> None:
    assert looks(provider, [("200", 5)] * 3, key="promised") == 3


def test_answer_is_good_for_a_second(provider: SuseProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr("zuul_suse.nodepool_driver.provider.time.monotonic", lambda: now[0])
    assert looks(provider, [("200", 5)] * 3) == 1
    now[0] += 1.1
    assert looks(provider, [("200", 5)] * 3) == 1
