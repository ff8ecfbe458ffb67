# SPDX-License-Identifier: Apache-2.0
"""A built image on its way to many datacenters, some of which hang, fail or refuse it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zuul_suse.datacenter import Image, ImageFile, NoCapacity, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Fleet, Member, Upload, uploads
from zuul_suse.fleet.uploads import Backoff

from .clock import Clock

KEYS = ("nodepool_build_id", "nodepool_upload_id")


class Place(FakeDatacenter):
    """Counts what is sent to it, and fails as it is told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sent = 0
        self.error: Exception | None = None
        self.opens = threading.Event()
        self.opens.set()

    def upload_image(self, image: ImageFile) -> str:
        self.sent += 1
        assert self.opens.wait(20)
        if self.error is not None:
            raise self.error
        return super().upload_image(image)

    def has(self, image_id: str, **metadata: str) -> None:
        self._images.put(image_id, {"name": "leap", "metadata": metadata})


class Places:
    """A fleet of them, and its file."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.places = {name: Place(name) for name in names}
        self.fleet = Fleet(Member(place, rate=1e6) for place in self.places.values())
        (folder / "leap.tar").write_bytes(b"x")
        metadata = dict(zip(KEYS, ("b1", "u1"), strict=True))
        self.file = ImageFile("leap", folder / "leap.tar", "tar", {**metadata, "more": "yes"}, KEYS)

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    def begin(self, *, again: bool = False, strays: tuple[str, ...] = (), backoff: Backoff | None = None) -> Upload:
        files = dict.fromkeys(self.places, self.file)
        log = self.fleet._log
        return Upload(self.fleet.members, files, log, again=again, strays=strays, backoff=backoff or Backoff())


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    monkeypatch.setattr(Upload, "GRACE", 0.2)
    monkeypatch.setattr(Upload, "PAUSE", 0.0)
    made = Places(tmp_path, "nbg", "prg")
    yield made
    for place in made.places.values():
        place.opens.set()
    made.fleet.close()


def ended(upload: Upload) -> Upload:
    with upload._news:
        assert upload._news.wait_for(lambda: upload.done, 20)
    return upload


def test_image_can_be_used_while_one_datacenter_hangs_and_comes_there_later(two: Places) -> None:
    two["nbg"].opens.clear()
    upload = two.begin()
    assert upload.wait().keys() == {"prg"}
    assert not upload.done
    two["nbg"].opens.set()
    assert ended(upload).arrived.keys() == {"nbg", "prg"}


def test_image_that_is_everywhere_at_once_is_waited_for(two: Places) -> None:
    assert two.begin().wait().keys() == {"nbg", "prg"}


def test_many_datacenters_that_hang_hold_the_others_up_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STALL", 0.1)
    many = Places(tmp_path, *(f"dc{number}" for number in range(uploads.SLOTS)), "well")
    for name, place in many.places.items():
        if name != "well":
            place.opens.clear()
    assert many.begin().wait().keys() == {"well"}
    for place in many.places.values():
        place.opens.set()
    many.fleet.close()


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (NoCapacity("nbg: 413"), 1),
        (WrongConfiguration("nbg: 403"), 1),
        (TryElsewhere("nbg: 503", rest=5), 1),
        (TryElsewhere("nbg: reset"), 2),
        (KeyError("id"), 2),
    ],
)
def test_file_that_was_refused_is_not_sent_again_at_once(two: Places, error: Exception, sent: int) -> None:
    backoff = Backoff()
    two["nbg"].error = error
    assert two.begin(backoff=backoff).wait().keys() == {"prg"}
    for _ in range(3):
        assert two.begin(backoff=backoff).wait().keys() == {"prg"}
    assert two["nbg"].sent == sent
    assert two["prg"].sent == 4
    other = ImageFile("leap", two.file.path.with_name("other.tar"), "tar")
    assert not backoff.remaining("nbg", other), "another build may be smaller"


def test_file_that_is_refused_everywhere_is_an_error_and_not_sent_again_at_once(two: Places) -> None:
    backoff = Backoff()
    for place in two.places.values():
        place.error = NoCapacity("413 too large")
    for fault in ("413 too large; 413 too large", "refused this file, is asked again in 60 s"):
        with pytest.raises(TryElsewhere, match=fault):
            two.begin(backoff=backoff).wait()
    assert two["nbg"].sent == two["prg"].sent == 1


def test_rests_grow_and_end(tmp_path: Path) -> None:
    clock = Clock()
    backoff, file = Backoff(lambda: clock.now), ImageFile("x", tmp_path / "x", "tar")
    found = [backoff.record_failure("nbg", file, None, refused=True) for _ in range(9)]
    assert found == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    clock.now += 3599
    assert backoff.remaining("nbg", file) == 1
    assert not backoff.remaining("prg", file)
    clock.now += 1
    assert not backoff.remaining("nbg", file)
    backoff.reset("nbg", file)
    assert backoff.record_failure("nbg", file, None, refused=True) == 60
    assert [backoff.record_failure("prg", file, None, refused=False) for _ in range(3)] == [0, 60, 120]


@pytest.mark.parametrize(("hint", "rest"), [(None, 60), (0.0, 60), (300.0, 300), (1e9, 3600)])
def test_a_datacenters_own_word_counts_within_bounds(tmp_path: Path, hint: float | None, rest: float) -> None:
    assert Backoff().record_failure("nbg", ImageFile("x", tmp_path / "x", "tar"), hint, refused=True) == rest


def test_image_that_is_there_already_is_taken(two: Places) -> None:
    two["nbg"].has("i1", nodepool_build_id="b1", nodepool_upload_id="u1")
    two["prg"].has("i2", nodepool_build_id="b1", nodepool_upload_id="u2")
    arrived = ended(two.begin(again=True)).arrived
    assert arrived["nbg"] == "i1"
    assert arrived["prg"] != "i2"
    assert (two["nbg"].sent, two["prg"].sent) == (0, 1)


def test_image_under_an_id_without_a_datacenter_is_taken_where_it_is(two: Places) -> None:
    two["prg"].has("stray")
    assert ended(two.begin(again=True, strays=("stray",))).arrived["prg"] == "stray"
    assert two["prg"].sent == 0


def test_half_image_is_not_taken(two: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = dict(two.file.metadata)
    half = Image("half", "leap", metadata, complete=False)
    short = Image("short", "leap", metadata, size=0)
    monkeypatch.setattr(two["nbg"], "list_images", lambda: [half])
    monkeypatch.setattr(two["prg"], "list_images", lambda: [short])
    assert not {"half", "short"} & set(ended(two.begin(again=True, strays=())).arrived.values())


def test_file_that_is_gone_is_sent_nowhere(two: Places) -> None:
    two["nbg"].has("i1", nodepool_build_id="b1", nodepool_upload_id="u1")
    two.file.path.unlink()
    upload = ended(two.begin(again=True))
    assert (upload.arrived, upload.failed.keys()) == ({"nbg": "i1"}, {"prg"})
    assert two["prg"].sent == 0
