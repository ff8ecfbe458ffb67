# SPDX-License-Identifier: Apache-2.0
"""Says what is being done, and goes on saying it when it takes long.

Owns one background thread per step, which ends with the step. Called by every command that can take over two seconds.
Writes to standard error, so that standard output is free for the result; needs no terminal.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

STILL_EVERY = 30.0  # seconds


class Progress:
    """A running account of one command, each line with the seconds since its start."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        if not self._quiet:
            self._stream.write(f"[{time.monotonic() - self._start:4.0f} s] {text}\n")
            self._stream.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Announce a step, repeat every half minute that it goes on, and tell its end if it took over two."""
        self.say(f"{text} …")
        began = time.monotonic()
        over = threading.Event()

        def still() -> None:
            while not over.wait(STILL_EVERY):
                self.say(f"{text} … {time.monotonic() - began:.0f} s so far")

        teller = threading.Thread(target=still, daemon=True, name="progress")
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()
        if time.monotonic() - began > 2:
            self.say(f"{text}: done in {time.monotonic() - began:.0f} s")
