# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack control plane on this machine, for tests: keystone, and placement, glance, neutron and nova per region.

What is not real: the hypervisor (nova's fake driver, see plugin/virt.py) and the network's back end (plugin/network.py).
Servers get loopback addresses, and one real sshd answers on all of them. `make cloud` starts it, `make cloud-down` ends it.
"""


class CloudError(Exception):
    """The cloud can't be started or is not well; the message is one line and says what to do."""
