# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - pylxd has no types
"""Looks whether an Incus or LXD server can be used for some orders; called by `incus.examine`. Changes nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from zuul_suse.datacenter import DatacenterError, Finding, Gone, Order, Quota, WrongConfiguration


class Examination:
    """`connect` gives this thread's connection, with errors translated."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], AbstractContextManager[Any]],
        project: str,
        profiles: Sequence[str],
        nic: str | None = None,
    ) -> None:
        self._place = f"datacenters[{name}]"
        self._connect = connect
        self._project = project
        self._profiles = profiles
        self._nic = nic

    def run(self, orders: Sequence[Order], limits: Callable[[], Quota], timeout: float) -> Iterator[Finding]:
        """The findings, as they come; nothing after a server that can't be reached or doesn't trust us."""
        yield Finding("time-outs", True, f"{timeout:g} s")
        try:
            began = time.monotonic()
            with self._connect() as client:
                facts = client.host_info
            took = time.monotonic() - began
        except WrongConfiguration as error:
            yield Finding("certificate", False, str(error))
            return
        except DatacenterError as error:
            yield Finding("reachable", False, str(error))
            return
        environment = facts.get("environment") or {}
        version = f"{environment.get('server', 'server')} {environment.get('server_version', '')}".strip()
        yield Finding("reachable", True, f"{version}, answered in {took:.1f} s")
        yield Finding("certificate", True, f"trusted: {facts.get('auth')}")
        looks: list[tuple[str, Callable[[], str]]] = [("project", self._find_project)]
        looks += [("profiles", lambda profile=profile: self._find_profile(profile)) for profile in self._profiles]  # type: ignore[misc]
        if self._nic is not None:
            looks.append(("networks", self._find_nic))
        images = sorted({order.image for order in orders if order.image})
        looks += [("images", lambda image=image: self._find_image(image)) for image in images]  # type: ignore[misc]
        looks.append(("quota", lambda: str(limits())))
        for check, look in looks:
            try:
                yield Finding(check, True, look())
            except DatacenterError as error:
                yield Finding(check, False, str(error))

    def _find_project(self) -> str:
        with self._connect() as client:
            known = _names(client.api.projects)
        return self._among(self._project, "project", known)

    def _find_profile(self, profile: str) -> str:
        with self._connect() as client:
            known = _names(client.api.profiles)
        return self._among(profile, "profiles", known)

    def _find_nic(self) -> str:
        """Whether servers will have the network card by which they are to be reached."""
        devices: dict[str, Any] = {}
        with self._connect() as client:
            for profile in self._profiles:
                devices |= client.api.profiles[profile].get().json()["metadata"].get("devices") or {}
        cards = sorted(name for name, device in devices.items() if device.get("type") == "nic")
        return self._among(str(self._nic), "nic", cards)

    def _find_image(self, image: str) -> str:
        with self._connect() as client:
            try:
                if re.fullmatch("[0-9a-f]{64}", image):
                    client.api.images[image].get()
                    return image
                known = _names(client.api.images.aliases)
            except Gone:
                known = []
        return self._among(image, "image", known)

    def _among(self, name: str, option: str, known: list[str]) -> str:
        if name in known:
            return name
        raise WrongConfiguration(f'{self._place}.{option}: "{name}" not found (has {", ".join(known) or "none"})')


def _names(collection: Any) -> list[str]:
    """The last part of each address in a list."""
    listed = collection.get().json()["metadata"] or []
    return sorted(address.split("?")[0].rsplit("/", 1)[-1] for address in listed)
