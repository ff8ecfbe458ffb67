# SPDX-License-Identifier: Apache-2.0
"""What may have leaked in an OpenStack: a service that refuses or is absent concerns its own kind of resource only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests_mock

from zuul_suse.datacenter.openstack import OpenStackDatacenter
from zuul_suse.datacenter.openstack.mark import mark_of
from zuul_suse.fleet import Fleet, Member

from .mock_openstack import HOST, OURS, MockCloud, uuid

LOG = logging.getLogger("test")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with requests_mock.Mocker() as mock:
        yield MockCloud(mock, tmp_path, services=("compute", "network", "image", "block-storage"))


def left_in(cloud: MockCloud) -> list[str]:
    """Kinds that are found where one of each was left."""
    cloud.floating.append({"id": "fip-1", "description": mark_of(uuid(77), OURS)})
    cloud.images.append({"id": "i1", "name": "x", "zuul_suse_image": "built", "visibility": "private", **OURS})
    datacenter = OpenStackDatacenter("nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml)})
    attached = [{"id": "vol-1", "delete_on_termination": True}]
    cloud.server(5, metadata=dict(OURS), **{"os-extended-volumes:volumes_attached": attached})
    datacenter.list_servers()
    cloud.servers.clear()
    cloud.volumes.append({"id": "vol-1", "status": "available", "attachments": []})
    dead = {"device_id": uuid(5), "device_owner": "compute:nova", "status": "DOWN"}
    cloud.ports.append({"id": "port-1", "created_at": "2026-01-01T00:00:00Z", **dead})
    fleet = Fleet([Member(datacenter, rate=1e6)])
    found = [found.id for _, found in fleet.leaks.round(LOG)]
    fleet.close()
    return found


SERVICES = {
    "i1": ("image", f"{HOST}/image/v2/images"),
    "port-1": ("network", f"{HOST}:9696/networking/v2.0/ports"),
    "fip-1": ("network", f"{HOST}:9696/networking/v2.0/floatingips"),
    "vol-1": ("block-storage", f"{HOST}/volume/v3/p1/volumes/detail"),
}


@pytest.mark.parametrize("status", [503, 500, 404, 403])
@pytest.mark.parametrize("lost", SERVICES)
def test_service_of_a_cloud_that_refuses_concerns_its_own_kind_only(cloud: MockCloud, lost: str, status: int) -> None:
    cloud.mock.register_uri("GET", SERVICES[lost][1], status_code=status)
    assert left_in(cloud) == [name for name in SERVICES if name != lost]


@pytest.mark.parametrize("absent", ["image", "network", "block-storage"])
def test_service_that_is_not_in_the_catalogue_is_skipped_quietly(
    tmp_path: Path, absent: str, caplog: pytest.LogCaptureFixture
) -> None:
    services = ("compute", "network", "image", "block-storage")
    with requests_mock.Mocker() as mock:
        cloud = MockCloud(mock, tmp_path, services=tuple(one for one in services if one != absent))
        assert left_in(cloud) == [name for name, (service, _) in SERVICES.items() if service != absent]
    assert not [record for record in caplog.records if record.name == "test"]
