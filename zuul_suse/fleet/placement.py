# SPDX-License-Identifier: Apache-2.0
"""Which datacenter, and why. Pure: it is given what is known and touches nothing.

Called by `fleet.Fleet` for a whole request and again for each launch that moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zuul_suse.datacenter import UNLIMITED, Order, Quota


@dataclass(frozen=True)
class Demand:
    """One server that is wanted: the order for it in a datacenter of this name, or why it can't be had there.

    `weights` pull towards datacenters, for this server, in place of the datacenters' own. A `spare` server is one that
    nobody waits for yet: the right one to find out whether a datacenter has come back. `label` is what failures are
    counted by; without one the order's image is.
    """

    order: Callable[[str], Order | str]
    weights: Mapping[str, float] = field(default_factory=dict)
    spare: bool = False
    label: str = ""


def weight(demands: Sequence[Demand], name: str, own: float) -> float:
    """What servers that are wanted together make of a datacenter: the least that one of them does."""
    return min((demand.weights.get(name, own) for demand in demands), default=own)


@dataclass(frozen=True)
class Candidate:
    """What is known about a datacenter, and what it would need for what is wanted.

    `free` is None as long as it was never asked successfully; `refusal` says why it can't do it at all, `blamed` why a
    label that fails doesn't go there now. `probe`: what is wanted should go there to find out whether it has come back,
    which else is never known while others have room.
    """

    name: str
    need: Quota
    limits: Quota = UNLIMITED
    free: Quota | None = None
    breaker: str = "closed"
    admits: bool = True
    rests: str | None = None
    used: int = 0
    weight: float = 1.0
    refusal: str | None = None
    blamed: str | None = None
    probe: bool = False


@dataclass(frozen=True)
class Choice:
    """The chosen datacenter, or None; and for each that was not eligible, the reason.

    `waits` are those of them that are well and will do when they have room again.
    """

    name: str | None
    reasons: Mapping[str, str] = field(default_factory=dict)
    waits: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())


def obstacle(candidate: Candidate) -> str | None:
    """Why this datacenter can't take the need now; None if it can."""
    if candidate.refusal is not None:
        return candidate.refusal
    if candidate.blamed is not None:
        return candidate.blamed
    if not candidate.admits:
        return f"its breaker is {candidate.breaker}"
    if candidate.free is None:
        return "not heard of yet"
    if candidate.rests is not None:
        return candidate.rests
    if not candidate.free.covers(candidate.need):
        return f"free: {candidate.free}"
    return None


def headroom(candidate: Candidate) -> float:
    """The share of its scarcest resource that stays free, from 0 to 1, times the weight."""
    left = (candidate.free or Quota()) - candidate.need
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
    *,
    prefer: str | None = None,
    avoid: Collection[str] = (),
    exclude: Mapping[str, str] | None = None,
) -> Choice:
    """The preferred datacenter if it can, else the least loaded one; `avoid` is a wish, `exclude` is final."""
    eligible: list[Candidate] = []
    reasons = dict(exclude or {})
    waits = set()
    for candidate in candidates:
        if candidate.name in reasons:
            continue
        reason = obstacle(candidate)
        if reason is None:
            eligible.append(candidate)
            continue
        reasons[candidate.name] = reason
        if candidate.refusal is None and candidate.admits and candidate.limits.covers(candidate.need):
            waits.add(candidate.name)
    if not eligible:
        return Choice(None, reasons, frozenset(waits))

    def rank(candidate: Candidate) -> tuple[bool, bool, int, float, int, str]:
        return (
            candidate.name in avoid,
            candidate.name != prefer,
            0 if candidate.probe else 1 if candidate.breaker == "closed" else 2,
            -headroom(candidate),
            candidate.used,
            candidate.name,
        )

    return Choice(min(eligible, key=rank).name, reasons)
