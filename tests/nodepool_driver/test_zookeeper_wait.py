# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - any socket, any select
"""Our way of waiting for sockets against the one that it takes the place of."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kazoo.handlers.utils import selector_select
from nodepool.zk.handler import PoolSequentialThreadingHandler

from zuul_suse.nodepool_driver.zookeeper_wait import poll_select, quicken

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def answer(select: Any, *args: Any) -> list[set[Any]]:
    return [set(found) for found in select(*args)]


def test_same_answers_as_before(pair: Pair) -> None:
    one, other = pair
    for select in (poll_select, selector_select):
        assert answer(select, [one], [], [], 0) == [set(), set(), set()]
        assert answer(select, [one], [one], [], 0) == [set(), {one}, set()]
    other.send(b"x")
    for select in (poll_select, selector_select):
        assert answer(select, [one, other], [], [], 5.0) == [{one}, set(), set()]
        assert answer(select, [], [one], [], None) == [set(), {one}, set()]
    other.close()
    for select in (poll_select, selector_select):
        assert answer(select, [one], [], [], 1) == [{one}, set(), set()]


def test_waits_as_long_as_it_was_told(pair: Pair) -> None:
    began = time.monotonic()
    assert poll_select([pair[0]], [], [], 0.15) == ([], [], [])
    assert 0.15 <= time.monotonic() - began < 2


def test_closed_socket_is_an_error_that_kazoo_takes_for_a_lost_connection(pair: Pair) -> None:
    os.close(number := os.dup(pair[0].fileno()))
    with pytest.raises(OSError, match="closed"):
        poll_select([Closed(number)], [], [], 1)


class Closed:
    """A socket whose descriptor somebody else closed."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number


def test_only_the_handler_that_we_know_is_changed() -> None:
    class Other:
        select = staticmethod(selector_select)

    class Zk:
        class kazoo_client:
            handler: object = PoolSequentialThreadingHandler()

    quicken(Zk)
    assert Zk.kazoo_client.handler.select is poll_select  # type: ignore[attr-defined]
    Zk.kazoo_client.handler = Other()
    quicken(Zk)
    assert Zk.kazoo_client.handler.select is selector_select  # type: ignore[attr-defined]
