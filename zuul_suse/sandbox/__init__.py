# SPDX-License-Identifier: Apache-2.0
"""A whole CI on this machine: Gerrit, ZooKeeper, Zuul, Nodepool with our driver, and a datacenter.

Owns the state folder and every process, container, bridge and port that a sandbox uses. Called by `zuul_suse.cli`.
Each part of the CI is a module that writes its configuration and names its services; `sandbox.py` brings them up
in order and takes them down again. Ends with `down`, which leaves only the state folder.
"""


class SandboxError(Exception):
    """What went wrong, where, and what to do: one line for the user."""


class UnexpectedVerdictError(SandboxError):
    """The CI works, but its verdict is not what the demonstration expects."""
