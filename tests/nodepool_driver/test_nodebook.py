# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""What the records of nodes add up to."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from zuul_suse.datacenter import Quota
from zuul_suse.nodepool_driver.nodebook import NodeBook


class Records:
    def __init__(self, *nodes: Any) -> None:
        self.nodes = nodes

    def nodeIterator(self, cached_ids: bool) -> Iterator[Any]:
        assert cached_ids, "it asked ZooKeeper"
        return iter(self.nodes)


def node(**more: Any) -> Any:
    known = {"id": "1", "provider": "suse", "pool": "main", "type": ["leap"], "state": "ready", "az": "nbg"}
    rest = {"allocated_to": None, "lock_contenders": 0, "resources": {"instances": 1, "cores": 2, "ram": 4}}
    return SimpleNamespace(**{**known, **rest, **more})


LIMITED = SimpleNamespace(name="main", max_servers=3, max_cores=100, max_ram=100)


@pytest.fixture
def book() -> NodeBook:
    label = SimpleNamespace(need=Quota(1, 50, 8))
    return NodeBook(SimpleNamespace(name="suse", pools={"main": SimpleNamespace(labels={"leap": label})}))


def test_own_nodes_of_the_pool_count_whatever_their_state(book: NodeBook) -> None:
    book.read(Records(node(), node(id="2", state="building"), node(provider="other"), node(id="3", pool="other")))
    assert book.fits(LIMITED, Quota(1))
    assert not book.fits(LIMITED, Quota(2))


def test_node_without_figures_counts_as_its_label_says_and_a_broken_one_does_no_harm(book: NodeBook) -> None:
    book.read(Records(node(resources=None), node(id="2", resources=None, type=[], az=None), node(id="3", type=None)))
    assert book.fits(LIMITED, Quota(0, 48, 0))
    assert not book.fits(LIMITED, Quota(0, 49, 0))


def test_node_that_was_just_made_counts_before_it_is_in_the_records_and_once_after(book: NodeBook) -> None:
    book.read(Records(node()))
    book.add("2", "main", Quota(1, 2, 4))
    assert not book.fits(LIMITED, Quota(2))
    book.read(Records(node()))
    assert not book.fits(LIMITED, Quota(2)), "it was forgotten"
    book.read(Records(node(), node(id="2")))
    assert book.fits(LIMITED, Quota(1)), "it counted twice"


def test_only_nodes_that_nobody_has_are_ready_to_be_used(book: NodeBook) -> None:
    taken = (node(id="2", allocated_to="x"), node(id="3", lock_contenders=1), node(id="4", state="in-use"))
    book.read(Records(node(), node(id="5", az="prg", type=["leap", "big"]), *taken))
    assert book.ready("main") == {"nbg": {"leap": 1}, "prg": {"leap": 1, "big": 1}}
    assert book.spare("nbg") == Quota(1, 2, 4)
    book.take("main", "nbg", ["leap"])
    assert book.ready("main") == {"prg": {"leap": 1, "big": 1}}
