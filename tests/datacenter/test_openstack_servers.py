# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them
"""The list of servers that is kept up to date by its changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock

from zuul_suse.datacenter import Server, ServerState
from zuul_suse.datacenter.openstack.servers import ServerList, View
from zuul_suse.datacenter.openstack.session import Region

from .mock_openstack import HOST, MockCloud, uuid


class Lists:
    """A list over a cloud, with a clock of its own."""

    def __init__(self, cloud: MockCloud) -> None:
        self.cloud = cloud
        self.seconds = 0.0
        self.seen: list[str] = []
        region = Region("nbg", "nbg", None, str(cloud.clouds_yaml), 5, lambda _call: self)
        self.list = ServerList(region, lambda raw: self.seen.append(raw["id"]), clock=lambda: self.seconds)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def refresh(self, after: float = 1.0) -> dict[str, Server]:
        self.seconds += after
        self.cloud.now += timedelta(seconds=after)
        self.cloud.forget()
        return {server.id: server for server in self.list.refresh(View())}

    @property
    def since(self) -> str | None:
        (request,) = [r for r in self.cloud.mock.request_history if "/servers/detail" in r.url]
        return parse_qs(urlsplit(request.url).query).get("changes-since", [None])[0]

    def change(self, number: int, **changes: Any) -> None:
        raw = next(raw for raw in self.cloud.servers if raw["id"] == uuid(number))
        raw |= changes | {"updated": self.cloud.now.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    with requests_mock.Mocker() as mock:
        cloud = MockCloud(mock, tmp_path)
        for number in range(40):
            cloud.server(number, "BUILD")
        yield Lists(cloud)


def test_changes_are_asked_for_where_it_pays_and_the_whole_list_once_a_minute(lists: Lists) -> None:
    assert len(lists.refresh()) == 40
    assert lists.since is None
    assert len(lists.refresh(30)) == 40
    assert lists.since == "2026-01-01T11:59:50Z"  # the servers' own time, less an overlap
    lists.refresh(31)
    assert lists.since is None


def test_a_short_list_is_always_read_whole(lists: Lists) -> None:
    del lists.cloud.servers[10:]
    lists.refresh()
    lists.refresh()
    assert lists.since is None


def test_changes_are_merged(lists: Lists) -> None:
    lists.refresh()
    lists.cloud.now += timedelta(seconds=20)
    lists.change(3, status="ACTIVE")
    lists.change(4, status="DELETED")
    lists.change(5, status="SOFT_DELETED")
    lists.cloud.server(50, "BUILD")
    servers = lists.refresh()
    assert lists.since is not None
    assert servers[uuid(3)].state is ServerState.ACTIVE
    assert not {uuid(4), uuid(5)} & set(servers)
    assert uuid(50) in servers
    assert len(servers) == 39
    assert uuid(4) in lists.seen  # what was deleted is told too: its port may be left


def test_a_change_that_shows_late_is_in_the_overlap(lists: Lists) -> None:
    lists.refresh()
    for _ in range(3):
        lists.refresh(20)
    lists.change(0, status="ACTIVE")  # the newest `updated` is 60 s on now
    lists.refresh(1)
    raw = lists.cloud.servers[1]
    raw |= {"status": "ACTIVE", "updated": (lists.cloud.now - timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert lists.refresh(1)[uuid(1)].state is ServerState.ACTIVE


def test_a_host_whose_clock_is_ahead_hides_no_change(lists: Lists) -> None:
    lists.cloud.servers[0]["updated"] = "2026-01-01T13:00:00Z"
    lists.refresh()
    lists.refresh(20)
    lists.change(7, status="ACTIVE")
    assert lists.refresh()[uuid(7)].state is ServerState.ACTIVE
    assert lists.since is not None


def test_a_server_just_made_is_listed_until_a_whole_list_lacks_it(lists: Lists) -> None:
    lists.refresh()
    lists.list.add(Server(uuid(90), "np90", ServerState.BUILDING))
    assert uuid(90) in lists.refresh()
    assert lists.since is not None
    assert uuid(90) not in lists.refresh(61)


def test_a_server_made_while_the_list_is_under_way_stays(lists: Lists) -> None:
    def answer(_request: Any, _context: Any) -> dict[str, Any]:
        lists.list.add(Server(uuid(91), "np91", ServerState.BUILDING))
        return {"servers": []}

    lists.cloud.mock.register_uri("GET", f"{HOST}/compute/v2.1/servers/detail", json=answer)
    assert uuid(91) in lists.refresh()


def test_a_floating_address_is_told_before_nova_knows_it(lists: Lists) -> None:
    server = lists.refresh()[uuid(1)]
    assert lists.list.expose(server, "203.0.113.9").ipv4 == "203.0.113.9"
    assert lists.refresh()[uuid(1)].ipv4 == "203.0.113.9"
    lists.change(1, status="DELETED")
    assert uuid(1) not in lists.refresh()
