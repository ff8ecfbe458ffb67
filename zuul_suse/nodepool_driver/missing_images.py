# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Uploads that failed in some datacenter are made up for when it is well again.

An upload counts as done when it arrived in one datacenter, so that one that is down holds no new image up. The builder
then tries the others again, from a thread of its own, as long as that upload is ready and its file is there, and adds
what came of it to Nodepool's record; launchers see the change and use the image there too. What is missing is kept in
memory: after a restart of the builder the next build mends it. Owned by the provider, which ends it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodepool.zk import zookeeper

from nodepool import exceptions  # type: ignore[attr-defined]
from zuul_suse.datacenter import DatacenterError, ImageFile
from zuul_suse.fleet import Fleet, join_images, split_images


@dataclass
class Missing:
    """An upload, and the files for the datacenters that it failed in."""

    image: str
    build_id: str
    upload_id: str
    files: dict[str, ImageFile]


class MissingImages:
    """See the module."""

    PAUSE = 60.0  # seconds between tries

    def __init__(self, provider: str, fleet: Fleet, zk: Callable[[], Any], log: logging.Logger) -> None:
        self._provider = provider
        self._fleet = fleet
        self._zk = zk
        self._log = log
        self._lock = threading.Lock()  # uploaders add while the thread works on it
        self._missing: list[Missing] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def note(self, image: str, meta: Mapping[str, Any], files: Mapping[str, ImageFile], uploaded: str) -> None:
        """An upload ended; whatever is not in `uploaded` is missing."""
        left = {name: file for name, file in files.items() if name not in split_images(uploaded)}
        if not left:
            return
        with self._lock:
            self._missing.append(Missing(image, str(meta["nodepool_build_id"]), str(meta["nodepool_upload_id"]), left))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="openstack-api-upload-again", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End, after the upload that is under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self.PAUSE):
            with self._lock:
                missing = list(self._missing)
            for one in missing:
                try:
                    self._try(one)
                except Exception:
                    self._log.exception("Error while uploading image %s again:", one.image)
            with self._lock:
                self._missing = [one for one in self._missing if one.files]

    def _try(self, one: Missing) -> None:
        for name, file in list(one.files.items()):
            upload = self._record(one)
            if upload is None or upload.state in (zookeeper.DELETING, zookeeper.FAILED) or not file.path.exists():
                self._log.info("Image %s is not needed in %s any more", file.name, ", ".join(one.files))
                one.files.clear()
            elif upload.state == zookeeper.READY and not self._stopped.is_set():
                self._upload(one, name, file)

    def _record(self, one: Missing) -> Any:
        return self._zk().getImageUpload(one.image, one.build_id, self._provider, one.upload_id)

    def _upload(self, one: Missing, name: str, file: ImageFile) -> None:
        datacenter = self._fleet.member(name).datacenter
        try:
            image_id = datacenter.upload_image(file)
        except DatacenterError as error:
            self._log.warning("Image %s is still missing in datacenter %s: %s", file.name, name, error)
            return
        del one.files[name]
        if self._add(one, name, image_id):
            self._log.info("Image %s is in datacenter %s now", file.name, name)
        else:  # the upload was taken back meanwhile
            datacenter.delete_image(image_id)

    def _add(self, one: Missing, name: str, image_id: str) -> bool:
        """Add it to the record, which Nodepool's clean-up locks likewise when it deletes."""
        zk, upload = self._zk(), self._record(one)
        if upload is None:
            return False
        try:
            with zk.imageUploadNumberLock(upload, blocking=False):
                upload = self._record(one)
                if upload is None or upload.state != zookeeper.READY:
                    return False
                upload.external_id = join_images({**split_images(upload.external_id), name: image_id})
                zk.storeImageUpload(one.image, one.build_id, self._provider, upload, one.upload_id)
                return True
        except exceptions.ZKLockException:
            return False
