# SPDX-License-Identifier: Apache-2.0
"""What may have leaked, kind by kind: no slow or failing service hides what the others have."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from zuul_suse.datacenter import Belonging, DatacenterError, Gone, TryElsewhere
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import Fleet, Member
from zuul_suse.fleet.leaks import LeakList

LOG = logging.getLogger("test")


class Services(FakeDatacenter):
    """A datacenter with something left of each kind, in which single services are slow or fail."""

    def __init__(self, name: str = "nbg") -> None:
        super().__init__(name)
        self.faults: dict[str, Exception] = {}
        self.slow: dict[str, threading.Event] = {}
        for kind in self.belonging_kinds:
            self._belongings.put(f"{kind}-1", {"kind": kind})

    def list_belongings(self, kind: str) -> Sequence[Belonging]:
        found = super().list_belongings(kind)
        if kind in self.slow:
            assert self.slow[kind].wait(20)
        if kind in self.faults:
            raise self.faults[kind]
        return found


class Rounds:
    """Rounds of a host's clean-up."""

    def __init__(self, *names: str) -> None:
        self.places = [Services(name) for name in names]
        self.fleet = Fleet([Member(place, rate=1e6) for place in self.places])

    def __call__(self) -> set[str]:
        return {f"{member.name}:{found.id}" for member, found in self.fleet.leaks.round(LOG)}


Start = Callable[..., tuple[Services, Rounds]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(LeakList, "PATIENCE", 0.3)
    made: list[Rounds] = []

    def one(*names: str) -> tuple[Services, Rounds]:
        made.append(Rounds(*(names or ("nbg",))))
        return made[-1].places[0], made[-1]

    yield one
    for rounds in made:
        rounds.fleet.close()


ALL = {"nbg:port-1", "nbg:floating-ip-1", "nbg:volume-1"}


def test_every_kind_is_told(start: Start) -> None:
    _, look = start()
    assert look() == ALL


@pytest.mark.parametrize("kind", ["port", "floating-ip", "volume"])
@pytest.mark.parametrize("fault", [TryElsewhere("nbg: 503"), DatacenterError("nbg: no"), KeyError("device_id")])
def test_service_that_fails_hides_no_other_and_is_told_once(
    start: Start, kind: str, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place, look = start()
    place.faults[kind] = fault
    for _ in range(4):
        assert look() == ALL - {f"nbg:{kind}-1"}
    assert caplog.text.count(f"Leaked {kind}s in datacenter nbg can't be looked for") == 1
    place.faults.clear()
    assert look() == ALL
    assert f"Leaked {kind}s in datacenter nbg are looked for again" in caplog.text


def test_kind_that_a_service_does_not_offer_is_skipped_quietly(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    place, look = start()
    place.faults["floating-ip"] = Gone("nbg: GET floatingips: 404")
    assert look() == look() == ALL - {"nbg:floating-ip-1"}
    assert not caplog.records


def test_late_answer_is_kept_for_the_next_round_and_waited_for_no_more(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    place, look = start("nbg", "prg")
    others = {one.replace("nbg", "prg") for one in ALL} | (ALL - {"nbg:port-1"})
    place.slow["port"] = threading.Event()
    assert look() == others
    assert place.calls["list_belongings"] == 3
    assert look() == others
    assert place.calls["list_belongings"] == 5, "it was asked again while it was being asked"
    (late,) = [one for one in look.fleet.leaks._lists if one._is_late]
    assert late._call is not None
    assert late.submit(LOG) is None, "the other datacenters would be told late again"
    place.slow["port"].set()
    late._call.result(10)
    del place.slow["port"]
    assert look() == others | {"nbg:port-1"}
    assert caplog.text.count("no answer within 0.3 s") == 1


def test_what_is_slow_for_ever_is_told_in_two_rounds_in_a_row(start: Start) -> None:
    """Else a host that deletes what it saw twice would never see it twice."""
    place, look = start()
    assert "nbg:port-1" in look()
    place.slow["port"] = threading.Event()
    assert "nbg:port-1" in look()
    for _ in range(3):
        assert "nbg:port-1" not in look(), "it may be long gone"
    place.slow["port"].set()
