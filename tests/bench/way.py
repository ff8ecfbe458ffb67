# SPDX-License-Identifier: Apache-2.0
"""The way from a launcher to a cloud: a proxy per API that counts requests and adds the distance.

One asyncio loop in a thread of the benchmark's process; every API of every region has a door of its own, so the same
launcher sees a region near, 100 ms away or dead. Counted is each HTTP request that arrives at a door, by API, method
and path. Distance is paid as on a real line: one round trip for the connection, one for each request. A dead region
takes connections and never answers (`black-hole`). Started and ended by `with`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HEAD_LIMIT = 65536
LENGTH = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding:\s*chunked\s*$", re.IGNORECASE | re.MULTILINE)
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}")


@dataclass
class Door:
    """One API of one region as a launcher sees it."""

    region: str
    api: str
    target: str
    distance: float = 0.0  # seconds there and back
    dead: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{urlsplit(self.target).path}"

    def count(self, line: bytes) -> None:
        method, _, rest = line.decode("latin-1").partition(" ")
        path = IDS.sub("*", urlsplit(rest.split(" ")[0]).path)
        self.calls[f"{method} {self.api} {path}"] += 1


async def _body(head: bytes, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what follows a head, as long as that says."""
    if CHUNKED.search(head):
        while True:
            line = await source.readline()
            sink.write(line)
            size = int(line.split(b";")[0].strip() or b"0", 16)
            sink.write(await source.readexactly(size + 2))
            if size == 0:
                return
    length = LENGTH.search(head)
    if length:
        sink.write(await source.readexactly(int(length[1])))


class Way:
    """All doors. `calls` is a copy of what was counted so far."""

    def __init__(self, doors: list[Door]) -> None:
        self.doors = doors
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def calls(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for door in self.doors:
            total.update(door.calls)
        return total

    def place(self, region: str, *, distance: float = 0.0, dead: bool = False) -> None:
        """How far away a region is from now on, and whether it answers."""
        for door in self.doors:
            if door.region == region:
                door.distance, door.dead = distance, dead

    async def _open(self) -> None:
        for door in self.doors:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door = door) -> None:
                task = asyncio.current_task()
                if task is not None:
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await self._serve(door, reader, writer)
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", door.port, limit=HEAD_LIMIT, backlog=1024)
            door.port = server.sockets[0].getsockname()[1]
            self._servers.append(server)

    async def _serve(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(door.distance)  # the connection's own round trip
        to_reader: asyncio.StreamReader | None = None
        to_writer: asyncio.StreamWriter | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                door.count(head.split(b"\r\n", 1)[0])
                while door.dead:
                    await asyncio.sleep(1)
                if to_reader is None or to_writer is None:
                    target = urlsplit(door.target)
                    to_reader, to_writer = await asyncio.open_connection(target.hostname, target.port)
                to_writer.write(head)
                await _body(head, reader, to_writer)
                await to_writer.drain()
                await asyncio.sleep(door.distance)
                if not await self._answer(head, to_reader, writer):
                    return
        finally:
            if to_writer is not None:
                to_writer.close()

    @staticmethod
    async def _answer(request: bytes, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> bool:
        """One response; False if the connection ends with it."""
        head = await source.readuntil(b"\r\n\r\n")
        sink.write(head)
        bodiless = request.startswith(b"HEAD ") or head.split(b" ")[1] in (b"204", b"304")
        closes = b"connection: close" in head.lower()
        if not bodiless and not CHUNKED.search(head) and not LENGTH.search(head):
            while data := await source.read(HEAD_LIMIT):
                sink.write(data)
            closes = True
        elif not bodiless:
            await _body(head, source, sink)
        await sink.drain()
        return not closes

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
        self._loop.stop()

    @contextlib.contextmanager
    def open(self) -> Iterator[Way]:
        thread = threading.Thread(target=self._loop.run_forever, name="way", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop)
            thread.join(5)
