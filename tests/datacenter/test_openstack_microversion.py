# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""Which of nova's microversions is spoken, with whatever its version document says, and what is sent then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock

from zuul_suse.datacenter import DatacenterError, NoCapacity, Order, Quota, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack import OpenStackDatacenter, session
from zuul_suse.datacenter.openstack.microversion import OURS, PLAIN, spoken

from .mock_openstack import HOST, MockCloud, uuid
from .mock_openstack import OURS as MARKED

ROOT = f"{HOST}/compute/v2.1/"
WELL = {"json": {"version": {"id": "v2.1", "version": "2.96", "min_version": "2.1"}}}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    """It refuses what the version that it is asked in doesn't know, as nova does."""
    with requests_mock.Mocker() as mock:
        made = MockCloud(mock, tmp_path)

        def create(request: Any, context: Any) -> dict[str, Any]:
            asked = request.headers.get("OpenStack-API-Version", "compute 2.1").removeprefix("compute 2.")
            body = request.json()["server"]
            if (int(asked) < 37 and body.get("networks") == "auto") or (int(asked) < 19 and "description" in body):
                context.status_code = 400
                return {"badRequest": {"message": "Invalid input for field/attribute", "code": 400}}
            context.status_code = 202
            return made._create(request, context)

        mock.register_uri("POST", f"{HOST}/compute/v2.1/servers", json=create)
        yield made


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds go by."""
    now = [1000.0]
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def opened(cloud: MockCloud, **options: Any) -> OpenStackDatacenter:
    return OpenStackDatacenter("nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml)} | options)


def order(**settings: Any) -> Order:
    return Order("np1", uuid(99), metadata=MARKED, settings={"flavor-name": "m1.small", **settings})


def create(cloud: MockCloud, datacenter: OpenStackDatacenter) -> tuple[str | None, dict[str, Any]]:
    """The version that a create was sent in, and what was sent."""
    datacenter.create(order())
    return cloud.last().headers.get("OpenStack-API-Version"), cloud.last().json()["server"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 404, "text": "Not Found"},
        {"status_code": 403, "json": {"forbidden": {"message": "no", "code": 403}}},
        {"status_code": 500, "text": ""},
        {"text": "<html>It works!</html>"},
        {"json": []},
        {"json": {"version": None}},
        {"json": {"version": {"min_version": "2.1"}}},
        {"json": {"version": {"version": "latest", "min_version": "2.1"}}},
        {"json": {"version": {"version": "2.3", "min_version": "2.60"}}},
    ],
)
def test_what_was_not_found_out_is_asked_again(
    cloud: MockCloud, later: Callable[[float], None], answer: dict[str, Any]
) -> None:
    cloud.mock.register_uri("GET", ROOT, [answer, WELL])
    datacenter = opened(cloud)
    datacenter.list_servers()
    version, body = create(cloud, datacenter)
    assert version is None
    assert {"networks", "description"}.isdisjoint(body)
    later(session.REMEMBERED + 1)
    version, body = create(cloud, datacenter)
    assert (version, body["networks"]) == ("compute 2.67", "auto")
    assert "description" in body


def test_a_cloud_that_never_tells_is_not_asked_for_every_request(cloud: MockCloud) -> None:
    cloud.mock.register_uri("GET", ROOT, status_code=404)
    datacenter = opened(cloud)
    for _ in range(20):
        datacenter.create(order())
    assert cloud.calls.count("GET /") == 1


@pytest.mark.parametrize("document", [{"version": "", "min_version": ""}, {"id": "v2.0", "status": "SUPPORTED"}])
def test_a_cloud_without_microversions(
    cloud: MockCloud, later: Callable[[float], None], document: dict[str, Any]
) -> None:
    cloud.mock.register_uri("GET", ROOT, [{"json": {"version": document}}, WELL])
    cloud.server(1, flavor={"id": "2"})
    datacenter = opened(cloud)
    datacenter.limits()
    assert datacenter.list_servers()[0].need == Quota(1, 4, 8192)
    version, body = create(cloud, datacenter)
    assert version is None
    assert {"networks", "description"}.isdisjoint(body)
    later(session.ENDPOINT_AGE + 1)  # it was upgraded
    assert create(cloud, datacenter)[0] == "compute 2.67"


def test_what_was_known_outlives_a_failure(cloud: MockCloud, later: Callable[[float], None]) -> None:
    failures = [{"status_code": 404}, {"exc": requests.exceptions.ReadTimeout}]
    cloud.mock.register_uri("GET", ROOT, [WELL, *failures])
    datacenter = opened(cloud)
    for _ in range(3):
        assert create(cloud, datacenter)[0] == "compute 2.67"
        later(session.ENDPOINT_AGE + 1)
    assert cloud.calls.count("GET /") == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"exc": requests.exceptions.ReadTimeout}, TryElsewhere),
        ({"status_code": 429, "headers": {"Retry-After": "7"}}, NoCapacity),
    ],
)
def test_a_cloud_that_does_not_answer_is_not_spoken_to(
    cloud: MockCloud, answer: dict[str, Any], kind: type[DatacenterError]
) -> None:
    cloud.mock.register_uri("GET", ROOT, [answer])
    with pytest.raises(kind):
        opened(cloud).list_servers()
    assert "GET /servers/detail" not in cloud.calls


def test_another_version_after_a_refusal(cloud: MockCloud) -> None:
    """As after a downgrade."""
    datacenter = opened(cloud)
    datacenter.list_servers()
    cloud.newest = "2.38"
    refusal = {"status_code": 406, "json": {"computeFault": {"message": "Version 2.67 is not supported", "code": 406}}}
    cloud.mock.register_uri("GET", f"{HOST}/compute/v2.1/servers/detail", [refusal, {"json": {"servers": []}}])
    with pytest.raises(WrongConfiguration):
        datacenter.list_servers()
    assert datacenter.list_servers() == []
    assert cloud.last().headers["OpenStack-API-Version"] == "compute 2.38"
    assert cloud.last().headers["X-OpenStack-Nova-API-Version"] == "2.38"  # nova before 2.27 knows only this one


def test_a_type_of_volume_that_the_cloud_can_not_be_told(cloud: MockCloud) -> None:
    cloud.newest = "2.60"
    wanted = order(**{"boot-from-volume": True, "volume-type": "fast"})
    with pytest.raises(WrongConfiguration, match=r"volume-type: the cloud's compute API is 2.60, this needs 2.67"):
        opened(cloud).create(wanted)
    assert "POST /servers" not in cloud.calls


@pytest.mark.parametrize(
    ("document", "version"),
    [
        ({"version": {"version": "2.96", "min_version": "2.1"}}, OURS),
        ({"version": {"version": "2.5", "min_version": "2.1"}}, (2, 5)),
        ({"version": {"version": "3.1", "min_version": "2.1"}}, OURS),
        ({"version": {"version": "2.110", "min_version": "2.90"}}, (2, 90)),
        ({"version": {"version": "2.60"}}, (2, 60)),
        (
            {
                "versions": [
                    {"id": "v2.0", "version": "", "min_version": ""},
                    {"id": "v2.1", "version": "2.79", "min_version": "2.1"},
                ]
            },
            OURS,
        ),
        ({"versions": [{"id": "v2.0", "version": ""}]}, PLAIN),
    ],
)
def test_the_newest_that_both_know(document: dict[str, Any], version: tuple[int, int]) -> None:
    assert spoken(document) == version
