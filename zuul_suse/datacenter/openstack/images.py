# SPDX-License-Identifier: Apache-2.0
"""Built images in glance: uploaded by streaming from disk, marked as ours by a property, listed by it, deleted.

Called in Nodepool's upload and clean-up threads. An upload that fails takes its image with it, if glance lets it; what
stays is deleted before the next try, for Nodepool's leak detection spares it as long as that upload has a record. One
whose process dies leaves an image with our mark and Nodepool's metadata, which the leak detection then finds.
"""

from __future__ import annotations

import contextlib
import re
import time
from urllib.parse import quote

from zuul_suse.datacenter import DatacenterError, Gone, Image, ImageFile, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.request import LONGEST
from zuul_suse.datacenter.openstack.session import Json, Region

MARK, MARKED = "zuul_suse_image", "built"
FORMATS = ("qcow2", "raw", "vhd", "vmdk", "vdi")
_NUMBERS = ("min_disk", "min_ram")
_POLL = 2.0
# What glance keeps of an image itself, so that no property may be called so.
_GLANCE = frozenset(
    re.findall(
        r"\w+",
        "id name status visibility size virtual_size checksum owner created_at updated_at tags protected locations self"
        " direct_url file schema stores os_hash_algo os_hash_value os_hidden container_format disk_format",
    )
)


class Images:
    """See the module."""

    def __init__(self, place: str, region: Region, timeout: float) -> None:
        self._place = place
        self._region = region
        self._timeout = timeout

    def upload(self, image: ImageFile) -> str:
        """Sweep, create, stream, wait."""
        if image.format not in FORMATS:
            raise WrongConfiguration(f'{self._place}: image format "{image.format}" is not one of {", ".join(FORMATS)}')
        if not image.path.is_file():
            raise WrongConfiguration(f"{self._place}: {image.path} is not a file")
        self._sweep(image)
        body: Json = {
            "name": image.name,
            "disk_format": image.format,
            "container_format": "bare",
            "visibility": "private",
            MARK: MARKED,
        }
        for key, value in image.metadata.items():
            if key in _NUMBERS:
                body[key] = int(value)
            elif key not in _GLANCE:
                body[key] = str(value)[:LONGEST]
        made = self._region.json(self._region.call("image", "POST", "/images", json=body))
        image_id = str(made["id"])
        try:
            self._send(image_id, image)
            self._wait(image_id, image.path.stat().st_size)
        except BaseException:
            with contextlib.suppress(DatacenterError):
                self.delete(image_id)
            raise
        return image_id

    def _sweep(self, image: ImageFile) -> None:
        """Delete what earlier tries left."""
        for found in self.ours():
            if image.began(found) and not image.made(found):
                with contextlib.suppress(Gone):
                    self.delete(found.id)

    def _send(self, image_id: str, image: ImageFile) -> None:
        kind = {"Content-Type": "application/octet-stream"}
        with image.path.open("rb") as data:
            # Sent once more after a new token, a file that was read already would be an empty one.
            self._region.call(
                "image",
                "PUT",
                f"/images/{image_id}/file",
                data=data,
                headers=kind,
                timeout=self._timeout,
                allow_reauth=False,
            )

    def _wait(self, image_id: str, size: int) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            raw = self._region.get("image", f"/images/{image_id}")
            status = raw["status"]
            if status == "active" and raw.get("size") == size:
                return
            if status == "active":
                raise TryElsewhere(f"{self._place}: image {image_id} has {raw.get('size')} of {size} bytes")
            if status in ("killed", "deleted", "pending_delete", "deactivated"):
                raise TryElsewhere(f"{self._place}: image {image_id} became {status}")
            if time.monotonic() > deadline:
                raise TryElsewhere(f"{self._place}: image {image_id} is {status} after {self._timeout:g} s")
            time.sleep(_POLL)

    def ours(self) -> list[Image]:
        """Those with our mark. Another project's public image could bear it too, so only private ones count."""
        if not self._region.has("image"):
            return []
        params = {MARK: MARKED, "visibility": "private"}
        listed = self._region.all("image", "/images", "images", params)
        return [_image(raw) for raw in listed if raw.get(MARK) == MARKED]

    def find(self, image_id: str) -> Image:
        """Gone if there is none."""
        self._must_exist()
        return _image(self._region.get("image", f"/images/{quote(image_id, safe='')}"))

    def _must_exist(self) -> None:
        if not self._region.has("image"):
            raise Gone(f"{self._place}: the cloud has no image service in this region")

    def delete(self, image_id: str) -> None:
        """Gone if there is none."""
        self._must_exist()
        self._region.call("image", "DELETE", f"/images/{quote(image_id, safe='')}")


def _image(raw: Json) -> Image:
    complete = raw.get("status", "active") == "active"
    return Image(raw["id"], raw.get("name") or "", _properties(raw), complete, raw.get("size"))


def _properties(raw: Json) -> dict[str, str]:
    return {key: value for key, value in raw.items() if isinstance(value, str) and key not in _GLANCE and key != MARK}
