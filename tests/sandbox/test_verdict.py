# SPDX-License-Identifier: Apache-2.0
"""A verdict is what Gerrit's Zuul Summary tab would take, and nothing else."""

from typing import Any

import pytest

from zuul_suse.sandbox.verdict import JobResult, newest_verdict

MESSAGE = """Patch Set 1: Verified-1

Build failed (check pipeline).
About this CI: https://wiki.openstack.org/wiki/ThirdPartySystems/SUSE_Cloud_CI

- zuul-suse-selftest-unit http://127.0.0.1:20001/a/b/ : FAILURE in 41s
- zuul-suse-selftest-roles http://127.0.0.1:20001/c/d/ : SUCCESS in 1m 2s
- zuul-suse-devstack None : NODE_FAILURE in 0s
"""


def change(*messages: tuple[str, str], vote: int = -1) -> dict[str, Any]:
    return {
        "messages": [{"author": {"username": who}, "message": text, "tag": "t"} for who, text in messages],
        "labels": {"Verified": {"all": [{"username": "ci", "value": vote}]}},
    }


def test_reads_header_vote_and_every_result() -> None:
    verdict = newest_verdict(change(("dev", "Uploaded patch set 1."), ("ci", MESSAGE)), "ci")
    assert verdict is not None
    assert (verdict.word, verdict.pipeline, verdict.vote, verdict.message_number) == ("failed", "check", -1, 2)
    assert verdict.results == (
        JobResult("zuul-suse-selftest-unit", "http://127.0.0.1:20001/a/b/", "FAILURE"),
        JobResult("zuul-suse-selftest-roles", "http://127.0.0.1:20001/c/d/", "SUCCESS"),
        JobResult("zuul-suse-devstack", None, "NODE_FAILURE"),
    )
    assert verdict.log_url == "http://127.0.0.1:20001/a/b/"


@pytest.mark.parametrize(
    "text",
    [
        MESSAGE.replace("(check pipeline).", "(check pipeline)"),
        MESSAGE.replace("Build failed", "Our Build failed"),
        MESSAGE.replace("check pipeline", "third-party pipeline"),
    ],
    ids=["no full stop", "a prefix", "a hyphen in the pipeline"],
)
def test_what_the_summary_tab_drops_is_no_verdict(text: str) -> None:
    assert newest_verdict(change(("ci", text)), "ci") is None


def test_another_accounts_comment_and_an_older_one_do_not_count() -> None:
    assert newest_verdict(change(("other", MESSAGE)), "ci") is None
    assert newest_verdict(change(("ci", MESSAGE)), "ci", after=1) is None
