# SPDX-License-Identifier: Apache-2.0
"""The proxy: one listener per service of each region, all in one thread of the test's process.

`Proxy(cloud)` is a context manager; `proxy.ways["region1"]` is where faults are set and calls counted,
`proxy.clouds_yaml` has the same cloud names as the cloud's own, but every request goes over its way: only `auth_url`
differs, for the addresses in keystone's catalogue are rewritten as it passes (same length, since all ports have five
digits). A connection carries one request, as with the services themselves. Ends with its context: listeners closed,
thread joined.

Why our own: toxiproxy knows only TCP (no 429, no single call); mitmproxy brings forty packages with pinned versions,
can't close a listener while it runs, and takes milliseconds of CPU per request, which two cores don't have to spare.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from zuul_suse.sandbox.state import free_port

from ..cloud.cloud import Cloud
from .way import Call, Fault, answer, count

SERVICES = ("keystone", "nova", "neutron", "glance", "volumes")
HEAD = 65536


class Way:
    """To one region. Its methods may be called from any thread; a fault made by a `with` ends with it."""

    def __init__(self, region: str, targets: dict[str, int]) -> None:
        self.region = region
        self.targets = targets  # service → the port behind the proxy
        self.ports: dict[str, int] = {}
        for service in targets:
            self.ports[service] = free_port(taken=frozenset([*targets.values(), *self.ports.values()]))
        self.latency = 0.0  # seconds, added to every call
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.dice = random.Random(0)  # noqa: S311  the same every time
        self._server: _Listeners | None = None

    # Counting

    def counts(self) -> Counter[str]:
        """Calls by template since the last `reset`."""
        return count(self.calls)

    def reset(self) -> None:
        self.calls = []

    # Faults of single calls

    @contextlib.contextmanager
    def fault(self, pattern: str = "", **what: Any) -> Iterator[Fault]:  # noqa: ANN401
        """See `way.Fault`. The first fault that concerns a call strikes."""
        one = Fault(re.compile(pattern), **what)
        self.faults.append(one)
        try:
            yield one
        finally:
            self.faults.remove(one)

    def late(self, seconds: float, pattern: str = "", **how: Any) -> contextlib.AbstractContextManager[Fault]:  # noqa: ANN401
        return self.fault(pattern, delay=seconds, **how)

    def silent(self, pattern: str = "", **how: Any) -> contextlib.AbstractContextManager[Fault]:  # noqa: ANN401
        """A black hole: connections are taken, nothing is ever answered."""
        return self.fault(pattern, silent=True, **how)

    def lost(self, pattern: str, **how: Any) -> contextlib.AbstractContextManager[Fault]:  # noqa: ANN401
        """The region does what is asked, its answer never arrives: the connection is reset."""
        return self.fault(pattern, lost=True, **how)

    def says(
        self, status: int, pattern: str = "", message: str = "wanted by a test", headers: dict[str, str] | None = None,
        **how: Any,  # noqa: ANN401
    ) -> contextlib.AbstractContextManager[Fault]:  # fmt: skip
        """An error in the words of OpenStack's services."""
        name = {401: "error", 403: "forbidden", 404: "itemNotFound", 429: "overLimit"}.get(status, "computeFault")
        body = {name: {"code": status, "message": message}}
        return self.fault(pattern, answer=answer(status, body, headers), status=status, **how)

    def over_quota(self, **how: Any) -> contextlib.AbstractContextManager[Fault]:  # noqa: ANN401
        words = "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
        return self.says(403, "^POST .*/servers$", words, **how)

    # Faults of the whole way

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """Nobody listens, and what was connected is reset."""
        self.close()
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        assert self._server is not None
        self._server.call(self._server.open(self))

    def close(self) -> None:
        assert self._server is not None
        self._server.call(self._server.close(self))


