# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox down`."""

from pathlib import Path

import click

from zuul_suse.cli.loading import needs
from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.state import State


@click.command()
@options.state_dir
@click.option("--purge", is_flag=True, help="Remove the state folder too: changes, images, logs.")
@needs("sandbox")
def down(state_dir: Path, purge: bool) -> None:
    """Stop the sandbox: no process, container, bridge or port is left.

    Changes, images and logs stay in the state folder, so that the next `up` is quick; --purge removes them too.
    """
    from zuul_suse.sandbox.sandbox import Sandbox

    Sandbox(State(state_dir), Progress()).down(purge=purge)
