# SPDX-License-Identifier: Apache-2.0
"""Whose fault a failed launch is: its datacenter's, or its label's (the image, user data, flavor or policy behind it).

Every label has a circuit breaker of its own in each datacenter where it fails; no failure leaves more than that to
begin with. What a datacenter's breaker is told follows from what works elsewhere:

- A label that fails in several datacenters and arrives in none is at fault itself. It rests wherever it failed, one
  launch at a time tries it again, and no datacenter is blamed.
- A label that fails in one datacenter only is the datacenter's fault, unless other images arrive there: then it rests
  there alone until another image fails there too.
- Where many images fail and nothing arrives, the datacenter is at fault whatever those do elsewhere.
- A call without an answer is the datacenter's fault, whatever was asked for.

That a datacenter is full is no fault, but it too is heard by one label at first: a flavor may fit no host.

One per fleet. Launches tell it in the create loop, PoolWorkers ask it while they place requests, hence the lock; the
breakers have their own.
"""

from __future__ import annotations

import enum
import logging
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from zuul_suse.fleet.breaker import CLOSED, HALF_OPEN, OPEN, Breaker


class Fault(enum.Enum):
    """What a failure tells by itself."""

    OPEN = "the datacenter's or the label's"
    DATACENTER = "the datacenter's"
    LABEL = "the label's here: asking again is in vain until somebody changes something"


@dataclass(frozen=True)
class Subject:
    """What was launched. Labels may share an image; those that do are one witness."""

    label: str
    image: str


@dataclass
class _Failures:
    """Of one label in one datacenter, since it last arrived there. `untold`: not told to the datacenter's breaker."""

    breaker: Breaker
    image: str = ""
    untold: int = 0


@dataclass
class _Label:
    """`failing` are the datacenters where it failed since it last arrived anywhere."""

    places: dict[str, _Failures] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    full: dict[str, tuple[float, int]] = field(default_factory=dict)  # until when, and how often in a row
    used_at: float = -math.inf
    reported_at: float = -math.inf
    has_worked: bool = False

    @property
    def is_suspect(self) -> bool:
        return len(self.failing) > 1


