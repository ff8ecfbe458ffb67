# SPDX-License-Identifier: Apache-2.0
"""Images in several datacenters, addresses, the poller's manners."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from zuul_suse.datacenter import ImageFile, Quota, Server, ServerState, TryElsewhere
from zuul_suse.fleet import join_images, split_images
from zuul_suse.fleet.poller import Poller, Snapshot

from .clock import Clock
from .conftest import Bench, demand

Make = Callable[..., Bench]


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    (tmp_path / "x.tar").write_bytes(b"x")
    return ImageFile("x", tmp_path / "x.tar", "tar", {"nodepool_build_id": "1"})


def test_image_lists_survive_a_round() -> None:
    assert split_images(join_images({"nbg": "1=2", "prg": "3"})) == {"nbg": "1=2", "prg": "3"}


def test_image_goes_to_every_datacenter_and_is_deleted_everywhere(bench: Make, image: ImageFile) -> None:
    one = bench(nbg=1, prg=1)
    address = one.fleet.upload_image(dict.fromkeys(one.twins, image))
    assert set(split_images(address)) == {"nbg", "prg"}
    one.fleet.delete_image(address)
    assert not any(twin.list_images() for twin in one.twins.values())
    one.fleet.delete_image(address)


def test_datacenter_that_fails_goes_without_the_image(bench: Make, image: ImageFile) -> None:
    one = bench(nbg=1, prg=1)
    one.twins["nbg"].fault = "unreachable"
    address = one.fleet.upload_image(dict.fromkeys(one.twins, image))
    assert set(split_images(address)) == {"prg"}


def test_upload_that_fails_everywhere_is_an_error(bench: Make, image: ImageFile) -> None:
    one = bench(nbg=1)
    one.twins["nbg"].fault = "unreachable"
    with pytest.raises(TryElsewhere, match="image x could not be uploaded to any datacenter: nbg: connection refused"):
        one.fleet.upload_image(dict.fromkeys(one.twins, image))


def test_failed_deletion_of_an_image_is_told_after_the_others_were_tried(bench: Make, image: ImageFile) -> None:
    one = bench(nbg=1, prg=1)
    address = one.fleet.upload_image(dict.fromkeys(one.twins, image))
    one.twins["nbg"].fault = "unreachable"
    with pytest.raises(TryElsewhere):
        one.fleet.delete_image(address)
    assert not one.twins["prg"].list_images()


def test_fits_when_empty_asks_for_one_datacenter_that_is_big_enough(bench: Make) -> None:
    one = bench(nbg=3, prg=4)
    assert one.fleet.fits_when_empty([demand()] * 4)
    assert not one.fleet.fits_when_empty([demand()] * 5)


def test_unheard_of_datacenter_may_be_big_enough_but_gets_no_launch() -> None:
    one = Bench(clock=lambda: 0.0, nbg=3)  # type: ignore[arg-type]
    assert one.fleet.fits_when_empty([demand()] * 50)
    assert str(one.fleet.place([demand()])) == "nbg: not heard of yet"
    one.fleet.close()


class Script:
    """A datacenter's list with faults as scripted, and what the poller reported."""

    def __init__(self, *lists: list[Server] | Exception) -> None:
        self.lists = list(lists)
        self.reports: list[Snapshot | Exception] = []
        self.gap = 30.0
        self.limits: list[Quota | Exception] = []  # answers to come; the last one stays
        self.limits_read = 0
        self.poller = Poller(
            "x", logging.getLogger("x"), self, self.read_limits, self.reports.append, lambda last, took: last + self.gap
        )

    def read_limits(self) -> Future[Quota]:
        self.limits_read += 1
        call: Future[Quota] = Future()
        answer = (self.limits.pop(0) if len(self.limits) > 1 else self.limits[0]) if self.limits else Quota(1)
        if isinstance(answer, Exception):
            call.set_exception(answer)
        else:
            call.set_result(answer)
        return call

    def __call__(self) -> list[Server]:
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_poller_keeps_the_last_good_list() -> None:
    server = Server("1", "one", ServerState.ACTIVE)
    script = Script([server], TryElsewhere("down"), RuntimeError("a bug"), [])
    for _ in range(4):
        script.poller.poll()
        if len(script.reports) < 4:
            assert set(script.poller.snapshot.servers) == {"1"}
    assert [getattr(report, "number", str(report)) for report in script.reports] == [1, "down", "a bug", 2]
    assert script.poller.snapshot.servers == {}


