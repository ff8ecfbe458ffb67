# SPDX-License-Identifier: Apache-2.0
"""What a label of nodepool.yaml wants of each datacenter.

Called by the adapter for a launch and by the request handler for a whole request; pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from zuul_suse.datacenter import Order
from zuul_suse.fleet import Demand
from zuul_suse.nodepool_driver.config import SuseLabel


def demand_for(
    label: SuseLabel, images: Mapping[str, str] | None, name: str = "", metadata: Mapping[str, str] | None = None
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

    return Demand(order, label.weights)
