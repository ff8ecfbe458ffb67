# SPDX-License-Identifier: Apache-2.0
"""How long an HTTP server asks its client to stay away. Pure; read by every kind whose API is HTTP."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime

HEADERS = ("Retry-After", "X-Retry-After")  # the second is old nova's
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*(?:,|$)")  # a header that came twice is one with a comma


def retry_after(headers: Mapping[str, str], content: object = None) -> float | None:
    """Seconds, as the first usable of the headers has it, or else the body of nova's old `overLimit`.

    A header is a number of seconds or an HTTP date, which is compared with the answer's own Date: the two clocks may
    differ. None where there is no usable hint: nothing, nonsense, a moment that has passed, zero. Not bounded.
    """
    now = _date(headers.get("Date")) or datetime.now(UTC)
    faults = content.values() if isinstance(content, dict) else ()
    in_body = [fault.get("retryAfter") for fault in faults if isinstance(fault, dict)]
    for value in (*(headers.get(name) for name in HEADERS), *in_body):
        seconds = _seconds(str(value).strip(), now) if isinstance(value, str | int | float) else 0.0
        if seconds > 0:
            return seconds
    return None


def _seconds(text: str, now: datetime) -> float:
    number = _NUMBER.match(text)
    if number:
        return float(number[1])
    until = _date(text)
    return (until - now).total_seconds() if until else 0.0


def _date(text: str | None) -> datetime | None:
    """An HTTP date; one without a zone is GMT, as all of them are."""
    try:
        date = email.utils.parsedate_to_datetime(text or "")
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