class _Listeners:
    """The thread with the event loop; the only one that touches sockets."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._open: dict[str, list[asyncio.Server]] = {}
        self._links: dict[str, set[asyncio.Task[None]]] = {}
        self._thread.start()

    def call(self, what: Any) -> Any:  # noqa: ANN401
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=30)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def open(self, way: Way) -> None:
        servers = self._open[way.region] = []
        self._links.setdefault(way.region, set())
        for service, port in way.ports.items():

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str = service) -> None:
                task = asyncio.current_task()
                assert task is not None
                links = self._links[way.region]
                links.add(task)
                try:
                    await _serve(way, service, reader, writer)
                except (OSError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError):
                    writer.transport.abort()
                finally:
                    links.discard(task)

            servers.append(await asyncio.start_server(serve, "127.0.0.1", port, limit=HEAD, backlog=512))

    async def close(self, way: Way) -> None:
        for server in self._open.pop(way.region, []):
            server.close()
        links = list(self._links[way.region])
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)


async def _serve(way: Way, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    began, arrived = time.monotonic(), time.time()
    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    fault = next((one for one in list(way.faults) if one.strikes(method, path, way.dice)), None)
    known = False

    def record(status: int) -> None:
        """Before the client hears of it, so that a test which got its answer finds the call counted."""
        nonlocal known
        if not known:
            way.calls.append(Call(service, method, path, status, time.monotonic() - began, arrived))
        known = True

    try:
        await asyncio.sleep(way.latency + (fault.delay if fault else 0.0))
        if fault and fault.silent:
            await reader.read(-1)  # until the client gives up
        elif fault and fault.answer is not None:
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            record(fault.status)
            writer.write(fault.answer)
            await _finish(writer)
        else:
            await _forward(way, service, head, (reader, writer), record, bool(fault and fault.lost))
    finally:
        record(0)


async def _forward(
    way: Way,
    service: str,
    head: bytes,
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    record: Callable[[int], None],
    lost: bool,
) -> None:
    """Hand the request on, and the answer back until the service closes."""
    behind, to = await asyncio.open_connection("127.0.0.1", way.targets[service])
    to.write(head)
    reader, writer = client
    upload = asyncio.create_task(_pipe(reader, to))
    try:
        first = await behind.read(HEAD)
        if lost:
            await behind.read(-1)
            writer.transport.abort()
            return
        record(int(first.split(b" ", 2)[1]) if first else 0)
        if service == "keystone":
            writer.write(_rewritten(way, first + await behind.read(-1)))
        else:
            writer.write(first)
            while more := await behind.read(HEAD):
                writer.write(more)
                await writer.drain()
        await _finish(writer)
    finally:
        upload.cancel()
        to.transport.abort()


async def _pipe(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(HEAD):
            to.write(data)
            await to.drain()


async def _finish(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    writer.close()


def _rewritten(way: Way, text: bytes) -> bytes:
    """An answer of keystone with the proxy's ports in place of this region's."""
    for service, port in way.targets.items():
        text = text.replace(f"127.0.0.1:{port}".encode(), f"127.0.0.1:{way.ports[service]}".encode())
    return text


class Proxy:
    """See the module."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        ports = cloud.layout.ports
        self.cloud = cloud
        # Keystone and the volumes' stub are the same for all regions.
        self.ways = {
            region: Way(region, {name: ports.get(f"{region}-{name}") or ports[name] for name in SERVICES})
            for region in cloud.regions
        }
        self.clouds_yaml = folder / "clouds.yaml"

    def __enter__(self) -> Proxy:
        self._server = _Listeners()
        for way in self.ways.values():
            way._server = self._server
            way.open()
        self.write_clouds()
        return self

    def __exit__(self, *_: object) -> None:
        for way in self.ways.values():
            way.close()
        self._server.end()

    def counts(self) -> Counter[str]:
        """Calls to all regions by template, since each way's last `reset`."""
        return sum((way.counts() for way in self.ways.values()), Counter())

    def write_clouds(self) -> None:
        """The cloud's own clouds.yaml with other addresses; administrators go straight."""
        clouds = yaml.safe_load(self.cloud.clouds_yaml.read_text())["clouds"]
        for name, one in clouds.items():
            way = self.ways.get(one["region_name"])
            if way is not None and not name.startswith("admin-"):
                one["auth"]["auth_url"] = f"http://127.0.0.1:{way.ports['keystone']}/v3"
        self.clouds_yaml.write_text(yaml.safe_dump({"clouds": clouds}))
