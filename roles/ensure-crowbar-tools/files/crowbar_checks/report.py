# SPDX-License-Identifier: Apache-2.0
"""The report of a run: one for people, a line to a finding, and the same for programs."""

from __future__ import annotations

import json
from pathlib import Path

from .findings import Found, Verdict

MORE = "take it out of the baseline"


def lines(title: str, found: Found, verdict: Verdict) -> list[str]:
    """Say it to people: first what fails the job, at the end what was looked at."""
    said = [title, ""]
    if verdict.new:
        said += [f"New faults ({len(verdict.new)}):", *[f"  {f}" for f in verdict.new], ""]
    if verdict.gone:
        said += [f"Known faults that went away ({len(verdict.gone)}), {MORE}:", *[f"  {e}" for e in verdict.gone], ""]
    if verdict.known:
        said.append(f"Known faults of upstream ({len(verdict.known)}):")
        said += [f"  {f}\n      {reason}" for f, reason in verdict.known] + [""]
    if found.notes:
        said += ["Notes:", *[f"  {note}" for note in found.notes], ""]
    said += ["Looked at:", *[f"  {number:6} {name}" for name, number in found.counts.items()], ""]
    said.append("passed" if verdict.passed else "FAILED")
    return said


def document(title: str, found: Found, verdict: Verdict) -> dict[str, object]:
    """Say it to programs."""
    return {
        "title": title,
        "passed": verdict.passed,
        "new": [vars(f) for f in verdict.new],
        "gone": [vars(e) for e in verdict.gone],
        "known": [{**vars(f), "reason": reason} for f, reason in verdict.known],
        "notes": found.notes,
        "counts": found.counts,
        "sentences": sentences(verdict),
    }


def sentences(verdict: Verdict, limit: int = 5) -> list[str]:
    """Say it in the comment on a change: the first few that fail it."""
    said = [str(f) for f in verdict.new] + [f"{e}: went away, {MORE}" for e in verdict.gone]
    return said[:limit] + ([f"and {len(said) - limit} more, see the report"] if len(said) > limit else [])


def write(folder: Path, name: str, title: str, found: Found, verdict: Verdict) -> None:
    """Write both into a folder, and the first to standard output."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines(title, found, verdict)) + "\n"
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    content = json.dumps(document(title, found, verdict), indent=1) + "\n"
    (folder / f"{name}.json").write_text(content, encoding="utf-8")
    print(text, end="")
