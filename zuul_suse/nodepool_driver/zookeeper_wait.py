# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""A cheaper way for Nodepool's ZooKeeper connection to wait for its socket.

Most of what a launcher computes per node is traffic with ZooKeeper, and a third of that was kazoo making, filling and
closing an epoll object for each wait, several times per message. Its handler's `select` is meant to be replaceable (its
own tests replace it). Called once per connection, by the provider as it starts; lasts as long as the connection.
"""

from __future__ import annotations

import errno
import math
import select
from collections.abc import Sequence
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler

_READABLE = select.POLLIN | select.POLLPRI | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR


def poll_select(
    readers: Sequence[Any], writers: Sequence[Any], _others: Sequence[Any] = (), timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """As select.select, for any number of open files, and without the third kind, which kazoo never asks for."""
    waiter = select.poll()
    for writer in writers:
        waiter.register(writer, select.POLLOUT)
    for reader in readers:
        both = select.POLLIN | select.POLLPRI | (select.POLLOUT if reader in writers else 0)
        waiter.register(reader, both)
    found = dict(waiter.poll(None if timeout is None else math.ceil(timeout * 1000)))
    if select.POLLNVAL in found.values():
        raise OSError(errno.EBADF, "waiting for a socket that is closed")
    readable = [reader for reader in readers if found.get(reader.fileno(), 0) & _READABLE]
    return readable, [writer for writer in writers if found.get(writer.fileno(), 0) & _WRITABLE], []


def quicken(zk: Any) -> None:
    """Have Nodepool's connection wait in this way, if it is of the kind that we know."""
    handler = zk.kazoo_client.handler
    if isinstance(handler, SequentialThreadingHandler):
        handler.select = poll_select
