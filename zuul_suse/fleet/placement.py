# SPDX-License-Identifier: Apache-2.0
"""Which datacenter, and why. Pure: it is given what is known and touches nothing.

Called by `fleet.Fleet` for a whole request and again for each launch that moves.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from zuul_suse.datacenter import Quota


@dataclass(frozen=True)
class Candidate:
    """What is known about a datacenter. `free` is None as long as it was never asked successfully."""

    name: str
    limits: Quota
    free: Quota | None
    breaker: str = "closed"
    admits: bool = True
    rests: bool = False
    used: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """The chosen datacenter, or None; and for each that was not eligible, the reason."""

    name: str | None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())


def refusal(candidate: Candidate, need: Quota) -> str | None:
    """Why this datacenter can't take the need now; None if it can."""
    if not candidate.admits:
        return f"its breaker is {candidate.breaker}"
    if candidate.free is None:
        return "not heard of yet"
    if candidate.rests:
        return "said that it is full"
    if not candidate.free.covers(need):
        return f"free: {candidate.free}"
    return None


def headroom(candidate: Candidate, need: Quota) -> float:
    """The share of its scarcest resource that stays free, from 0 to 1, times the weight."""
    left = (candidate.free or Quota()) - need
    shares = [
        amount / limit
        for amount, limit in (
            (left.instances, candidate.limits.instances),
            (left.cores, candidate.limits.cores),
            (left.ram, candidate.limits.ram),
        )
        if math.isfinite(limit) and limit > 0
    ]
    return min(shares, default=1.0) * candidate.weight


def choose(
    candidates: Iterable[Candidate],
    need: Quota,
    *,
    prefer: str | None = None,
    avoid: Collection[str] = (),
    exclude: Mapping[str, str] | None = None,
) -> Choice:
    """The preferred datacenter if it can, else the least loaded one; `avoid` is a wish, `exclude` is final."""
    eligible: list[Candidate] = []
    reasons = dict(exclude or {})
    for candidate in candidates:
        if candidate.name in reasons:
            continue
        reason = refusal(candidate, need)
        if reason is None:
            eligible.append(candidate)
        else:
            reasons[candidate.name] = reason
    if not eligible:
        return Choice(None, reasons)

    def rank(candidate: Candidate) -> tuple[bool, bool, bool, float, int, str]:
        return (
            candidate.name in avoid,
            candidate.name != prefer,
            candidate.breaker != "closed",
            -headroom(candidate, need),
            candidate.used,
            candidate.name,
        )

    return Choice(min(eligible, key=rank).name, reasons)
