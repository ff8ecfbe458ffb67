# SPDX-License-Identifier: Apache-2.0
"""What a label of nodepool.yaml wants of each datacenter.

Called by the adapter for a launch and by the request handler for a whole request; pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zuul_suse.datacenter import Order, Quota
from zuul_suse.fleet import Demand, Fleet
from zuul_suse.nodepool_driver.config import SuseLabel

MIN_READY = "NodePool:min-ready"


def is_spare(request: Any) -> bool:  # noqa: ANN401 - Nodepool has no types
    """Whether nobody waits for this request's nodes: Nodepool itself asks for them, to have some ready."""
    return getattr(request, "requestor", None) == MIN_READY


def demand_for(
    label: SuseLabel,
    images: Mapping[str, str] | None,
    name: str = "",
    metadata: Mapping[str, str] | None = None,
    spare: bool = False,
) -> Demand:
    """A server of this label. `images` are the ids of its built image by datacenter; None if it has none."""

    def order(datacenter: str) -> Order | str:
        if label.datacenters is not None and datacenter not in label.datacenters:
            return f"not one of the datacenters of label {label.name}"
        image = label.cloud_image.image_in(datacenter) if label.cloud_image else (images or {}).get(datacenter)
        if not image:
            return "has no such image"
        settings = label.settings[label.pool.provider.kinds[datacenter]]
        return Order(name, image, label.need, label.config, metadata or {}, settings)

    return Demand(order, label.weights, spare, label.name)


def need_of(label: SuseLabel, fleet: Fleet) -> Quota:
    """The most that a server of this label takes in any of its datacenters, as far as their flavors are known.

    For limits of pools and tenants, which are counted before it is known where a server will be.
    """
    order = demand_for(label, dict.fromkeys(fleet.members, "any")).order
    needs = [label.need]
    for member in fleet.members.values():
        ordered = order(member.name)
        if isinstance(ordered, Order):
            needs.append(member.datacenter.need(ordered))
    return Quota(1, max(need.cores for need in needs), max(need.ram for need in needs))
