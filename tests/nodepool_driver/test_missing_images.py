# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""What comes of uploads that aren't everywhere, over records as Nodepool keeps them."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nodepool.zk import zookeeper as zk

from nodepool import exceptions
from zuul_suse.datacenter import ImageFile, NoCapacity
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Fleet, Member, join_images, split_images
from zuul_suse.fleet.uploads import Backoff, Upload
from zuul_suse.nodepool_driver.missing_images import MissingImages

META = {"nodepool_provider_name": "suse", "nodepool_build_id": "b1", "nodepool_upload_id": "u1"}
LOG = logging.getLogger("test")


class Place(FakeDatacenter):
    """Counts what is sent to it; may hang or refuse."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sent = 0
        self.refuses = False
        self.opens = threading.Event()
        self.opens.set()

    def upload_image(self, image: ImageFile) -> str:
        self.sent += 1
        assert self.opens.wait(20)
        if self.refuses:
            raise NoCapacity(f"{self.name}: 413")
        return super().upload_image(image)

    @property
    def ids(self) -> list[str]:
        return [image.id for image in self.list_images()]


class Records:
    """One upload as ZooKeeper keeps it, and its locks."""

    def __init__(self, state: str = zk.READY, external_id: Any = "") -> None:
        names = {"image_name": "leap", "build_id": "b1", "provider_name": "suse", "id": "u1", "external_name": "leap-1"}
        self.upload: Any = SimpleNamespace(**names, state=state, external_id=external_id)
        self.locked: set[str] = set()

    def getImageUpload(self, *_key: str) -> Any:
        return copy.copy(self.upload)

    def getMostRecentImageUpload(self, image: str, provider: str) -> Any:
        assert (image, provider) == ("leap", "suse")
        return copy.copy(self.upload) if self.upload and self.upload.state == zk.READY else None

    def storeImageUpload(self, image: str, build: str, provider: str, upload: Any, number: str) -> None:
        assert "number" in self.locked
        self.upload = upload

    def imageUploadNumberLock(self, upload: Any, blocking: bool) -> Any:
        return self._lock("number")

    def imageUploadLock(self, image: str, build: str, provider: str, blocking: bool) -> Any:
        return self._lock("upload")

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        if name in self.locked:
            raise exceptions.ZKLockException
        self.locked.add(name)
        yield
        self.locked.remove(name)


class Bench:
    """A provider's fleet, its records, and what looks after them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.places = {name: Place(name) for name in names}
        self.fleet = Fleet(Member(place, rate=1e6) for place in self.places.values())
        (folder / "leap-b1.tar").write_bytes(b"x")
        file = ImageFile("leap-1", folder / "leap-b1.tar", "tar", META, tuple(META))
        self.files = dict.fromkeys(names, file)
        self.records = Records()
        self.missing = self.make()

    def make(self) -> MissingImages:
        made = MissingImages("suse", self.fleet, lambda: self.records, LOG, lambda upload: self.files)
        made.PAUSE = made.SOON = 0.05
        return made

    def upload(self) -> Upload:
        """As Nodepool does, until it has stored the record."""
        upload = self.fleet.begin_upload(self.files, on_news=self.missing.wake)
        text = join_images(upload.wait())
        self.missing.note("leap", META, self.files, text, upload)
        self.records.upload.external_id = text
        return upload

    def recorded(self) -> dict[str, str]:
        return split_images(self.records.upload.external_id)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    backoff = Backoff()
    monkeypatch.setattr(Backoff, "FIRST", 0.2)
    monkeypatch.setattr("zuul_suse.fleet.BACKOFF", backoff)
    monkeypatch.setattr(Upload, "GRACE", 0.2)
    made = Bench(tmp_path, "nbg", "prg")
    yield made
    for place in made.places.values():
        place.opens.set()
    made.missing.stop()
    made.fleet.close()
    soon(lambda: not MissingImages._busy)


def soon(check: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return
        time.sleep(0.02)
    pytest.fail("not in time")


def test_image_that_comes_late_is_added_to_the_record(bench: Bench) -> None:
    bench.places["nbg"].opens.clear()
    bench.upload()
    assert bench.recorded().keys() == {"prg"}
    bench.places["nbg"].opens.set()
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    assert bench.places["nbg"].sent == 1
    assert bench.recorded()["nbg"] in bench.places["nbg"].ids


def test_image_that_comes_late_waits_until_nodepool_has_stored_the_record(bench: Bench) -> None:
    bench.places["nbg"].opens.clear()
    bench.records.upload.state = zk.UPLOADING
    bench.upload()
    bench.places["nbg"].opens.set()
    time.sleep(0.3)
    assert bench.recorded().keys() == {"prg"}
    bench.records.upload.state = zk.READY
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})


