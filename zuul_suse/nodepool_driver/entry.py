# SPDX-License-Identifier: Apache-2.0
"""What Nodepool loads: the wheel lays this file at nodepool/driver/suse/__init__.py.

Nodepool takes the one Driver class that is defined in that very file, so it is defined here and not imported; imports
are absolute for the same reason. One instance lives as long as the process.

Nodepool loads every driver at its start, and one that can't be imported ends it. So this file imports nothing that may
be missing: what the driver needs is imported when a configuration has `driver: suse`.
"""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from nodepool.driver import Driver

from zuul_suse import extras
from zuul_suse.datacenter import WrongConfiguration

if TYPE_CHECKING:
    from zuul_suse.nodepool_driver.adapter import SuseAdapter
    from zuul_suse.nodepool_driver.config import SuseProviderConfig
    from zuul_suse.nodepool_driver.provider import SuseProvider

NODEPOOL = "11.0.0"  # whose driver contract this is; the extra `nodepool` brings it


class SuseDriver(Driver):  # type: ignore[misc]
    """`driver: suse`."""

    def __init__(self) -> None:
        self._told = False

    def getProviderConfig(self, provider: dict[str, Any]) -> SuseProviderConfig:
        """A provider's configuration.

        :raises WrongConfiguration: it is wrong, or modules of the extra `nodepool` are missing: the provider's as well,
            so that `nodepool config-validate` finds out.
        """
        self._check_version()
        with extras.needed("nodepool", WrongConfiguration, "driver: suse"):
            import zuul_suse.nodepool_driver.provider  # noqa: F401
            from zuul_suse.nodepool_driver.config import SuseProviderConfig

            return SuseProviderConfig(provider)

    def getAdapter(self, provider_config: SuseProviderConfig) -> SuseAdapter:
        from zuul_suse.nodepool_driver.adapter import SuseAdapter

        return SuseAdapter(provider_config)

    def getProvider(self, provider_config: SuseProviderConfig) -> SuseProvider:
        from zuul_suse.nodepool_driver.provider import SuseProvider

        return SuseProvider(self.getAdapter(provider_config), provider_config)

    def _check_version(self) -> None:
        """Warn once where the driver contract may be another one."""
        try:
            there = version("nodepool")
        except PackageNotFoundError:
            there = "one that isn't installed as a package"
        if there != NODEPOOL and not self._told:
            logging.getLogger("nodepool.driver.suse").warning(
                "driver: suse is made for Nodepool %s, this is %s: pip install 'zuul-suse[nodepool]' replaces it",
                NODEPOOL,
                there,
            )
            self._told = True
