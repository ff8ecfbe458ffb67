# SPDX-License-Identifier: Apache-2.0
"""The kind `incus` against canned answers: what a proxy before the server, or a restricted certificate, makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests_mock

from zuul_suse.datacenter import DatacenterError, NoCapacity, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.incus import IncusDatacenter
from zuul_suse.fleet import Member

URL = "https://incus.example:8443"
Mock = requests_mock.Mocker


def sync(metadata: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "sync", "status_code": 200, "metadata": metadata}


@pytest.fixture
def mock() -> Iterator[Mock]:
    with requests_mock.Mocker() as made:
        made.get(f"{URL}/1.0", json=sync({"auth": "trusted", "api_extensions": ["instances"]}))
        made.get(f"{URL}/1.0/resources", json=sync({"memory": {"total": 2**34}}))
        made.get(f"{URL}/1.0/instances", json=sync([]))
        yield made


CALLS: dict[str, Callable[[IncusDatacenter], object]] = {
    "instances": lambda one: one.list_servers(),
    "resources": lambda one: one.limits(),
    "images": lambda one: one.list_images(),
}


@pytest.mark.parametrize(("status", "kind"), [(429, NoCapacity), (503, TryElsewhere)])
@pytest.mark.parametrize("path", CALLS)
def test_retry_after_of_a_proxy_is_obeyed(mock: Mock, path: str, status: int, kind: type[DatacenterError]) -> None:
    body = {"type": "error", "error": "wait", "error_code": status}
    mock.get(f"{URL}/1.0/{path}", status_code=status, headers={"Retry-After": "30"}, json=body)
    datacenter = IncusDatacenter("local", {"url": URL})
    member = Member(datacenter)
    with pytest.raises(kind) as raised:
        CALLS[path](datacenter)
    assert raised.value.rest == 30
    assert 25 < member.limiter.rests_for <= 30
    member.close()


RESOURCES: dict[str, dict[str, Any]] = {
    "refused": {"status_code": 403, "json": {"type": "error", "error": "Certificate is restricted", "error_code": 403}},
    "broken": {"status_code": 500, "text": "oops"},
    "null": {"json": sync(None)},
    "nulls": {"json": sync({"memory": {"total": None}})},
    "text": {"json": sync({"memory": {"total": "much"}})},
    "list": {"json": sync([])},
}


@pytest.mark.parametrize("answer", RESOURCES)
def test_servers_are_listed_whatever_becomes_of_the_limits(mock: Mock, answer: str) -> None:
    mock.get(f"{URL}/1.0/resources", **RESOURCES[answer])
    datacenter = IncusDatacenter("local", {"url": URL})
    with pytest.raises(DatacenterError):
        datacenter.limits()
    member = Member(datacenter)
    member.poller.poll()
    assert member.poller.snapshot.number == 1
    assert member.limits is None
    member.close()


def test_restricted_certificate_is_told_what_does_without(mock: Mock) -> None:
    mock.get(f"{URL}/1.0/resources", **RESOURCES["refused"])
    with pytest.raises(WrongConfiguration, match="restricted; `max-ram` does without the host's own RAM"):
        IncusDatacenter("local", {"url": URL}).limits()
