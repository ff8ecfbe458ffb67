# SPDX-License-Identifier: Apache-2.0
"""clouds.yaml and the files beside it, as openstacksdk finds and reads them. Used by `session`; contacts nobody.

openstacksdk passes over a file that it can't parse and takes the next it finds. Here that is an error: a file that is
being written must not make another one's credentials count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import CONFIG_FILES, SECURE_FILES, VENDOR_FILES
from openstack.exceptions import SDKException

from zuul_suse.datacenter import WrongConfiguration

Stamp = tuple[tuple[str, int, int, int], ...]

SETTLES = 0.3  # seconds after which a file counts as written
_FAULTS = (SDKException, ClientException, OSError, ValueError, LookupError, TypeError, AttributeError)


class CloudsFiles:
    """One cloud's entry. `path` is the only clouds.yaml that counts; None: where openstacksdk looks."""

    def __init__(
        self, place: str, cloud: str, region: str | None, path: str | None, new_session: Callable[..., Session]
    ) -> None:
        self._place = place
        self._cloud = cloud
        self._region = region
        self._path = path
        self._new_session = new_session

    def _files(self) -> tuple[list[str], list[str]]:
        """Where clouds.yaml and secure.yaml may be; the first of each that is there counts."""
        if self._path:
            return [self._path], SECURE_FILES
        named = (os.environ.get("OS_CLIENT_CONFIG_FILE"), os.environ.get("OS_CLIENT_SECURE_FILE"))
        config, secure = ([name] if name else [] for name in named)
        return config + CONFIG_FILES, secure + SECURE_FILES

    def stamp(self) -> Stamp:
        """Something that is another when one of the files was changed, came or went."""
        config, secure = self._files()
        found = []
        for name in (*config, *secure, *VENDOR_FILES):
            try:
                status = os.stat(name)
            except OSError:
                continue
            found.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def settled(self) -> Stamp:
        """The stamp once nothing is being written; waits for that, but not for long."""
        stamp = self.stamp()
        for _ in range(5):
            if not any(abs(time.time() - changed / 1e9) < SETTLES for _, changed, _, _ in stamp):
                break
            time.sleep(SETTLES)
            stamp = self.stamp()
        return stamp

    def read(self) -> tuple[CloudRegion, Session]:
        """What the files say of the cloud, and a session made of it."""
        try:
            config = self._read()
            return config, config.get_session()
        except _FAULTS as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise WrongConfiguration(f"datacenters[{self._place}].cloud: {said}") from error

    def _read(self) -> CloudRegion:
        config = OpenStackConfig(
            config_files=[self._path] if self._path else None,
            session_constructor=self._new_session,  # type: ignore[arg-type]
            app_name="zuul-suse",
            load_envvars=not self._path,  # OS_CLIENT_CONFIG_FILE would beat what nodepool.yaml says
        )
        clouds, secure = self._files()
        if self._path and config.config_filename != self._path:
            raise ValueError(f"{self._path} can't be read or is empty")
        for files, used in ((clouds, config.config_filename), (secure, config.secure_config_filename)):
            first = _first_readable(files)
            if first != used:
                raise ValueError(f"{first} can't be read")
        known = sorted(config.get_cloud_names())
        if self._cloud not in known:
            raise ValueError(f'"{self._cloud}" not found in clouds.yaml (has {", ".join(known) or "none"})')
        return config.get_one(cloud=self._cloud, region_name=self._region)


def _first_readable(files: Iterable[str]) -> str | None:
    """The file that counts; openstacksdk passes over those that it has no right to read."""
    return next((name for name in files if os.path.exists(name) and os.access(name, os.R_OK)), None)
