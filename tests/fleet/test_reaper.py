# SPDX-License-Identifier: Apache-2.0
"""What the reaper deletes, what it leaves alone, and when it forgets."""

from __future__ import annotations

import itertools
import logging
import math
from concurrent.futures import Future

import pytest

from zuul_suse.datacenter import Gone, Server, ServerState, TryElsewhere
from zuul_suse.fleet.poller import Snapshot
from zuul_suse.fleet.reaper import LAUNCH_TAG, Reaper

from .clock import Clock


class Grave:
    """A reaper with a datacenter in which `servers` are."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.reaper = Reaper(logging.getLogger("reaper"), self.delete, clock=self.clock)
        self.servers: dict[str, str] = {}
        self.calls: list[tuple[str, Future[None]]] = []

    def delete(self, server_id: str) -> Future[None]:
        self.calls.append((server_id, Future()))
        return self.calls[-1][1]

    def sweep(self, asked_at: float | None = None) -> None:
        listed = {
            key: Server(key, key, ServerState.ACTIVE, metadata={LAUNCH_TAG: tag}) for key, tag in self.servers.items()
        }
        self.clock.now += 1
        self.reaper.sweep(Snapshot(1, self.clock.now if asked_at is None else asked_at, listed))

    @property
    def deleted(self) -> list[str]:
        return [server_id for server_id, _ in self.calls]


@pytest.fixture
def grave() -> Grave:
    return Grave()


def test_only_what_was_handed_over_is_deleted(grave: Grave) -> None:
    grave.servers = {"a": "1", "b": "2", "c": "3"}
    grave.reaper.abandon("a")
    grave.reaper.watch_for("3")
    grave.sweep()
    assert sorted(grave.deleted) == ["a", "c"]


def test_deletion_under_way_is_not_repeated_and_a_failed_one_is(grave: Grave, caplog: pytest.LogCaptureFixture) -> None:
    grave.servers = {"a": "1"}
    grave.reaper.abandon("a")
    grave.sweep()
    grave.sweep()
    assert grave.deleted == ["a"]
    grave.calls[0][1].set_exception(TryElsewhere("nbg: timed out"))
    assert "Can't delete a, will try again: nbg: timed out" in caplog.text
    grave.clock.now += Reaper.AGAIN
    grave.sweep()
    assert grave.deleted == ["a", "a"]


ANSWERS: dict[str, Exception | None] = {
    "taken, and nothing comes of it": None,
    "refused for ever": TryElsewhere("nbg: DELETE servers: 409 task_state deleting"),
    "not known, but listed": Gone("nbg: DELETE servers: 404"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_server_that_will_not_go_is_asked_more_and_more_rarely(
    grave: Grave, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    caplog.set_level(logging.INFO)
    grave.servers = {"a": "1"}
    grave.reaper.abandon("a")
    asked_after: list[float] = []
    began = grave.clock.now
    while grave.clock.now < began + 3600:
        grave.sweep()
        for _, call in grave.calls:
            if not call.done():
                asked_after.append(grave.clock.now - began)
                error = ANSWERS[answer]
                call.set_result(None) if error is None else call.set_exception(error)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_after)]
    assert len([at for at in asked_after if at <= 60]) <= 4
    assert gaps == sorted(gaps)
    assert gaps[-1] == Reaper.LONGEST_AGAIN
    assert len(caplog.records) == (3 if answer == "refused for ever" else 2), "one line when it is deleted, one more"
    assert "Server a is still there 5 minutes after it was deleted" in caplog.records[-1].message
    assert grave.reaper.stuck == {"a"}
    grave.servers = {}
    grave.sweep()
    assert grave.reaper.stuck == set()
    assert caplog.records[-1].message == "Server a is gone at last"


def test_what_is_handed_over_again_and_again_keeps_its_pace(grave: Grave) -> None:
    """Nodepool's leak detection finds it once a minute."""
    grave.servers = {"a": "1"}
    for _ in range(600):
        grave.reaper.abandon("a")
        grave.sweep()
        for _, call in grave.calls:
            if not call.done():
                call.set_result(None)
    assert len(grave.deleted) <= 8


def test_lists_are_hurried_by_the_youngest_that_is_to_go(grave: Grave) -> None:
    assert grave.reaper.youngest == -math.inf
    grave.servers = {"a": "1", "b": "1"}
    grave.reaper.abandon("a")
    grave.sweep()
    grave.reaper.abandon("b")
    since = grave.clock.now
    grave.sweep()
    grave.reaper.abandon("a")
    assert grave.reaper.youngest == since


def test_server_that_an_older_list_lacks_is_not_forgotten(grave: Grave) -> None:
    asked_at = grave.clock.now - 1
    grave.reaper.abandon("a")
    grave.sweep(asked_at)
    grave.servers = {"a": "1"}
    grave.sweep()
    assert grave.deleted == ["a"]


def test_server_that_is_gone_is_forgotten(grave: Grave) -> None:
    grave.reaper.abandon("a")
    assert grave.reaper.has("a")
    grave.sweep()
    assert not grave.reaper.has("a")


def test_late_server_is_found_by_its_tag_for_ten_minutes(grave: Grave) -> None:
    grave.reaper.watch_for("1")
    grave.clock.now += 590
    grave.sweep()
    grave.servers = {"late": "1"}
    grave.sweep()
    assert grave.deleted == ["late"]


def test_tag_is_forgotten_only_after_a_list_that_was_late_enough(grave: Grave) -> None:
    grave.reaper.watch_for("1")
    grave.clock.now += 5000  # the datacenter was down all the while
    grave.servers = {"late": "1"}
    grave.sweep()
    assert grave.deleted == ["late"]
