# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Nodepool's provider and request handler, with the fleet deciding where and whether a request fits.

Nodepool knows one quota per provider; here every datacenter has its own, so the handler asks the fleet. A request's
datacenter travels as Nodepool's availability zone, which already keeps the nodes of one request together. Handlers
live in a pool's PoolWorker thread, as long as their request.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from nodepool.driver import statemachine

from zuul_suse.fleet import Demand, Fleet, split_images
from zuul_suse.nodepool_driver.adapter import SuseAdapter
from zuul_suse.nodepool_driver.config import SuseProviderConfig
from zuul_suse.nodepool_driver.demand import demand_for


class SuseHandler(statemachine.StateMachineHandler):  # type: ignore[misc]
    """Handles one request. `chosen_az` is the datacenter that was chosen for it."""

    chosen_az: str | None

    @property
    def _fleet(self) -> Fleet:
        adapter: SuseAdapter = self.manager.adapter
        adapter.fleet.start()
        return adapter.fleet

    def _demands(self, node_types: list[str]) -> list[Demand]:
        return [demand_for(self.pool.labels[name], self._images(name)) for name in node_types]

    def _images(self, label: str) -> dict[str, str] | None:
        """Ids of a label's built image by datacenter: an upload may have failed in some."""
        image = self.pool.labels[label].diskimage
        upload = image and self.zk.getMostRecentImageUpload(image.name, self.provider.name, cached=True)
        return split_images(upload.external_id) if upload else None

    def _missing_types(self) -> list[str]:
        """Types of the nodes that this request still lacks."""
        missing = Counter(self.request.node_types) - Counter(self._satisfied_types.labels())
        return list(missing.elements())

    def hasProviderQuota(self, node_types: list[str]) -> bool:
        """Whether the request could fit at all; an outage is no reason to refuse it for ever."""
        if not super().hasProviderQuota(node_types):
            return False
        demands = self._demands(node_types)
        fits = self._fleet.fits_when_empty(demands)
        if not fits:
            members = self._fleet.members.values()
            sizes = "; ".join(f"{member.name}: {member.bounds(demands)}" for member in members)
            self.log.warning("No datacenter is big enough: %s", sizes)
        return fits

    def hasRemainingQuota(self, ntype: str) -> bool:
        """Whether it fits now. The first time this chooses a datacenter for all that is missing."""
        if not super().hasRemainingQuota(ntype):
            return False
        if self.chosen_az is not None:
            choice = self._fleet.place(self._demands([ntype]), prefer=self.chosen_az)
            if choice.name is None or choice.name == self.chosen_az:
                return choice.name is not None
            chosen = self._fleet.members.get(self.chosen_az)
            if chosen is not None and chosen.breaker.admits():
                return False  # it is well but full: wait, so that the nodes of the request stay together
            self.log.warning("Datacenter %s is out, the request goes on elsewhere", self.chosen_az)
        choice = self._fleet.place(self._demands(self._missing_types()))
        if choice.name is None:
            self.log.info("No datacenter has room now: %s", choice)
            return False
        self.chosen_az = choice.name
        return True

    def setNodeMetadata(self, node: Any) -> None:
        """The zone was chosen in `hasRemainingQuota`; Nodepool's own choice at random must not happen."""

    def launch(self, node: Any) -> None:
        """Claim the room at once: the launch itself begins in another thread, after the next request was looked at."""
        (demand,) = self._demands([node.type[0]])
        self._fleet.claim({node.id: demand}, prefer=self.chosen_az)
        super().launch(node)


class SuseProvider(statemachine.StateMachineProvider):  # type: ignore[misc]
    """The provider. Its loops may turn often: an `advance` of ours only reads memory."""

    MINIMUM_SLEEP = 0.25
    MAXIMUM_SLEEP = 0.25

    def __init__(self, adapter: SuseAdapter, config: SuseProviderConfig) -> None:
        super().__init__(adapter, config)

    def getRequestHandler(self, poolworker: Any, request: Any) -> SuseHandler:
        return SuseHandler(poolworker, request)
