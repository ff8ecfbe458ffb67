# SPDX-License-Identifier: Apache-2.0
"""Which comments start which pipeline, asked of Zuul's pattern language (RE2), on texts as Gerrit sends them."""

from __future__ import annotations

from typing import Any

import pytest
import re2

# Gerrit's stream sends the whole message; Zuul matches it and also each patch-set comment alone.
RECHECK = [
    "recheck",
    "Recheck because the mirror was down",
    "Patch Set 1:\n\nrecheck",
    "Patch Set 12: Code-Review+1\n\nrecheck bug 1234567",
    "Patch Set 12: Code-Review+1 Workflow-1\n\nrecheck",
    "Patch Set 3: -Code-Review\n\nrecheck",
    "Patch Set 1:\n\n(2 comments)\n\nrecheck grenade timed out",
    "Patch Set 1: Code-Review-1\n\n(1 comment)\n\nrecheck",
    "(1 comment)\n\nrecheck",
    "Patch Set 1:\n\n  recheck",
    "Patch Set 1:\n\nrecheck\n\nThe node went away.",
    "Patch Set 1:\n\nrecheck-suse",
    "Patch Set 1:\r\n\r\nrecheck\r\n",
    "Patch Set 1:\n\nrecheck: the mirror was down",
]
RUN = [
    "run-SUSE Cloud CI",
    "Patch Set 4:\n\nrun-SUSE Cloud CI",
    "Patch Set 4:\n\n(3 comments)\n\nrun-SUSE Cloud CI please",
    "Patch Set 4:\n\nrun-suse cloud ci",
    "Patch Set 4:\n\nrun-Other Vendor CI\nrun-SUSE Cloud CI",
    "Patch Set 4:\n\nrun-SUSE Cloud CI, please.",
    "Patch Set 4:\n\nrun-SUSE Cloud CI.",
    "Patch Set 4:\r\n\r\nrun-SUSE Cloud CI\r\n",
    "Patch Set 4:\n\nBut the mirror was down.\nb\nbu\n\nrun-SUSE Cloud CI",
    "Patch Set 4:\n\n> Build failed (check pipeline).\n\nIt was the mirror.\n\nrun-SUSE Cloud CI\nrun-Other CI",
]
MANUAL = [
    "run-suse-manual",
    "Patch Set 4:\n\n(1 comment)\n\nrun-suse-manual the long jobs",
    "Patch Set 4:\n\nLet us see.\n\nrun-suse-manual",
]
# As SUSE Cloud CI writes them, and others.
VERDICT = (
    "Build failed (check pipeline).\nhttps://zuul.example.com/b/1\n\n- a-job https://logs.example.com/1 : FAILURE in 5s"
)
NEITHER = [
    "Patch Set 1: Code-Review+2",
    "Patch Set 1:\n\nPlease recheck this.",
    "Patch Set 1:\n\n> recheck\n\nDone already.",
    "Patch Set 1:\n\nrechecking my numbers",
    "Patch Set 1:\n\nI would run-SUSE Cloud CI again",
    "Patch Set 1:\n\nrun-SUSE Cloud CIs",
    "Patch Set 1:\n\nrun-SUSE Cloud CI-staging",
    "Patch Set 1:\n\nrun-SUSE Cloud CI_2",
    "Patch Set 1:\n\nrun-SUSE Cloud CI.staging",
    "Patch Set 1:\n\nrun-SUSE Cloud CI/staging",
    "Patch Set 1:\n\nrun-suse-manual-test",
    "Patch Set 1:\n\nrecheck-netapp",
    "Patch Set 1:\n\nrecheck-suse-staging",
    "Patch Set 1:\n\nrecheck_netapp",
    "Patch Set 1:\n\n> run-SUSE Cloud CI\n\nWhat is that?",
    "Patch Set 1:\n\nTo run it again, write:\n\n    run-SUSE Cloud CI",
    "Patch Set 1:\n\nTo run it again, write\nrun-SUSE Cloud CI to this change",
    f"Patch Set 1: Verified-1\n\n{VERDICT}\n\nrun-SUSE Cloud CI to run again",
    f"Patch Set 1: Verified-1\n\n{VERDICT}\n\nComment\nrun-SUSE Cloud CI\nto run again",
    f"Patch Set 1: Verified-1\n\n{VERDICT}\n\nWarning:\n  a-job: failed\n  run-SUSE Cloud CI\n",
    f"Patch Set 1: Verified-1\n\n{VERDICT}\n\nrun-suse-manual\nrecheck\n",
    "Patch Set 1:\n\nrun-Other Vendor CI",
    "Uploaded patch set 2.",
    "Patch Set 1: Verified-1\n\nBuild failed (check pipeline).\n\n- zuul-selftest-unit http://x/ : FAILURE in 5s",
]


