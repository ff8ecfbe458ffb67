# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - arguments that requests knows
"""How a single HTTP request of an OpenStack datacenter leaves this machine; used by `session`.

Below keystoneauth, so that requests for tokens and versions, and one made again with a new token, are seen too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from zuul_suse.datacenter import Passage
from zuul_suse.datacenter.openstack.errors import rest_of

Pass = Callable[[str], AbstractContextManager[object]]

CONNECTIONS = 16  # a member's worker threads, its poller, and Nodepool's clean-up and upload threads
CONNECT_TIMEOUT = 10.0
_THING = re.compile(r"/v\d+(?:\.\d+)?/(?:[0-9a-f]{32}/)?([a-z-]+)")


def name_of(method: str, url: str) -> str:
    """A stable name for a request, without ids: "GET servers"; a request for a token is "POST auth"."""
    thing = _THING.search(urlsplit(url).path)
    return f"{method} {thing[1] if thing else 'versions'}"


class GatedRequests(requests.Session):
    """Sends what keystoneauth gives it: once, with both kinds of time-out, through the gate."""

    def __init__(self, gate: Pass, timeout: float) -> None:
        super().__init__()
        self._gate = gate
        self._timeout = timeout
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        given = kwargs.get("timeout")
        seconds = float(given) if isinstance(given, int | float) else self._timeout
        kwargs["timeout"] = (min(CONNECT_TIMEOUT, seconds), seconds)
        with self._gate(name_of(request.method or "GET", request.url or "")) as passage:
            response = super().send(request, **kwargs)
            if isinstance(passage, Passage):
                passage.status, passage.rest = str(response.status_code), rest_of(response)
            return response
