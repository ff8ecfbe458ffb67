# SPDX-License-Identifier: Apache-2.0
"""A built image in many datacenters: known by one text, found and deleted wherever it is.

The text outlives configurations: a datacenter in it may have another name by now, or the text may be the bare id that
another driver stored. Such an image is looked for by its id in every datacenter. How it gets there: see `uploads`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from zuul_suse.datacenter import DatacenterError, Gone, Image

if TYPE_CHECKING:
    from zuul_suse.fleet.member import Member


def join_images(images: Mapping[str, str]) -> str:
    """One text for an image's ids in several datacenters, fit to be shown and stored."""
    return " ".join(f"{datacenter}={image}" for datacenter, image in sorted(images.items()))


def split_images(text: object) -> dict[str, str]:
    """The inverse of `join_images`. A host may have stored anything: an id without a datacenter has the name ""."""
    if not isinstance(text, str):
        return {}
    pairs = (part.rpartition("=") if "=" not in part else part.partition("=") for part in text.split())
    return {datacenter: image for datacenter, _, image in pairs}


class ImageFinder:
    """Where an image is, from memory; called by PoolWorkers, which must not wait.

    What the text doesn't tell is asked in worker threads: an image that is there stays so, others are asked for again.
    """

    AGAIN = 60.0  # seconds until a datacenter that has no such image is asked again, or one that gave no answer
    REMEMBERED = 1000

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], tuple[Future[Image], float]] = {}

    def locate(self, text: object) -> dict[str, str]:
        """Ids of an image by datacenter, as far as is known."""
        stored = split_images(text)
        found = {name: image for name, image in stored.items() if name in self._members}
        return found | {name: image for name, image in self._strays(stored) if self._is_in(name, image)}

    def is_pending(self, text: object) -> bool:
        """Whether some datacenter may have it, and has given no answer yet."""
        return any(self._is_in(name, image) is None for name, image in self._strays(split_images(text)))

    def _strays(self, stored: Mapping[str, str]) -> list[tuple[str, str]]:
        """Where an image may be that isn't known to be anywhere."""
        strays = {image for name, image in stored.items() if name not in self._members}
        return [(name, image) for image in sorted(strays) for name in self._members if name not in stored]

    def _is_in(self, name: str, image: str) -> bool | None:
        """None if the datacenter hasn't answered."""
        member = self._members[name]
        with self._lock:
            call, asked_at = self._asked.get((name, image), (None, 0.0))
            error = call.exception() if call is not None and call.done() else None
            if call is None or (error is not None and member.clock() - asked_at > self.AGAIN):
                while len(self._asked) >= self.REMEMBERED:
                    del self._asked[next(iter(self._asked))]
                self._asked[name, image] = (member.call(member.datacenter.find_image, image), member.clock())
        if call is None or not call.done() or not isinstance(error, Gone | None):
            return None
        return error is None


def delete(members: Mapping[str, Member], images: Mapping[str, str], log: logging.Logger) -> None:
    """Delete an image wherever it is. If a datacenter fails, the caller is told, to try again later."""
    errors: list[DatacenterError] = []
    gone: set[str] = set()
    for name, image in sorted(images.items(), key=lambda pair: pair[0] not in members):
        if name not in members and image in gone:
            continue
        places = [members[name]] if name in members else list(members.values())
        faults: list[DatacenterError] = []
        deleted = False
        for member in places:
            try:
                member.datacenter.delete_image(image)
                deleted = True
                gone.add(image)
            except Gone as error:
                if len(places) == 1:
                    log.info("Image %s needs no deletion: %s", image, error)
            except DatacenterError as error:
                member.heed(error)
                faults.append(error)
        if not deleted:
            errors += faults
            if name not in members and not faults:
                log.warning('Image %s of datacenter "%s" is in none of %s', image, name, ", ".join(members))
    if errors:
        raise errors[0]