@pytest.fixture(scope="module")
def patterns(trusted: list[Any]) -> dict[str, list[Any]]:
    """The comment patterns of each pipeline."""
    return {
        stanza.name: [
            re2.compile(trigger["comment"])
            for trigger in stanza.body["trigger"].get("gerrit", [])
            if "comment" in trigger
        ]
        for stanza in trusted
        if stanza.kind == "pipeline"
    }


def started(patterns: dict[str, list[Any]], comment: str) -> set[str]:
    """Return the pipelines that a comment starts; Zuul searches, it does not match from the beginning."""
    return {name for name, all_of in patterns.items() if any(p.search(comment) for p in all_of)}


@pytest.mark.parametrize("comment", RECHECK + RUN)
def test_starts_check(patterns: dict[str, list[Any]], comment: str) -> None:
    assert started(patterns, comment) == {"check"}


@pytest.mark.parametrize("comment", MANUAL)
def test_starts_manual(patterns: dict[str, list[Any]], comment: str) -> None:
    assert started(patterns, comment) == {"manual"}


@pytest.mark.parametrize("comment", NEITHER)
def test_starts_nothing(patterns: dict[str, list[Any]], comment: str) -> None:
    assert started(patterns, comment) == set()


def test_no_line_of_a_verdict_starts_anything(patterns: dict[str, list[Any]]) -> None:
    """Whatever this CI's own comment quotes, in whichever of its lines."""
    lines = VERDICT.splitlines()
    for number in range(1, len(lines) + 1):
        for words in ("run-SUSE Cloud CI", "run-suse-manual", "recheck"):
            comment = "\n".join([*lines[:number], words, *lines[number:]])
            assert started(patterns, comment) == set(), comment


def test_run_and_recheck_are_two_triggers(patterns: dict[str, list[Any]]) -> None:
    """Each alone must be enough: OpenDev's own CI runs again on the one and not on the other."""
    recheck, run = patterns["check"]
    assert not run.search("recheck")
    assert not recheck.search("run-SUSE Cloud CI")


@pytest.mark.parametrize("event", ["patchset-created", "change-restored"])
def test_new_and_restored_patch_sets_start_check_and_nothing_else(trusted: list[Any], event: str) -> None:
    starting = {
        s.name
        for s in trusted
        if s.kind == "pipeline"
        and any("comment" not in t and t["event"] == event for t in s.body["trigger"].get("gerrit", []))
    }
    assert starting == {"check", "configuration"}, "which runs nothing"


@pytest.mark.parametrize(
    ("account", "person"),
    [
        ("suse-cloud-ci", False), ("SUSE-Cloud-CI", False), ("zuul", False), ("other_ci", False), ("ci-netapp", False),
        ("devon", True), ("luci", True), ("cindy", True), ("zuulfan", True),
    ],
)  # fmt: skip
def test_what_a_ci_writes_starts_nothing(trusted: list[Any], account: str, person: bool) -> None:
    """Each trigger on a comment asks who wrote it."""
    filters = [
        trigger.get("username")
        for s in trusted
        if s.kind == "pipeline"
        for trigger in s.body["trigger"].get("gerrit", [])
        if "comment" in trigger
    ]
    assert filters
    for found in filters:
        assert found["negate"] is True
        assert (not re2.search(found["regex"], account)) is person
