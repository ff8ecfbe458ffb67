# SPDX-License-Identifier: Apache-2.0
"""What shall go wrong on a way, and what went over it. Plain data: the sockets are in `proxy.py`.

A fault concerns the calls whose "METHOD /path" its pattern finds, as often as it says, in the share it says.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import dataclass

_IDS = re.compile(r"/(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27})(?=[/?]|$)")
_QUERY = re.compile(r"\?.*")
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests", 500: "Server Error"}


@dataclass(frozen=True)
class Call:
    """One request that came by, `at` in seconds since the epoch; `status` is what the client got, 0 if nothing."""

    service: str
    method: str
    path: str
    status: int
    seconds: float
    at: float

    @property
    def creates(self) -> bool:
        """Whether it asks nova for a server."""
        return self.method == "POST" and self.path.endswith("/servers")

    @property
    def template(self) -> str:
        """The call without ids and query: "nova POST /v2.1/servers/{id}/action"."""
        return f"{self.service} {self.method} {_IDS.sub('/{id}', _QUERY.sub('', self.path))}"


@dataclass
class Fault:
    """One thing that goes wrong, until it is taken away.

    `delay` waits before anything else; then `answer` replaces the region's, or `silent` says nothing ever, or `lost`
    lets the region do what was asked and drops its answer. None of them: the call is only late.
    """

    pattern: re.Pattern[str]
    delay: float = 0.0
    answer: bytes | None = None
    status: int = 0
    silent: bool = False
    lost: bool = False
    share: float = 1.0
    times: int | None = None
    hits: int = 0

    def strikes(self, method: str, path: str, dice: random.Random) -> bool:
        """Whether it concerns this call; if so it has been counted."""
        if not self.pattern.search(f"{method} {path}") or (self.times is not None and self.hits >= self.times):
            return False
        if self.share < 1.0 and dice.random() >= self.share:
            return False
        self.hits += 1
        return True


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> bytes:
    """An HTTP response that ends its connection."""
    text = json.dumps(body).encode()
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(text)),
        "Connection": "close",
        **(headers or {}),
    }
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n"
    return head.encode() + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + text


def count(calls: list[Call]) -> Counter[str]:
    """How many of each template."""
    return Counter(call.template for call in calls)
