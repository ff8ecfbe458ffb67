# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Built images come to every datacenter that is to have them.

An upload counts as done when it arrived somewhere: a datacenter that is slow or down holds no new image up. What comes
later is added to Nodepool's record; launchers see the change and use the image there too. In a builder a thread
compares the newest upload of each image with the configuration: a datacenter that failed, was added or got another name
is given the image, the one that is there already or the file once more, as long as the upload is ready and its file is
there. Owned by the provider, which ends it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nodepool.zk import zookeeper

from nodepool import exceptions  # type: ignore[attr-defined]
from zuul_suse.datacenter import DatacenterError, ImageFile
from zuul_suse.fleet import Fleet, Upload, join_images, split_images

Key = tuple[str, str, str, str]  # provider, image, build, upload


@dataclass(eq=False)
class Missing:
    """An upload, the files for the datacenters that lack it, and what is on its way to them."""

    image: str
    build_id: str
    upload_id: str
    files: dict[str, ImageFile]
    upload: Upload | None = None
    recorded: dict[str, str] = field(default_factory=dict)
    lock: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def late(self) -> dict[str, str]:
        """What arrived and is in no record yet."""
        arrived = dict(self.upload.arrived) if self.upload else {}
        return {name: image for name, image in arrived.items() if self.recorded.get(name) != image}


