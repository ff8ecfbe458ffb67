# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001, ANN201 - OpenStack has no types
"""neutron without a back end: ports are bound and ACTIVE, floating IPs ACTIVE, as soon as neutron's database knows
them.

Loaded by neutron-api of the test cloud by entry points. The addresses are loopback addresses, which need no plumbing.
"""

from neutron.services.l3_router.l3_router_plugin import L3RouterPlugin
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class LoopbackMechanism(api.MechanismDriver):
    """Binds every port to the first segment it is offered."""

    def initialize(self):
        pass

    def bind_port(self, context):
        for segment in context.segments_to_bind:
            context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OTHER, {}, status=constants.PORT_STATUS_ACTIVE)
            return


class LoopbackRouter(L3RouterPlugin):
    """The router service, whose floating IPs would stay DOWN for want of an agent."""

    def create_floatingip(self, context, floatingip):
        # L3RouterPlugin's own method says DOWN and does nothing else.
        return super(L3RouterPlugin, self).create_floatingip(
            context, floatingip, initial_status=constants.FLOATINGIP_STATUS_ACTIVE
        )
