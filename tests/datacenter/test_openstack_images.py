# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""Built images in a glance that breaks off in mid upload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock

from zuul_suse.datacenter import DatacenterError, Gone, ImageFile, NoCapacity
from zuul_suse.datacenter.openstack import OpenStackDatacenter

from .mock_openstack import HOST, MockCloud, uuid

IMAGES = f"{HOST}/image/v2/images"
META = {"nodepool_provider_name": "suse", "nodepool_build_id": "b1", "nodepool_upload_id": "u1"}


class Glance:
    """Keeps what it is sent; `breaks` is what becomes of a file, `deletes` the answer to a deletion."""

    def __init__(self, cloud: MockCloud) -> None:
        self.cloud = cloud
        self.breaks: int | None = None  # a status, 0: the connection
        self.deletes = 204
        cloud.mock.register_uri("POST", IMAGES, json=self._make)
        cloud.mock.register_uri("PUT", re.compile(f"{IMAGES}/.*/file"), text=self._fill)
        cloud.mock.register_uri("DELETE", re.compile(f"{IMAGES}/[^/]*$"), text=self._delete)
        cloud.mock.register_uri("GET", re.compile(f"{IMAGES}/[^/?]+$"), json=self._show)

    def _one(self, request: Any) -> Any:
        key = request.path.split("/images/")[1].split("/")[0]
        return next((raw for raw in self.cloud.images if raw["id"] == key), None)

    def _make(self, request: Any, context: Any) -> Any:
        raw = request.json() | {"id": uuid(60 + len(self.cloud.calls)), "status": "queued", "size": None}
        self.cloud.images.append(raw)
        context.status_code = 201
        return raw

    def _fill(self, request: Any, context: Any) -> str:
        if self.breaks == 0:
            raise requests.ConnectionError("reset")
        context.status_code = self.breaks or 204
        if not self.breaks:
            self._one(request).update(status="active", size=len(request.body.read()))
        return ""

    def _delete(self, request: Any, context: Any) -> str:
        found = self._one(request)
        context.status_code = self.deletes if found else 404
        if found and self.deletes == 204:
            self.cloud.images.remove(found)
        return ""

    def _show(self, request: Any, context: Any) -> Any:
        found = self._one(request)
        context.status_code = 200 if found else 404
        return found or {}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with requests_mock.Mocker() as mock:
        yield MockCloud(mock, tmp_path, services=("compute", "image"))


def opened(cloud: MockCloud) -> OpenStackDatacenter:
    return OpenStackDatacenter("nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml)})


@pytest.fixture
def file(tmp_path: Path) -> ImageFile:
    (tmp_path / "leap.raw").write_bytes(b"x" * 10)
    return ImageFile("leap-1", tmp_path / "leap.raw", "raw", META)


@pytest.mark.parametrize("breaks", [0, 413, 500, 503])
def test_upload_that_breaks_again_and_again_leaves_one_half_image_at_the_most(
    cloud: MockCloud, file: ImageFile, breaks: int
) -> None:
    glance, datacenter = Glance(cloud), opened(cloud)
    glance.breaks, glance.deletes = breaks, 503
    for _ in range(4):
        with pytest.raises(DatacenterError):
            datacenter.upload_image(file)
    (half,) = datacenter.list_images()
    assert not half.complete
    glance.deletes = 204
    with pytest.raises(DatacenterError):
        datacenter.upload_image(file)
    assert datacenter.list_images() == []
    glance.breaks = None
    image_id = datacenter.upload_image(file)
    (whole,) = datacenter.list_images()
    assert (whole.id, whole.complete, whole.size) == (image_id, True, 10)


def test_images_of_other_uploads_are_not_swept_away(cloud: MockCloud, file: ImageFile) -> None:
    Glance(cloud)
    mark = {"name": "leap-1", "zuul_suse_image": "built", "visibility": "private", "status": "queued", "size": None}
    cloud.images += [
        {"id": "other-upload", **mark, **META, "nodepool_upload_id": "u2"},
        {"id": "other-name", **mark, **META, "name": "leap-2"},
        {"id": "unmarked", **mark, **META, "zuul_suse_image": "x"},
        {"id": "half", **mark, **META},
        {"id": "short", **mark, **META, "status": "active", "size": 3},
    ]
    opened(cloud).upload_image(file)
    assert {"other-upload", "other-name", "unmarked"} < {raw["id"] for raw in cloud.images}
    assert not {"half", "short"} & {raw["id"] for raw in cloud.images}


def test_image_that_is_refused_for_its_size_is_no_room(cloud: MockCloud, file: ImageFile) -> None:
    Glance(cloud).breaks = 413
    with pytest.raises(NoCapacity):
        opened(cloud).upload_image(file)
    assert cloud.images == []


def test_image_is_found_by_its_id_whoever_made_it(cloud: MockCloud) -> None:
    Glance(cloud)
    cloud.images.append({"id": "i1", "name": "theirs", "status": "saving", "size": None})
    found = opened(cloud).find_image("i1")
    assert (found.id, found.name, found.complete) == ("i1", "theirs", False)
    for unknown in ("i2", "../flavors"):
        with pytest.raises(Gone):
            opened(cloud).find_image(unknown)


def test_cloud_without_an_image_service_has_no_images(tmp_path: Path) -> None:
    with requests_mock.Mocker() as mock:
        datacenter = opened(MockCloud(mock, tmp_path, services=("compute",)))
        assert datacenter.list_images() == []
        for ask in (datacenter.find_image, datacenter.delete_image):
            with pytest.raises(Gone):
                ask("i1")
