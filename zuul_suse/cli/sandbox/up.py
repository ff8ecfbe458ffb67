# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox up`."""

from pathlib import Path

import click

from zuul_suse.cli.loading import needs
from zuul_suse.cli.sandbox import options
from zuul_suse.cli.sandbox.status import show
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.state import State


@click.command()
@options.state_dir
@options.source
@options.image
@options.nodepool_part
@options.database
@options.port
@needs("sandbox")
def up(
    state_dir: Path,
    source: Path,
    image: str | None,
    nodepool_part: Path | None,
    database_uri: str | None,
    ports: dict[str, int],
) -> None:
    """Start the sandbox, or mend what is broken in it. Harmless when it runs.

    Ends when every service is well; Nodepool's builder may then still make the node image (`status` shows it).
    """
    from zuul_suse.sandbox.sandbox import Sandbox, Wishes

    sandbox = Sandbox(State(state_dir), Progress())
    sandbox.up(Wishes(source, ports, image, database_uri, options.in_ci(), nodepool_part))
    show(sandbox)
