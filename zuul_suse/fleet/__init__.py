# SPDX-License-Identifier: Apache-2.0
"""Many datacenters as one.

Owns the members (one per datacenter) and what concerns them all: placement of requests and launches, sums, addresses
of servers ("datacenter/server") and of images ("datacenter=image ..."). A shell makes a Fleet without touching the
network, calls `start` when it first needs one, and `close` in the end. Knows neither the host nor any SDK.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from zuul_suse.datacenter import DatacenterError, Gone, ImageFile, Quota, Server, TryElsewhere
from zuul_suse.fleet.member import Member
from zuul_suse.fleet.placement import Choice, choose

__all__ = ["Fleet", "Member", "join_images", "join_server", "split_images", "split_server"]


def join_server(datacenter: str, server_id: str) -> str:
    """A server's address in the fleet."""
    return f"{datacenter}/{server_id}"


def split_server(address: str) -> tuple[str, str]:
    """The datacenter and the id in it."""
    datacenter, _, server_id = address.partition("/")
    return datacenter, server_id


def join_images(images: Mapping[str, str]) -> str:
    """One text for an image's ids in several datacenters, fit to be shown and stored."""
    return " ".join(f"{datacenter}={image}" for datacenter, image in sorted(images.items()))


def split_images(text: str) -> dict[str, str]:
    """The inverse of `join_images`."""
    pairs = (part.partition("=") for part in text.split())
    return {datacenter: image for datacenter, _, image in pairs}


class Fleet:
    """See the module."""

    UPLOADS = 4  # uploads at a time; more would share the same line out

    def __init__(self, members: Iterable[Member], log: logging.Logger | None = None) -> None:
        self._log = log or logging.getLogger("zuul_suse.fleet")
        self.members: dict[str, Member] = {member.name: member for member in members}
        self._lock = threading.Lock()  # PoolWorkers place while the create loop moves launches

    def start(self) -> None:
        """Begin to poll; harmless when it is done already."""
        with self._lock:
            for member in self.members.values():
                member.poller.start()

    def close(self) -> None:
        """End all threads."""
        for member in self.members.values():
            member.close()

    def member(self, name: str) -> Member:
        """The member of this name; Gone if the configuration has it no more."""
        try:
            return self.members[name]
        except KeyError:
            raise Gone(f'datacenter "{name}" is not one of {", ".join(self.members)}') from None

    # Placement

    def place(
        self,
        need: Quota,
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        exclude: Mapping[str, str] | None = None,
    ) -> Choice:
        """Where the need fits now; reserves nothing."""
        candidates = [member.candidate() for member in self.members.values()]
        return choose(candidates, need, prefer=prefer, avoid=avoid, exclude=exclude)

    def claim(
        self,
        key: str,
        need: Quota,
        *,
        prefer: str | None = None,
        avoid: Collection[str] = (),
        exclude: Mapping[str, str] | None = None,
    ) -> Choice:
        """Place and reserve, as one step."""
        with self._lock:
            ruled_out = dict(exclude or {})
            while True:
                choice = self.place(need, prefer=prefer, avoid=avoid, exclude=ruled_out)
                if choice.name is None or self.members[choice.name].claim(key, need):
                    return choice
                ruled_out[choice.name] = "its probe is under way"

    def fits_when_empty(self, need: Quota) -> bool:
        """Whether some datacenter is big enough. One that wasn't heard of yet may be."""
        known = [member.limits for member in self.members.values()]
        return any(limits is None or limits.covers(need) for limits in known)

    # Sums

    def limits(self) -> Quota:
        """What the datacenters that are well allow in all."""
        members = [member for member in self.members.values() if member.breaker.admits()]
        return sum((member.limits for member in members if member.limits is not None), Quota())

    def servers(self) -> list[tuple[str, Server]]:
        """Every server of every datacenter by its address, as last listed."""
        return [
            (join_server(member.name, server.id), server)
            for member in self.members.values()
            for server in member.poller.snapshot.servers.values()
        ]

    # Images

    def upload_image(self, image: ImageFile) -> str:
        """Upload to every datacenter; those that fail go without, and only if all fail so does this."""
        with ThreadPoolExecutor(self.UPLOADS, thread_name_prefix="openstack-api-upload") as pool:
            calls = {
                member.name: pool.submit(member.datacenter.upload_image, image) for member in self.members.values()
            }
        images: dict[str, str] = {}
        errors: list[str] = []
        for name, call in calls.items():
            error = call.exception()
            if error is None:
                images[name] = call.result()
            elif isinstance(error, DatacenterError):
                self._log.error("Image %s is missing in datacenter %s: %s", image.name, name, error)
                errors.append(str(error))
            else:
                raise error
        if not images:
            raise TryElsewhere(f"image {image.name} could not be uploaded to any datacenter: {'; '.join(errors)}")
        return join_images(images)

    def delete_image(self, address: str) -> None:
        """Delete an image wherever it is. If a datacenter fails, the caller is told, to try again later."""
        errors: list[DatacenterError] = []
        for name, image in split_images(address).items():
            try:
                self.member(name).datacenter.delete_image(image)
            except Gone as error:
                self._log.info("Image %s needs no deletion: %s", image, error)
            except DatacenterError as error:
                errors.append(error)
        if errors:
            raise errors[0]
