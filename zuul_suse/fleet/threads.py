# SPDX-License-Identifier: Apache-2.0
"""Where the fleet's time and threads come from.

The machine's own (`MACHINE`), unless a Member is given others: a simulation brings a virtual clock on which the same
code runs. Nothing else in the fleet asks for the time, sleeps or starts a thread by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol


class Signal(Protocol):
    """As much of threading.Event as is used here."""

    def set(self) -> None: ...

    def clear(self) -> None: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None, /) -> bool: ...


class Threads(Protocol):
    """See the module."""

    def clock(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Hold up the calling thread."""

    def signal(self) -> Signal:
        """What one thread can wait for and another can give."""

    def start(self, run: Callable[[], None], name: str) -> threading.Thread | None:
        """Run in a thread of its own, which ends with the process."""

    def pool(self, workers: int, name: str) -> Executor:
        """Threads for calls that may block."""


class Machine:
    """Real time and real threads."""

    clock = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def signal(self) -> Signal:
        return threading.Event()

    def start(self, run: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def pool(self, workers: int, name: str) -> Executor:
        return ThreadPoolExecutor(workers, thread_name_prefix=name)


MACHINE = Machine()