def test_poller_survives_a_fault_in_its_listener() -> None:
    script = Script([], [])
    script.poller._on_poll = lambda _: 1 / 0  # type: ignore[assignment]
    script.poller.poll()
    script.poller.poll()
    assert script.poller.snapshot.number == 2


def soon(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_poller_thread_polls_at_once_when_woken_and_ends() -> None:
    script = Script(*[[] for _ in range(50)])
    script.poller.start()
    script.poller.start()
    thread = script.poller._thread
    assert thread is not None
    assert thread.name.startswith("openstack-api")
    soon(lambda: script.poller.snapshot.number == 1)
    script.poller.reconsider()
    time.sleep(0.1)
    assert script.poller.snapshot.number == 1, "it was not due"
    script.poller.wake()
    soon(lambda: script.poller.snapshot.number == 2)
    script.gap = 0.05
    script.poller.reconsider()
    soon(lambda: script.poller.snapshot.number >= 4)
    script.poller.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_limits_are_read_again_when_the_datacenter_does_not_agree_with_them() -> None:
    script = Script(*[[] for _ in range(4)])
    script.poller.poll()
    script.poller.poll()
    assert script.limits_read == 1
    script.poller.outdate_limits()
    script.poller.poll()
    script.poller.poll()
    assert script.limits_read == 2


def test_limits_that_fail_stop_no_list_and_the_last_ones_hold(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    script = Script(*[[] for _ in range(400)])
    script.poller.limits._clock = clock
    script.limits = [Quota(7), TryElsewhere("x: GET limits: 500")]
    script.poller.poll()
    for _ in range(399):
        clock.now += 3
        script.poller.poll()
        assert script.poller.snapshot.limits == Quota(7)
    assert script.poller.snapshot.number == 400
    assert 15 <= script.limits_read <= 22, "asked for once a minute in the end"
    assert [record.message for record in caplog.records] == [
        "Can't read the limits, the last ones hold: x: GET limits: 500"
    ]
    script.limits = [Quota(8)]
    script.lists = [[]]
    clock.now += 60
    script.poller.poll()
    assert script.poller.snapshot.limits == Quota(8)
    assert caplog.records[-1].message.startswith("The limits can be read again")


def test_limits_that_hang_hold_a_list_up_for_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zuul_suse.fleet.poller.Limits.PATIENCE", 0.05)
    script = Script(*[[] for _ in range(5)])
    calls: list[Future[Quota]] = []
    script.poller.limits._read = lambda: calls.append(Future()) or calls[-1]  # type: ignore[func-returns-value]
    script.poller.poll()
    script.poller.poll()
    assert (script.poller.snapshot.number, script.poller.snapshot.limits, len(calls)) == (2, None, 1)
    calls[0].set_result(Quota(3))
    assert script.poller._at_once, "there is a list now, to tell"
    script.poller.poll()
    assert script.poller.snapshot.limits == Quota(3)


def test_limits_are_read_again_when_lists_come_again() -> None:
    script = Script([], TryElsewhere("down"), [], [])
    for _ in range(4):
        script.poller.poll()
    assert script.limits_read == 2


def test_hanging_list_is_seen_while_it_hangs() -> None:
    one = Bench(clock=Clock(), nbg=3)
    one.poll()
    member = one.fleet.members["nbg"]
    one.twins["nbg"].fault = "black-hole"
    thread = threading.Thread(target=member.poller.poll)
    thread.start()
    soon(lambda: member.poller.hangs_for == 0 and one.twins["nbg"].calls["list_servers"] == 2)
    assert one.fleet.place([demand()]).name == "nbg"
    one.clock.now += 21
    assert str(one.fleet.place([demand()])) == "nbg: does not answer"
    assert member.is_slow()
    one.twins["nbg"].released.set()
    thread.join(5)
    assert not member.is_slow()
    one.fleet.close()
