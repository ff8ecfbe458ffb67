# SPDX-License-Identifier: Apache-2.0
"""Which datacenter is chosen, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zuul_suse.datacenter import UNLIMITED, Quota
from zuul_suse.fleet.placement import Candidate, Demand, choose, weight

NODE = Quota(1, 2, 4096)


def candidate(name: str, limit: float = 10, used: float = 0) -> Candidate:
    limits = Quota(limit, limit * 2, limit * 4096)
    return Candidate(name, NODE, limits, limits - Quota(used, used * 2, used * 4096), used=int(used))


def test_least_loaded_is_chosen() -> None:
    assert choose([candidate("a", used=3), candidate("b", used=2), candidate("c", used=4)]).name == "b"


def test_share_counts_and_not_the_number() -> None:
    assert choose([candidate("small", 4, 2), candidate("big", 100, 50)]).name == "big"


def test_scarcest_resource_counts() -> None:
    little_ram = replace(candidate("a"), free=Quota(10, 20, 5000))
    assert choose([little_ram, candidate("b", used=5)]).name == "b"


def test_weight_pulls() -> None:
    assert choose([candidate("a"), replace(candidate("b", used=1), weight=2)]).name == "b"


def test_without_limits_the_emptier_one_is_chosen() -> None:
    unlimited = [Candidate(name, NODE, UNLIMITED, UNLIMITED, used=used) for name, used in (("a", 2), ("b", 1))]
    assert choose(unlimited).name == "b"


def test_preferred_is_taken_though_it_is_fuller() -> None:
    assert choose([candidate("a"), candidate("b", used=5)], prefer="b").name == "b"


def test_preferred_without_room_is_not_taken() -> None:
    assert choose([candidate("a"), candidate("b", used=10)], prefer="b").name == "a"


def test_avoided_is_taken_only_if_nothing_else_is_left() -> None:
    both = [candidate("a"), candidate("b", used=9)]
    assert choose(both, avoid={"a"}).name == "b"
    assert choose(both, avoid={"a"}, exclude={"b": "tried"}).name == "a"


def test_half_open_comes_after_closed() -> None:
    half_open = replace(candidate("a"), breaker="half-open")
    assert choose([half_open, candidate("b", used=9)]).name == "b"
    assert choose([half_open]).name == "a"


def test_probe_goes_first_but_not_before_the_preferred() -> None:
    half_open = replace(candidate("a", used=9), breaker="half-open", probe=True)
    assert choose([half_open, candidate("b")]).name == "a"
    assert choose([half_open, candidate("b")], prefer="b").name == "b"
    assert choose([half_open, candidate("b")], avoid={"a"}).name == "b"


@pytest.mark.parametrize(
    ("refuses", "reason"),
    [
        (replace(candidate("a"), admits=False, breaker="open"), "its breaker is open"),
        (replace(candidate("a"), free=None), "not heard of yet"),
        (replace(candidate("a"), rests="said that it is full"), "said that it is full"),
        (replace(candidate("a"), refusal="no such flavor"), "no such flavor"),
        (candidate("a", 1, 1), "free: 0 servers, 0 cores, 0 MiB"),
    ],
)
def test_reason_is_given(refuses: Candidate, reason: str) -> None:
    choice = choose([refuses])
    assert choice.name is None
    assert str(choice) == f"a: {reason}"


def test_need_may_differ_from_place_to_place() -> None:
    big_flavor = replace(candidate("a"), need=Quota(1, 2, 50_000))
    assert choose([big_flavor, candidate("b", used=8)]).name == "b"


def test_waiting_pays_only_where_it_is_well_and_big_enough() -> None:
    choice = choose(
        [
            candidate("full", 1, 1),
            replace(candidate("resting"), rests="said that it is full"),
            replace(candidate("unknown"), free=None),
            replace(candidate("out"), admits=False, breaker="open"),
            replace(candidate("small"), free=Quota(), limits=Quota()),
            replace(candidate("lacking"), refusal="no such flavor"),
        ]
    )
    assert choice.name is None
    assert choice.waits == {"full", "resting", "unknown"}


def test_weights_of_what_is_wanted_beat_the_datacenters_own_and_the_least_counts() -> None:
    one, two = (Demand(lambda name: "", weights) for weights in ({"a": 3.0}, {"a": 2.0, "b": 5.0}))
    assert weight([one, two], "a", 1.0) == 2.0
    assert weight([one, two], "b", 1.5) == 1.5
    assert weight([], "b", 1.5) == 1.5


def test_reasons_of_excluded_are_kept() -> None:
    choice = choose([candidate("a"), candidate("b", 0)], exclude={"a": "has no such image"})
    assert choice.reasons == {"a": "has no such image", "b": "free: 0 servers, 0 cores, 0 MiB"}
