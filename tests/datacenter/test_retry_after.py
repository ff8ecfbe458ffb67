# SPDX-License-Identifier: Apache-2.0
"""Retry-After as clouds and the proxies before them write it."""

from __future__ import annotations

import math
import time
from email.utils import formatdate

import pytest

from zuul_suse.datacenter import LONGEST_REST, NoCapacity
from zuul_suse.datacenter.retry_after import retry_after

NOON = "Fri, 27 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17.0),
        (" 17 ", 17.0),
        ("2.5", 2.5),
        ("5, 5", 5.0),  # two proxies, two headers
        ("0", None),
        ("0.0", None),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("60 s", None),
        ("nan", None),
        ("inf", None),
        ("\u00b2", None),  # a digit to Python, and no number
        ("1e9", None),
        ("9" * 400, math.inf),
        ("Fri, 27 Nov 2026 12:01:30 GMT", 90.0),
        ("Friday, 27-Nov-26 12:01:30 GMT", 90.0),
        ("Fri Nov 27 12:01:30 2026", 90.0),
        ("Fri, 27 Nov 2026 12:01:30 -0000", 90.0),
        ("Fri, 27 Nov 2026 13:01:30 +0100", 90.0),
        ("Fri, 27 Nov 2026 11:00:00 GMT", None),  # it has passed
        ("Fri, 27 Nov 99999 11:00:00 GMT", None),
    ],
)
def test_forms(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text, "Date": NOON}) == seconds


def test_date_is_compared_with_this_machine_s_clock_where_the_answer_has_none() -> None:
    wanted = retry_after({"Retry-After": formatdate(time.time() + 90, usegmt=True)})
    assert wanted is not None
    assert 80 < wanted <= 90


def test_old_nova_s_own_header_and_body() -> None:
    assert retry_after({"X-Retry-After": "7"}) == 7
    assert retry_after({"Retry-After": "0", "X-Retry-After": "7"}) == 7
    assert retry_after({}, {"overLimit": {"code": 413, "message": "slow down", "retryAfter": "45"}}) == 45
    assert retry_after({}, {"overLimit": {"retryAfter": 45}}) == 45
    assert retry_after({"Retry-After": "3"}, {"overLimit": {"retryAfter": 45}}) == 3


@pytest.mark.parametrize(
    "content", [None, [], "x", 5, {}, {"a": None}, {"a": {"retryAfter": None}}, {"a": {"retryAfter": []}}]
)
def test_bodies_without_a_hint(content: object) -> None:
    assert retry_after({}, content) is None


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, None),
        (0.0, None),
        (-3.0, None),
        (math.nan, None),
        (5.0, 5.0),
        (1e9, LONGEST_REST),
        (math.inf, LONGEST_REST),
    ],
)
def test_error_keeps_a_hint_that_can_be_used(asked: float | None, kept: float | None) -> None:
    assert NoCapacity("nbg: full", asked).rest == kept
