# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox demo`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zuul_suse.cli.loading import needs
from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.state import State

if TYPE_CHECKING:
    from zuul_suse.sandbox.demo import Build, Run
    from zuul_suse.sandbox.sandbox import Sandbox


@click.command()
@options.state_dir
@options.source
@options.image
@click.option("--job", help="Show this job on its real projects instead, say zuul-suse-devstack.")
@click.option(
    "--git-mirror",
    metavar="DIR_OR_URL",
    help="Where those projects lie under their names. [default: their official hosting]",
)
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="NAME",
    help="With --job: show this one of its changes, some of which must fail; may be given again. "
    "[default: those that need not be asked for; a wrong name lists them all]",
)
@options.as_json
@needs("sandbox")
def demo(
    state_dir: Path,
    source: Path,
    image: str | None,
    job: str | None,
    git_mirror: str | None,
    changes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Send changes for review and show their verdicts, from jobs on nodes that the driver made.

    Starts the sandbox if it does not run. Without --job, changes to this project: a good one, a broken one, and the
    comments `recheck` and `run-SUSE Cloud CI`. Exit 3 if a verdict is not the expected one.
    """
    from zuul_suse.sandbox import mirror, zuul
    from zuul_suse.sandbox.demo import show, show_job, show_without_review
    from zuul_suse.sandbox.sandbox import Sandbox, Wishes

    if (git_mirror or changes) and not job:
        raise click.UsageError(f"{'--git-mirror' if git_mirror else '--change'} goes with --job")
    if job:
        seed = mirror.seed_for(job)
        seed.demonstration.chosen(changes)
        mirror.check(seed, git_mirror)
    sandbox = Sandbox(State(state_dir), Progress())
    sandbox.up(Wishes(source, image=image, gerrit_required=options.in_ci() or bool(job)))
    if sandbox.state.choices.review == "git":
        builds = show_without_review(sandbox)
        _tell_builds(sandbox, builds, as_json=as_json)
        return
    runs = show_job(sandbox, job, git_mirror, changes) if job else show(sandbox)
    if as_json:
        told = {"status_page": zuul.status_page(sandbox.state), "image": sandbox.state.choices.image}
        click.echo(json.dumps(told | {"runs": [asdict(run) for run in runs]}))
        return
    tell(sandbox, runs)


def tell(sandbox: Sandbox, runs: list[Run]) -> None:
    """The account at the end: each run, then the last verdict as Gerrit shows it."""
    from zuul_suse.sandbox import zuul

    for run in runs:
        results = ", ".join(f"{result.job} {result.result}" for result in run.verdict.results)
        click.echo(f"{run.what}: Verified {run.verdict.vote:+d}, {results}")
        click.echo(f"    logs: {run.logs}")
    click.echo(_image(sandbox))
    last = runs[-1]
    click.echo(f"change:      {last.change.url}")
    click.echo(f"Zuul status: {zuul.status_page(sandbox.state)}")
    click.echo(f"build logs:  {last.logs}")
    click.echo("verdict as Gerrit shows it:")
    for line in last.verdict.message.splitlines():
        click.echo(f"    {line}")


def _tell_builds(sandbox: Sandbox, builds: list[Build], *, as_json: bool) -> None:
    """The account where there is no Gerrit."""
    from zuul_suse.sandbox import zuul

    page = zuul.status_page(sandbox.state)
    if as_json:
        told = {"status_page": page, "image": sandbox.state.choices.image}
        click.echo(json.dumps(told | {"builds": [asdict(build) for build in builds]}))
        return
    for build in builds:
        click.echo(f"{build.job} on commit {build.commit[:10]}: {build.result}, logs: {build.logs}")
    click.echo(_image(sandbox))
    click.echo(f"Zuul status: {page}")
    click.echo("no Gerrit here, so nothing was reviewed and nobody voted")


def _image(sandbox: Sandbox) -> str:
    """What the nodes were; a stand-in is called so wherever a result is told."""
    from zuul_suse.sandbox import nodepool

    image = sandbox.state.choices.image
    return f"nodes:       {image}" + (", a stand-in: not openSUSE" if image == nodepool.STANDIN else "")