class MissingImages:
    """See the module. `wanted` gives the files for all datacenters that are to have an upload."""

    PAUSE = 60.0  # seconds between looks
    SOON = 1.0  # while something has arrived and can't be recorded yet

    # Nodepool's builder makes a provider for each of its upload workers, and another when the configuration changes.
    _busy: set[Key] = set()  # noqa: RUF012
    _busy_lock = threading.Lock()

    def __init__(
        self,
        provider: str,
        fleet: Fleet,
        zk: Callable[[], Any],
        log: logging.Logger,
        wanted: Callable[[Any], Mapping[str, ImageFile]] = lambda upload: {},
    ) -> None:
        self._provider = provider
        self._fleet = fleet
        self._zk = zk
        self._log = log
        self._wanted = wanted
        self._images: tuple[str, ...] = ()
        self._lock = threading.Lock()  # uploaders add while the thread works on it
        self._missing: list[Missing] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._news = threading.Event()

    def watch(self, images: Iterable[str]) -> None:
        """Look after the newest uploads of these, too."""
        self._images = tuple(images)
        if self._images:
            self._start()

    def note(
        self,
        image: str,
        meta: Mapping[str, Any],
        files: Mapping[str, ImageFile],
        uploaded: str,
        upload: Upload | None = None,
    ) -> None:
        """An upload can be used; whatever is not in `uploaded` is missing, or still on its way."""
        recorded = split_images(uploaded)
        left = {name: file for name, file in files.items() if name not in recorded}
        one = Missing(image, str(meta["nodepool_build_id"]), str(meta["nodepool_upload_id"]), left, upload, recorded)
        if left and self._take(one):
            self._start()

    def _take(self, one: Missing) -> bool:
        with self._busy_lock:
            if self._key(one) in self._busy:
                return False
            self._busy.add(self._key(one))
        with self._lock:
            self._missing.append(one)
        return True

    def _key(self, one: Missing) -> Key:
        return self._provider, one.image, one.build_id, one.upload_id

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="openstack-api-upload-again", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Something arrived."""
        self._news.set()

    def stop(self) -> None:
        """End, after the uploads that are under way."""
        self._stopped.set()
        self.wake()

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._is_over():
            self._news.wait(self.SOON if any(one.late for one in self._missing) else self.PAUSE)
            self._news.clear()
            if time.monotonic() - looked >= self.PAUSE and not self._stopped.is_set():
                looked = time.monotonic()
                self._attempt(self._look, "looking for missing images")
            with self._lock:
                missing = list(self._missing)
            for one in missing:
                self._attempt(partial(self._step, one), f"uploading image {one.image} again")
            self._drop([one for one in missing if self._has_ended(one)])

    def _is_over(self) -> bool:
        """Whether this thread is to end; the next note would start another one."""
        with self._lock:
            over = self._stopped.is_set() and not self._missing
            if over:
                self._thread = None
            return over

    def _attempt(self, work: Callable[[], None], what: str) -> None:
        try:
            work()
        except Exception:
            self._log.exception("Error while %s:", what)

    def _drop(self, ended: list[Missing]) -> None:
        for one in ended:
            one.lock.close()
            with self._lock:
                self._missing.remove(one)
            with self._busy_lock:
                self._busy.discard(self._key(one))

    def _has_ended(self, one: Missing) -> bool:
        if one.upload is not None:
            return False
        return not one.files or self._stopped.is_set()

    def _look(self) -> None:
        """Find uploads that aren't everywhere."""
        for image in self._images:
            upload = self._zk().getMostRecentImageUpload(image, self._provider)
            if upload is None:
                continue
            recorded = split_images(upload.external_id)
            left = {name: file for name, file in self._wanted(upload).items() if name not in recorded}
            if left:
                self._take(Missing(image, upload.build_id, upload.id, left, None, recorded))

    def _step(self, one: Missing) -> None:
        upload = self._record(one)
        if upload is None or upload.state in (zookeeper.DELETING, zookeeper.FAILED):
            self._give_up(one)
            return
        if upload.state != zookeeper.READY:
            return  # Nodepool stores in a moment that it is
        one.recorded = split_images(upload.external_id)
        if one.late and not self._add(one):
            return
        one.files = {name: file for name, file in one.files.items() if name not in one.recorded}
        if one.upload is not None and one.upload.done:
            one.upload = None
            one.lock.close()
        if one.upload is None and not self._stopped.is_set():
            self._send(one)

    def _record(self, one: Missing) -> Any:
        return self._zk().getImageUpload(one.image, one.build_id, self._provider, one.upload_id)

    def _give_up(self, one: Missing) -> None:
        """The upload was taken back: nobody knows of what arrived since."""
        for name, image_id in one.late.items():
            one.recorded[name] = image_id
            try:
                self._fleet.member(name).datacenter.delete_image(image_id)
            except DatacenterError as error:
                self._log.warning("Image %s stays in datacenter %s as a leak: %s", image_id, name, error)
        if one.upload is None or one.upload.done:
            self._log.info("Image %s is not needed in %s any more", one.image, ", ".join(one.files))
            one.upload = None
            one.files.clear()

    def _send(self, one: Missing) -> None:
        """Send it where it may be sent now, unless another builder is about to."""
        due = {name: file for name, file in one.files.items() if not self._fleet.upload_backoff(name, file)}
        if not due:
            return
        lock = self._zk().imageUploadLock(one.image, one.build_id, self._provider, blocking=False)
        try:
            one.lock.enter_context(lock)
        except exceptions.ZKLockException:
            return
        strays = {image for name, image in one.recorded.items() if name not in self._fleet.members}
        one.upload = self._fleet.begin_upload(due, again=True, strays=strays, on_news=self.wake)

    def _add(self, one: Missing) -> bool:
        """Add it to the record, which Nodepool's clean-up locks likewise when it deletes."""
        zk, upload = self._zk(), self._record(one)
        if upload is None:
            return False
        try:
            with zk.imageUploadNumberLock(upload, blocking=False):
                upload = self._record(one)
                if upload is None or upload.state != zookeeper.READY:
                    return False
                late = one.late
                known = {**split_images(upload.external_id), **late}
                upload.external_id = join_images(known)
                zk.storeImageUpload(one.image, one.build_id, self._provider, upload, one.upload_id)
        except exceptions.ZKLockException:
            return False
        one.recorded = known
        for name, image_id in late.items():
            self._log.info("Image %s-%s is in datacenter %s now: %s", one.image, one.build_id, name, image_id)
        return True
