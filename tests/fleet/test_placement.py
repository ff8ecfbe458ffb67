# SPDX-License-Identifier: Apache-2.0
"""Which datacenter is chosen, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zuul_suse.datacenter import UNLIMITED, Quota
from zuul_suse.fleet.placement import Candidate, choose

NODE = Quota(1, 2, 4096)


def candidate(name: str, limit: float = 10, used: float = 0) -> Candidate:
    limits = Quota(limit, limit * 2, limit * 4096)
    return Candidate(name, limits, limits - Quota(used, used * 2, used * 4096), used=int(used))


def test_least_loaded_is_chosen() -> None:
    assert choose([candidate("a", used=3), candidate("b", used=2), candidate("c", used=4)], NODE).name == "b"


def test_share_counts_and_not_the_number() -> None:
    assert choose([candidate("small", 4, 2), candidate("big", 100, 50)], NODE).name == "big"


def test_scarcest_resource_counts() -> None:
    little_ram = replace(candidate("a"), free=Quota(10, 20, 5000))
    assert choose([little_ram, candidate("b", used=5)], NODE).name == "b"


def test_weight_pulls() -> None:
    assert choose([candidate("a"), replace(candidate("b", used=1), weight=2)], NODE).name == "b"


def test_without_limits_the_emptier_one_is_chosen() -> None:
    unlimited = [Candidate("a", UNLIMITED, UNLIMITED, used=2), Candidate("b", UNLIMITED, UNLIMITED, used=1)]
    assert choose(unlimited, NODE).name == "b"


def test_preferred_is_taken_though_it_is_fuller() -> None:
    assert choose([candidate("a"), candidate("b", used=5)], NODE, prefer="b").name == "b"


def test_preferred_without_room_is_not_taken() -> None:
    assert choose([candidate("a"), candidate("b", used=10)], NODE, prefer="b").name == "a"


def test_avoided_is_taken_only_if_nothing_else_is_left() -> None:
    both = [candidate("a"), candidate("b", used=9)]
    assert choose(both, NODE, avoid={"a"}).name == "b"
    assert choose(both, NODE, avoid={"a"}, exclude={"b": "tried"}).name == "a"


def test_half_open_comes_after_closed() -> None:
    half_open = replace(candidate("a"), breaker="half-open")
    assert choose([half_open, candidate("b", used=9)], NODE).name == "b"
    assert choose([half_open], NODE).name == "a"


@pytest.mark.parametrize(
    ("refuses", "reason"),
    [
        (replace(candidate("a"), admits=False, breaker="open"), "its breaker is open"),
        (replace(candidate("a"), free=None), "not heard of yet"),
        (replace(candidate("a"), rests=True), "said that it is full"),
        (candidate("a", 1, 1), "free: 0 servers, 0 cores, 0 MiB"),
    ],
)
def test_reason_is_given(refuses: Candidate, reason: str) -> None:
    choice = choose([refuses], NODE)
    assert choice.name is None
    assert str(choice) == f"a: {reason}"


def test_reasons_of_excluded_are_kept() -> None:
    choice = choose([candidate("a"), candidate("b", 0)], NODE, exclude={"a": "has no such image"})
    assert choice.reasons == {"a": "has no such image", "b": "free: 0 servers, 0 cores, 0 MiB"}
