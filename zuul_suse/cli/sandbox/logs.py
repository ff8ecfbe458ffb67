# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox logs`."""

import collections
import time
from pathlib import Path

import click

from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.state import State


@click.command()
@click.argument("service")
@options.state_dir
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="How many last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows, until interrupted.")
def logs(service: str, state_dir: Path, lines: int, follow: bool) -> None:
    """Print the last lines of a SERVICE's log (a name that `status` shows, or supervisord)."""
    folder = State(state_dir).root / "logs"
    found = sorted(path.stem for path in folder.glob("*.log"))
    if service not in found:
        raise SandboxError(f'no log of "{service}" in {folder} (has {", ".join(found) or "none"})')
    with open(folder / f"{service}.log", errors="replace") as log:
        for line in collections.deque(log, maxlen=lines):
            click.echo(line, nl=False)
        while follow:
            if line := log.readline():
                click.echo(line, nl=False)
            else:
                time.sleep(0.5)
