# SPDX-License-Identifier: Apache-2.0
"""Reads what a CI said on a change, in the exact shape that Gerrit's Zuul Summary tab takes.

Owns nothing. Called by the demonstration and the end-to-end test. The patterns are those of zuul-results-summary
(be4de83): a comment in another shape is no verdict, here as there.
"""

import re
from dataclasses import dataclass
from typing import Any

HEADER = re.compile(r"^Build (?P<word>\w+) \((?P<pipeline>\w+) pipeline\)\.", re.MULTILINE)
RESULT = re.compile(r"^- (?P<job>\S+) (?P<url>https?://\S+) : (?P<result>\w+)(?P<rest>.*)$", re.MULTILINE)
NO_LOG_RESULT = re.compile(r"^- (?P<job>\S+) (?:None|finger://\S+) : (?P<result>\w+)(?P<rest>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class JobResult:
    """One job's line; `url` is where its logs are, None where it left none."""

    job: str
    url: str | None
    result: str


@dataclass(frozen=True)
class Verdict:
    """A CI's comment on a patch set, and the vote that it left."""

    message: str
    message_number: int
    tag: str
    word: str
    pipeline: str
    vote: int
    results: tuple[JobResult, ...]

    @property
    def log_url(self) -> str | None:
        """What the first job's line leads to (Zuul's page of the build); a failed job comes before others."""
        ordered = sorted(self.results, key=lambda result: result.result == "SUCCESS")
        return next((result.url for result in ordered if result.url), None)


def newest_verdict(change: dict[str, Any], author: str, after: int = 0) -> Verdict | None:
    """The last verdict of an author on a change.

    :param change: Gerrit's ChangeInfo with MESSAGES, DETAILED_ACCOUNTS and DETAILED_LABELS.
    :param author: the user name of the CI.
    :param after: leave out this many messages from the start.
    """
    for number, message in reversed(list(enumerate(change.get("messages", []), start=1))):
        if number <= after or message.get("author", {}).get("username") != author:
            continue
        if header := HEADER.search(message["message"]):
            return Verdict(
                message=message["message"],
                message_number=number,
                tag=message.get("tag", ""),
                word=header["word"],
                pipeline=header["pipeline"],
                vote=_vote(change, author),
                results=_results(message["message"]),
            )
    return None


def _results(text: str) -> tuple[JobResult, ...]:
    with_log = [
        (found.start(), JobResult(found["job"], found["url"], found["result"])) for found in RESULT.finditer(text)
    ]
    bare = [(found.start(), JobResult(found["job"], None, found["result"])) for found in NO_LOG_RESULT.finditer(text)]
    return tuple(result for _, result in sorted([*with_log, *bare], key=lambda pair: pair[0]))


def _vote(change: dict[str, Any], author: str) -> int:
    for approval in change.get("labels", {}).get("Verified", {}).get("all", []):
        if approval.get("username") == author:
            return int(approval.get("value", 0))
    return 0