@pytest.mark.parametrize("withdrawn", [zk.DELETING, zk.FAILED, None])
def test_image_that_comes_late_for_an_upload_that_was_taken_back_is_deleted(
    bench: Bench, withdrawn: str | None
) -> None:
    bench.places["nbg"].opens.clear()
    bench.upload()
    if withdrawn is None:
        bench.records.upload = None
    else:
        bench.records.upload.state = withdrawn
    bench.places["nbg"].opens.set()
    soon(lambda: not bench.missing._missing)
    assert bench.places["nbg"].ids == []
    assert len(bench.places["prg"].ids) == 1, "Nodepool itself deletes what is in its record"


def test_upload_that_is_refused_is_tried_again_ever_more_seldom(bench: Bench) -> None:
    bench.places["nbg"].refuses = True
    bench.upload()
    time.sleep(1.0)
    assert bench.places["nbg"].sent <= 4, "after 0.2, 0.6 and 1.4 s"
    bench.places["nbg"].refuses = False
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    assert bench.places["prg"].sent == 1


def test_image_of_a_renamed_datacenter_is_recorded_under_its_new_name_and_not_sent_again(bench: Bench) -> None:
    bench.places["nbg"]._images.put("i1", {"name": "leap-1", "metadata": META})
    bench.places["prg"]._images.put("i2", {"name": "another-drivers", "metadata": {}})
    bench.records.upload.external_id = "old=i1 older=i2"
    bench.missing.watch(["leap"])
    soon(lambda: bench.recorded() == {"old": "i1", "older": "i2", "nbg": "i1", "prg": "i2"})
    assert not bench.places["nbg"].sent + bench.places["prg"].sent


def test_datacenter_that_was_added_gets_the_image(bench: Bench) -> None:
    bench.places["nbg"]._images.put("i1", {"name": "leap-1", "metadata": META})
    bench.records.upload.external_id = "nbg=i1"
    bench.missing.watch(["leap"])
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    assert (bench.places["nbg"].sent, bench.places["prg"].sent) == (0, 1)


def test_only_one_provider_of_a_process_sends_an_image(bench: Bench) -> None:
    others = [bench.make() for _ in range(4)]
    bench.places["prg"].opens.clear()
    for one in (bench.missing, *others):
        one.watch(["leap"])
    soon(lambda: bench.places["prg"].sent and "nbg" in bench.recorded())
    time.sleep(0.3)
    assert (bench.places["nbg"].sent, bench.places["prg"].sent) == (1, 1)
    bench.places["prg"].opens.set()
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    for one in others:
        one.stop()


def test_nothing_is_sent_while_another_builder_does(bench: Bench) -> None:
    with bench.records.imageUploadLock("leap", "b1", "suse", blocking=False):
        bench.missing.watch(["leap"])
        time.sleep(0.3)
        assert not bench.places["nbg"].sent
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    soon(lambda: not bench.records.locked)


def test_file_that_is_gone_is_not_sent(bench: Bench) -> None:
    bench.files["nbg"].path.unlink()
    bench.missing.watch(["leap"])
    time.sleep(0.4)
    assert bench.recorded() == {}
    assert not bench.places["nbg"].sent


def test_provider_that_is_stopped_records_what_is_under_way_and_begins_nothing(bench: Bench) -> None:
    bench.places["nbg"].opens.clear()
    bench.upload()
    bench.missing.stop()
    time.sleep(0.2)
    assert MissingImages._busy, "the provider that takes its place must not send it, too"
    bench.places["nbg"].opens.set()
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
    soon(lambda: not MissingImages._busy)
    bench.records.upload.external_id = ""
    time.sleep(0.2)
    assert bench.recorded() == {}


def test_upload_that_ends_after_its_provider_was_stopped_is_recorded(bench: Bench) -> None:
    bench.missing.watch(["leap"])
    bench.missing.stop()
    soon(lambda: bench.missing._thread is None)
    bench.places["nbg"].opens.clear()
    bench.upload()
    bench.places["nbg"].opens.set()
    soon(lambda: bench.recorded().keys() == {"nbg", "prg"})
