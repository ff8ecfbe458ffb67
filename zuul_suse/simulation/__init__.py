# SPDX-License-Identifier: Apache-2.0
"""A day of a large fleet within a minute: the real fleet code over fake datacenters, on a virtual clock.

What is real: placement, breakers, limiters, pollers, create and delete machines, reapers. What is played: datacenters
(`datacenter`), time and threads (`virtual_threads`), the host with its requests and ready nodes (`host`), demand
(`demand`), outages (in the `scenario`). Called by `zuul-suse simulate`; touches no network and starts no real thread.
"""
