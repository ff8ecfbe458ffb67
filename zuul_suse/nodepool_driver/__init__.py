# SPDX-License-Identifier: Apache-2.0
"""The Nodepool shell: `driver: suse` in nodepool.yaml.

Speaks Nodepool's language to the fleet and nothing else. The wheel installs `entry` as nodepool/driver/suse, where
Nodepool's unmodified commands find it.
"""
