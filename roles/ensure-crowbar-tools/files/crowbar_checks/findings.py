# SPDX-License-Identifier: Apache-2.0
"""What a check found, and how that is weighed against what is known of upstream.

A finding is known if the release's baseline has it. What is new fails the job; so does an entry of the baseline that
nothing was found for any more, for it would hide the same fault when that comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Finding:
    """One fault in one file of one project."""

    project: str
    file: str
    check: str
    fault: str

    def __str__(self) -> str:
        return f"{self.project}/{self.file}: {self.fault} [{self.check}]"


@dataclass
class Found:
    """What the checks found, what they could not do, and how much they looked at."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    checks: set[str] = field(default_factory=set)

    def add(self, check: str, project: str, file: str, fault: str) -> None:
        """Take a fault in; its text is one line."""
        self.findings.append(Finding(project, file, check, " ".join(str(fault).split())))

    def count(self, name: str, number: int) -> None:
        """Say how much of something was looked at."""
        self.counts[name] = self.counts.get(name, 0) + number


@dataclass(frozen=True)
class Entry:
    """One known failure of upstream."""

    project: str
    file: str
    check: str
    fault: str | None
    reason: str
    without: str | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether this is the fault that is known; without a text of its own it is any of that check in that file."""
        where = (finding.project, finding.file, finding.check) == (self.project, self.file, self.check)
        return where and self.fault in (None, finding.fault)

    def __str__(self) -> str:
        return f"{self.project}/{self.file}: {self.fault or 'any fault'} [{self.check}]"


@dataclass
class Verdict:
    """What is new, what is known, and what went away."""

    new: list[Finding]
    known: list[tuple[Finding, str]]
    gone: list[Entry]

    @property
    def passed(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.new and not self.gone


def entries_of(items: list[dict[str, Any]]) -> list[Entry]:
    """Read a baseline.

    An entry may name several files that have one fault for one reason, and a project `without` which that is so.
    """
    entries = []
    for item in items:
        for file in item.get("files") or [item["file"]]:
            what = (item["check"], item.get("fault"), item["reason"], item.get("without"))
            entries.append(Entry(item["project"], file, *what))
    return entries


def weigh(found: Found, entries: list[Entry], projects: set[str]) -> Verdict:
    """Compare with the baseline; an entry for what was not looked at this time is left alone."""
    asked = [e for e in entries if e.project in projects and e.without not in projects and e.check in found.checks]
    new, known = [], []
    for finding in sorted(set(found.findings)):
        entry = next((e for e in asked if e.covers(finding)), None)
        if entry is None:
            new.append(finding)
        else:
            known.append((finding, entry.reason))
    gone = [e for e in asked if not any(e.covers(f) for f in found.findings)]
    return Verdict(new, known, gone)
