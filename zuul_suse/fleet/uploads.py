# SPDX-License-Identifier: Apache-2.0
"""A built image on its way to many datacenters.

Begun and waited for by a host's own threads; each datacenter is served in a thread of its own, which ends with the
process: one that hangs holds nobody up. An image can be used once it is somewhere, so `wait` doesn't wait for the last.
A file that a datacenter refused isn't sent there again for a while, whoever asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from zuul_suse.datacenter import DatacenterError, Gone, ImageFile, NoCapacity, TryElsewhere, WrongConfiguration
from zuul_suse.fleet.threads import MACHINE

if TYPE_CHECKING:
    from zuul_suse.fleet.member import Member

SLOTS = 8  # at a time; more would share the same line out
STALL = 300.0  # seconds after which those that hang keep no slot from the next


class Backoff:
    """Which files are not to be sent to which datacenters for now; several threads share it."""

    FIRST, LONGEST = 60.0, 3600.0  # seconds; twice as long after each failure

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}  # how often, and until when it is not sent

    def remaining(self, datacenter: str, file: ImageFile) -> float:
        """Seconds until it may be sent again."""
        with self._lock:
            refused = self._failures.get((datacenter, str(file.path)))
        return max(0.0, refused[1] - self._clock()) if refused else 0.0

    def record_failure(self, datacenter: str, file: ImageFile, hint: float | None, refused: bool) -> float:
        """It failed, with `hint` as Retry-After; returns the seconds until it may be sent again. What broke, other than
        what was refused, may be sent again at once, once."""
        with self._lock:
            now = self._clock()
            # A file that nobody tried for hours is no longer there.
            self._failures = {key: one for key, one in self._failures.items() if now - one[1] < 4 * self.LONGEST}
            times = self._failures.get((datacenter, str(file.path)), (0, 0.0))[0]
            doublings = times if refused else times - 1
            seconds = self.FIRST * 2.0 ** min(doublings, 10) if doublings >= 0 else 0.0
            seconds = min(max(seconds, hint or 0.0), self.LONGEST)
            self._failures[datacenter, str(file.path)] = times + 1, now + seconds
            return seconds

    def reset(self, datacenter: str, file: ImageFile) -> None:
        """It was accepted."""
        with self._lock:
            self._failures.pop((datacenter, str(file.path)), None)


BACKOFF = Backoff()  # of this process: Nodepool's builder makes a fleet for each of its upload workers


class Upload:
    """See the module. `arrived` and `failed` grow as datacenters end; what is in neither is on its way.

    `again`: there may be what an earlier try left. A complete image is taken, as is one whose id is in `strays`.
    """

    GRACE, LONGEST_GRACE = 2.0, 600.0  # seconds that others get once the first has it; at least as long as that took
    PAUSE = 30.0  # where nothing may be sent: Nodepool asks again at once

    def __init__(
        self,
        members: Mapping[str, Member],
        files: Mapping[str, ImageFile],
        log: logging.Logger,
        *,
        again: bool = False,
        strays: Collection[str] = (),
        on_news: Callable[[], None] = lambda: None,
        backoff: Backoff,
    ) -> None:
        self.files = {name: file for name, file in files.items() if name in members}
        self.arrived: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}
        self._log = log
        self._again = again
        self._strays = strays
        self._on_news = on_news
        self._backoff = backoff
        self._news = threading.Condition()
        self._slots = threading.Semaphore(SLOTS)
        self._sent = False
        self._began = MACHINE.clock()
        for turn, (name, file) in enumerate(self.files.items()):
            MACHINE.start(partial(self._run, members[name], file, turn), f"openstack-api-upload-{name}")

    @property
    def done(self) -> bool:
        """Whether nothing is on its way any more."""
        return len(self.arrived) + len(self.failed) == len(self.files)

    def wait(self) -> dict[str, str]:
        """Ids by datacenter, as soon as it can be used: others get as long again as the first took. If all failed, so
        does this."""
        with self._news:
            self._news.wait_for(lambda: self.arrived or self.done)
            if self.arrived:
                took = MACHINE.clock() - self._began
                self._news.wait_for(lambda: self.done, min(max(took, self.GRACE), self.LONGEST_GRACE))
            arrived, failed = dict(self.arrived), dict(self.failed)
        name = next((file.name for file in self.files.values()), "")
        if not arrived:
            if self.files and not self._sent:
                MACHINE.sleep(self.PAUSE)
            reasons = "; ".join(str(error) for error in failed.values()) or "none is to have it"
            raise TryElsewhere(f"image {name} could not be uploaded to any datacenter: {reasons}")
        late = sorted(self.files.keys() - arrived.keys() - failed.keys())
        if late:
            self._log.info("Image %s can be used, and is still on its way to %s", name, ", ".join(late))
        return arrived

    def _run(self, member: Member, file: ImageFile, turn: int) -> None:
        """One datacenter's thread."""
        seconds = self._backoff.remaining(member.name, file)
        if seconds:
            refusal = TryElsewhere(f"{member.name}: refused this file, is asked again in {seconds:.0f} s")
            self._end(self.failed, member.name, refusal)
            return
        self._sent = True
        slot = self._slots.acquire(timeout=STALL * (1 + turn // SLOTS))
        try:
            image = self._transfer(member, file)
        except Exception as error:
            self._refused(member, file, error)
            self._end(self.failed, member.name, error)
        else:
            self._backoff.reset(member.name, file)
            self._end(self.arrived, member.name, image)
        finally:
            if slot:
                self._slots.release()

    def _transfer(self, member: Member, file: ImageFile) -> str:
        datacenter = member.datacenter
        if self._again:
            for stray in self._strays:
                try:
                    if datacenter.find_image(stray).complete:
                        return stray
                except Gone:
                    continue
            for image in datacenter.list_images():
                if file.made(image):
                    return image.id
            if not file.path.exists():
                raise Gone(f"{member.name}: {file.path} is not on this machine any more")
        return datacenter.upload_image(file)

    def _refused(self, member: Member, file: ImageFile, error: Exception) -> None:
        hint = error.rest if isinstance(error, DatacenterError) else None
        said = f"Image {file.name} is missing in datacenter {member.name}"
        if self._again or file.path.is_file():
            refused = isinstance(error, NoCapacity | WrongConfiguration | Gone)
            seconds = self._backoff.record_failure(member.name, file, hint, refused)
            said += f", which is tried again in {seconds:.0f} s"
        if not isinstance(error, DatacenterError):  # a fault of ours in one datacenter must not hide the others
            self._log.error("%s:", said, exc_info=error)
            return
        member.heed(error)
        self._log.log(logging.INFO if isinstance(error, Gone) else logging.ERROR, "%s: %s", said, error)

    def _end(self, outcomes: dict[str, str] | dict[str, Exception], name: str, outcome: str | Exception) -> None:
        with self._news:
            outcomes[name] = outcome  # type: ignore[assignment]
            self._news.notify_all()
        self._on_news()
