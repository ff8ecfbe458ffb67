# SPDX-License-Identifier: Apache-2.0
"""Images whose stored text names datacenters that the configuration doesn't know (any more)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from zuul_suse.datacenter import TryElsewhere
from zuul_suse.fleet import split_images

from .conftest import Bench

Make = Callable[..., Bench]


def put(one: Bench, **images: str) -> None:
    for name, image in images.items():
        one.twins[name]._images.put(image, {"name": "leap", "metadata": {}})


def left(one: Bench) -> dict[str, list[str]]:
    return {name: [image.id for image in twin.list_images()] for name, twin in one.twins.items()}


def located(one: Bench, text: object) -> dict[str, str]:
    """Once all datacenters have answered."""
    for _ in range(2):
        one.fleet.images.locate(text)
        for call, _ in one.fleet.images._asked.values():
            call.exception(10)
    return one.fleet.images.locate(text)


@pytest.mark.parametrize("stored", [None, {"id": "i1"}, 7, "", " "])
def test_what_is_no_image_is_nowhere(bench: Make, stored: object) -> None:
    one = bench(nbg=1)
    assert split_images(stored) == located(one, stored) == {}
    assert not one.fleet.images.is_pending(stored)


def test_known_names_are_taken_at_their_word(bench: Make) -> None:
    one = bench(nbg=1, prg=1)
    assert one.fleet.images.locate("nbg=i1 prg=i2") == {"nbg": "i1", "prg": "i2"}
    assert not one.twins["nbg"].calls.get("find_image")


@pytest.mark.parametrize("text", ["old=i1", "i1", "old=i1 older=i9", "prg=i2 old=i1"])
def test_image_of_a_renamed_datacenter_is_found_by_its_id(bench: Make, text: str) -> None:
    one = bench(nbg=1, prg=1)
    put(one, nbg="i1", prg="i2")
    one.twins["nbg"].fault = "black-hole"
    assert one.fleet.images.locate(text).get("nbg") is None
    assert one.fleet.images.is_pending(text), "nbg hasn't answered yet"
    one.twins["nbg"].fault = "none"
    one.twins["nbg"].released.set()
    one.clock.now += one.fleet.images.AGAIN + 1
    assert located(one, text) == {"nbg": "i1"} | ({"prg": "i2"} if "prg" in text else {})
    assert not one.fleet.images.is_pending(text)


def test_image_that_nobody_has_is_looked_for_again_after_a_while(bench: Make) -> None:
    one = bench(nbg=1)
    assert located(one, "old=i1") == {}
    assert not one.fleet.images.is_pending("old=i1")
    put(one, nbg="i1")
    assert located(one, "old=i1") == {}
    one.clock.now += one.fleet.images.AGAIN + 1
    assert located(one, "old=i1") == {"nbg": "i1"}
    assert one.twins["nbg"].calls["find_image"] == 2


def test_datacenter_that_gives_no_answer_may_have_it(bench: Make) -> None:
    one = bench(nbg=1, prg=1)
    one.twins["prg"].fault = "unreachable"
    assert located(one, "old=i1") == {}
    assert one.fleet.images.is_pending("old=i1")


@pytest.mark.parametrize("text", ["old=i1", "i1", "old=i1 nbg=i1", "nbg=i1 older=i1"])
def test_image_under_a_name_of_the_past_is_deleted_where_it_is(bench: Make, text: str) -> None:
    one = bench(nbg=1, prg=1)
    put(one, nbg="i1", prg="i2")
    one.fleet.delete_image(text)
    assert left(one) == {"nbg": [], "prg": ["i2"]}


def test_image_is_not_given_up_while_a_datacenter_can_not_say_whether_it_has_it(bench: Make) -> None:
    one = bench(nbg=1, prg=1)
    put(one, prg="i1")
    one.twins["prg"].fault = "unreachable"
    with pytest.raises(TryElsewhere):
        one.fleet.delete_image("old=i1")
    one.twins["prg"].fault = "none"
    one.twins["nbg"].fault = "unreachable"
    one.fleet.delete_image("old=i1")  # it was found, there is no need to ask the others
    one.twins["nbg"].fault = "none"
    assert left(one) == {"nbg": [], "prg": []}


def test_image_that_is_nowhere_needs_no_deletion(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench(nbg=1, prg=1).fleet.delete_image("old=i1 nbg=i2")
    assert 'Image i1 of datacenter "old" is in none of nbg, prg' in caplog.text
    assert "Image i2 needs no deletion" in caplog.text