class Blame:
    """See the module."""

    LATELY = 600.0  # seconds for which an arrival speaks for a datacenter, or a launch for a label's being in use
    MANY = 3  # images that fail in a datacenter while nothing arrives there
    FULL, LONGEST_FULL = 30.0, 120.0  # seconds for which a label rests where it has no room, at first and at most
    REPEAT = 3600.0  # seconds between two log lines about the same label

    def __init__(
        self,
        breakers: Mapping[str, Breaker],
        clock: Callable[[], float],
        log: logging.Logger | None = None,
    ) -> None:
        self._breakers = breakers
        self._clock = clock
        self._log = log or logging.getLogger("zuul_suse.fleet")
        self._lock = threading.Lock()
        self._labels: dict[str, _Label] = defaultdict(_Label)
        self._arrivals: dict[str, dict[str, float]] = defaultdict(dict)  # by datacenter: when, by image
        self._opened_by: dict[str, set[str]] = defaultdict(set)  # labels that a datacenter's breaker opened for

    # Placement

    def obstacle(self, label: str, datacenter: str) -> str | None:
        """Why a launch of this label is not wanted there now; None if it is. Takes nothing."""
        with self._lock:
            known = self._labels.get(label)
            if known is None:
                return None
            failures = known.places.get(datacenter)
            if failures is not None and not failures.breaker.admits():
                return f"label {label} fails there and rests"
            if failures is not None and failures.breaker.state == HALF_OPEN and self._is_tried(known):
                return f"label {label} fails everywhere: one launch tries it"
            return self._leaves_probe(label, datacenter)

    def _is_tried(self, known: _Label) -> bool:
        return known.is_suspect and any(one.breaker.probing for one in known.places.values())

    def _leaves_probe(self, label: str, datacenter: str) -> str | None:
        """A label because of which a breaker opened says least about its datacenter: others go first."""
        breaker = self._breakers[datacenter]
        if label not in self._opened_by[datacenter] or breaker.state != HALF_OPEN or breaker.overdue:
            return None
        oldest = self._clock() - self.LATELY
        others = any(known.used_at >= oldest for name, known in self._labels.items() if name != label)
        return "its breaker is half-open: another label goes first" if others else None

    def full_for(self, label: str, datacenter: str) -> str | None:
        """Why a launch of this label waits there though the sums say that there is room."""
        with self._lock:
            known = self._labels.get(label)
            full = known is not None and known.full.get(datacenter, (0.0, 0))[0] > self._clock()
            return f"said that it is full for label {label}" if full else None

    def standing(self, datacenter: str) -> Hashable:
        """What `obstacle` and `full_for` answer there for the labels of which there is anything to tell."""
        with self._lock:
            suspects = [
                label
                for label, known in self._labels.items()
                if datacenter in known.places or datacenter in known.full or label in self._opened_by[datacenter]
            ]
        return tuple((label, self.obstacle(label, datacenter), self.full_for(label, datacenter)) for label in suspects)

    def has_worked(self, label: str) -> bool:
        """Whether a server of this label could ever be used since this process began."""
        with self._lock:
            return label in self._labels and self._labels[label].has_worked

    def is_open(self, label: str, datacenter: str) -> bool:
        """Whether this label rests there."""
        with self._lock:
            known = self._labels.get(label)
            failures = known.places.get(datacenter) if known else None
            return failures is not None and failures.breaker.state == OPEN

    def enter(self, label: str, datacenter: str) -> None:
        """A launch of this label goes in; where the label has rested it is the one that tries it again."""
        with self._lock:
            known = self._labels[label]
            known.used_at = self._clock()
            if datacenter in known.places:
                known.places[datacenter].breaker.enter()

    def leave(self, label: str, datacenter: str) -> None:
        """A launch went out without a verdict."""
        with self._lock:
            known = self._labels.get(label)
            if known is not None and datacenter in known.places:
                known.places[datacenter].breaker.leave()

    # Verdicts

    def arrived(self, subject: Subject, datacenter: str) -> None:
        """A server of this label can be used. It speaks for the datacenter, and for the label wherever it failed."""
        with self._lock:
            known = self._labels[subject.label]
            known.used_at, known.has_worked = self._clock(), True
            recent = {name: at for name, at in self._arrivals[datacenter].items() if at >= self._clock() - self.LATELY}
            self._arrivals[datacenter] = {**recent, subject.image: self._clock()}
            self._opened_by[datacenter].clear()
            for other in self._labels.values():
                if datacenter in other.places:
                    other.places[datacenter].untold = 0
            self._breakers[datacenter].succeeded()
            if known.is_suspect and datacenter in known.failing:
                known.places.clear()  # somebody has mended the label
            known.places.pop(datacenter, None)
            known.full.pop(datacenter, None)
            known.failing, known.reported_at = {}, -math.inf
            for name in list(known.places):
                self._judge(name)

    def full(self, label: str, datacenter: str) -> bool:
        """A launch of this label was told that there is no room. Returns whether others were told so, too."""
        with self._lock:
            now = self._clock()
            known = self._labels[label]
            until, times = known.full.get(datacenter, (0.0, 0))
            if until <= now:
                known.full[datacenter] = (now + min(self.FULL * 2**times, self.LONGEST_FULL), times + 1)
            others = (other for other in self._labels.values() if other is not known)
            return any(other.full.get(datacenter, (0.0, 0))[0] > now for other in others)

    def failed(self, subject: Subject, datacenter: str, reason: str, fault: Fault = Fault.OPEN) -> None:
        """A launch of this label failed there."""
        breaker = self._breakers[datacenter]
        if fault is Fault.DATACENTER:
            breaker.failed()
            self.leave(subject.label, datacenter)
            return
        with self._lock:
            known = self._labels[subject.label]
            known.used_at = self._clock()
            known.failing[datacenter] = reason
            failures = known.places.setdefault(datacenter, _Failures(Breaker(clock=self._clock)))
            certain = fault is Fault.LABEL or known.is_suspect
            failures.breaker.failed(hung=certain)
            if known.is_suspect:
                self._tell(subject.label, known)
            if fault is Fault.LABEL:
                breaker.leave()
                return
            failures.image = subject.image
            failures.untold += 1
            self._judge(datacenter, subject.label)

    def _judge(self, datacenter: str, label: str = "") -> None:
        """Tell the datacenter's breaker of the failures that are its own."""
        breaker = self._breakers[datacenter]
        here = {name: known for name, known in self._labels.items() if self._untold(known, datacenter)}
        guilty = {name: known for name, known in here.items() if not known.is_suspect}
        if len({known.places[datacenter].image for known in here.values()}) >= self.MANY:
            guilty = here
        images = {known.places[datacenter].image for known in guilty.values()}
        if breaker.state == HALF_OPEN and label in here and label not in guilty:
            breaker.leave()
        if breaker.state == CLOSED and len(images) == 1 and self._others_arrive(datacenter, images):
            return
        for name, known in guilty.items():
            failures = known.places[datacenter]
            for _ in range(failures.untold if breaker.state == CLOSED else name == label):
                breaker.failed()
            failures.untold = 0
            self._opened_by[datacenter].add(name)
        if breaker.state != CLOSED:
            for known in guilty.values():  # the datacenter rests in the label's place
                known.places.pop(datacenter)
                known.failing.pop(datacenter, None)

    def _untold(self, known: _Label, datacenter: str) -> bool:
        return datacenter in known.places and known.places[datacenter].untold > 0

    def _others_arrive(self, datacenter: str, images: set[str]) -> bool:
        oldest = self._clock() - self.LATELY
        return any(at >= oldest for image, at in self._arrivals[datacenter].items() if image not in images)

    def _tell(self, label: str, known: _Label) -> None:
        if self._clock() - known.reported_at < self.REPEAT:
            return
        known.reported_at = self._clock()
        told = "; ".join(f"{name}: {reason}" for name, reason in known.failing.items())
        self._log.error(
            "Label %s fails in several datacenters and works in none: it rests, they don't. %s", label, told
        )
