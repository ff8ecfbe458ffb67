# SPDX-License-Identifier: Apache-2.0
"""Launches that end in one datacenter: those of one request.

Room for them is claimed in one step (`Fleet.claim`), and that step makes the group: whoever finds a claim under its key
belongs to it, so a shell that starts a launch anew under the same key needs to say nothing. The group moves as a whole,
with room for all of it claimed before any server is given up; a launch that can't have that retries beside the others.
Owned by `fleet.Fleet`, whose lock guards every change. The create loop reads it without: what it reads is replaced, not
changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zuul_suse.fleet.placement import Demand


@dataclass(eq=False)
class Group:
    """`datacenter` is where its claims and servers are, None while it has none; `moves` counts how often it left one.
    `under_way` are launches that have asked for a server there.

    `kept` are servers that were ready before, in `kept_in`: they stay while launches retry beside them, and when the
    group moves others are made in their place. `usable` launches have a server that the shell has checked. In a `lost`
    group one has failed for good, and so has the request: the others end each by itself.
    """

    datacenter: str | None
    seen: float
    demands: dict[str, Demand] = field(default_factory=dict)
    moves: int = 0
    kept: dict[str, Demand] = field(default_factory=dict)
    kept_in: str | None = None
    failed: dict[str, tuple[str, float]] = field(default_factory=dict)  # by datacenter: why and when
    under_way: frozenset[str] = frozenset()
    usable: frozenset[str] = frozenset()
    lost: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing moves it any more: all its launches are usable, or the request is lost."""
        return self.lost or self.demands.keys() <= self.usable

    @property
    def anchor(self) -> str | None:
        """Where it has servers, or kept ones at least."""
        return self.datacenter if self.under_way else self.kept_in if self.kept else None

    def settle(self, name: str) -> None:
        """All of it has room in this datacenter from now on."""
        if name != self.kept_in:
            self.demands, self.kept = self.demands | self.kept, {}
        if self.datacenter not in (None, name):
            self.leave()
        self.datacenter = name

    def leave(self) -> None:
        """All of it gives up what it has."""
        self.datacenter = None
        self.moves += 1
        self.usable = self.under_way = frozenset()


class Groups:
    """Groups by the keys of their launches. What nobody has touched for a while is forgotten."""

    AGE = 7200.0  # seconds

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._purged_at = 0.0

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, key: str) -> Group | None:
        """The group of this launch."""
        return self._groups.get(key)

    def add(self, group: Group, demands: Mapping[str, Demand]) -> None:
        """Put launches into a group, and find it under their keys."""
        now = group.seen
        if now - self._purged_at >= self.AGE:
            self._purged_at = now
            self._groups = {key: known for key, known in self._groups.items() if now - known.seen < self.AGE}
        group.demands = {**group.demands, **demands}
        self._groups.update(dict.fromkeys(group.demands, group))

    def rename(self, key: str, new: str) -> None:
        """A launch has another key."""
        group = self._groups.pop(key, None)
        if group is not None:
            group.demands = {new if name == key else name: demand for name, demand in group.demands.items()}
            self._groups[new] = group

    def drop(self, key: str) -> None:
        """Forget a launch."""
        group = self._groups.pop(key, None)
        if group is not None:
            group.demands = {name: demand for name, demand in group.demands.items() if name != key}
