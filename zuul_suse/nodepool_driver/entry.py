# SPDX-License-Identifier: Apache-2.0
"""What Nodepool loads: the wheel lays this file at nodepool/driver/suse/__init__.py.

Nodepool takes the one Driver class that is defined in that very file, so it is defined here and not imported; imports
are absolute for the same reason. One instance lives as long as the process.
"""

from typing import Any

from nodepool.driver.statemachine import StateMachineDriver

from zuul_suse.nodepool_driver.adapter import SuseAdapter
from zuul_suse.nodepool_driver.config import SuseProviderConfig
from zuul_suse.nodepool_driver.provider import SuseProvider


class SuseDriver(StateMachineDriver):  # type: ignore[misc]
    """`driver: suse`."""

    def getProviderConfig(self, provider: dict[str, Any]) -> SuseProviderConfig:
        return SuseProviderConfig(provider)

    def getAdapter(self, provider_config: SuseProviderConfig) -> SuseAdapter:
        return SuseAdapter(provider_config)

    def getProvider(self, provider_config: SuseProviderConfig) -> SuseProvider:
        return SuseProvider(self.getAdapter(provider_config), provider_config)
