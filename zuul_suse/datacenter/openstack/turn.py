# SPDX-License-Identifier: Apache-2.0
"""What many threads want at once and one of them gets; used by `session` and `catalog`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from zuul_suse.datacenter import DatacenterError

T = TypeVar("T")


class Turn:
    """One caller at a time. Those who waited for one that failed fail with it.

    Else each of a datacenter's threads would wait for a time-out of its own, one after the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failure: tuple[DatacenterError, float] | None = None

    def take(self, work: Callable[[], T]) -> T:
        """Do it, when it is the caller's turn."""
        began = time.monotonic()
        with self._lock:
            if self._failure is not None and self._failure[1] >= began:
                failed = self._failure[0]
                raise type(failed)(str(failed), failed.rest)
            try:
                return work()
            except DatacenterError as error:
                self._failure = (error, time.monotonic())
                raise
