# SPDX-License-Identifier: Apache-2.0
"""The commands under `zuul-suse sandbox`, and the options that they share."""

import click

from zuul_suse.cli.loading import LazyGroup


@click.group(
    cls=LazyGroup,
    files={name: f"zuul_suse.cli.sandbox.{name}:{name}" for name in ("up", "demo", "status", "logs", "down")},
)
def sandbox() -> None:
    """A whole CI on this machine: Gerrit, ZooKeeper, Zuul, Nodepool, nodes.

    \b
    zuul-suse sandbox up       start it, or mend what is broken
    zuul-suse sandbox demo     send a change for review and show its verdict
    zuul-suse sandbox status   each service, its health, log and address
    zuul-suse sandbox logs     a service's log
    zuul-suse sandbox down     stop it; nothing is left running

    Everything lies in one state folder (--state-dir, or ZUUL_SUSE_STATE_DIR) and listens on loopback only.
    """
