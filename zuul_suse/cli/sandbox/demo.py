# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox demo`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox import zuul
from zuul_suse.sandbox.demo import Run, show_review
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.sandbox import Sandbox, Wishes
from zuul_suse.sandbox.state import State


@click.command()
@options.state_dir
@options.source
@options.image
@options.as_json
def demo(state_dir: Path, source: Path, image: str | None, as_json: bool) -> None:
    """Send changes for review and show their verdicts, from jobs on nodes that the driver made.

    Starts the sandbox if it does not run. Exit 3 if a verdict is not the expected one.
    """
    sandbox = Sandbox(State(state_dir), Progress())
    sandbox.up(Wishes(source, image=image, gerrit_required=options.in_ci()))
    runs = show_review(sandbox)
    if as_json:
        click.echo(json.dumps({"status_page": zuul.status_page(sandbox.state), "runs": [asdict(run) for run in runs]}))
        return
    tell(sandbox, runs)


def tell(sandbox: Sandbox, runs: list[Run]) -> None:
    """The account at the end: each run, then the last verdict as Gerrit shows it."""
    for run in runs:
        results = ", ".join(f"{result.job} {result.result}" for result in run.verdict.results)
        click.echo(f"{run.what}: Verified {run.verdict.vote:+d}, {results}")
        click.echo(f"    logs: {run.verdict.log_url}")
    last = runs[-1]
    click.echo(f"change:      {last.change.url}")
    click.echo(f"Zuul status: {zuul.status_page(sandbox.state)}")
    click.echo(f"build logs:  {last.verdict.log_url}")
    click.echo("verdict as Gerrit shows it:")
    for line in last.verdict.message.splitlines():
        click.echo(f"    {line}")
