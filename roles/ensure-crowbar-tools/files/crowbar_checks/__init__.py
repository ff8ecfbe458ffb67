# SPDX-License-Identifier: Apache-2.0
"""What the Crowbar jobs check, as programs for a node: `python3 -m crowbar_checks unit|tree|bundle`.

The role ensure-crowbar-tools lays this package and the Ruby programs beside it onto the node; run-crowbar-unit,
write-crowbar-tree and run-crowbar-bundle call it. Python 3.8 with nothing but its own library, Ruby 2.5 with kwalify.
"""
