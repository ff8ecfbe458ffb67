# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse seeds import`."""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TextIO

import click

from zuul_suse import packaged
from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.state import cache_folder
from zuul_suse.seeds import SeedError, description
from zuul_suse.seeds.access import Sharing
from zuul_suse.seeds.gerrit import Gerrit
from zuul_suse.seeds.move import LEFT_OUT, MOVED, Outcome, Wishes, failed, move
from zuul_suse.seeds.render import SEED

LEFT_OUT_CODE = 4


@click.command("import")
@click.option(
    "--from",
    "base",
    metavar="DIR_OR_URL",
    help="Where the clones lie under the projects' names. [default: the official hosting]",
)
@click.option(
    "--gerrit", "url", metavar="URL", required=True, help="The Gerrit that they move to: http(s)://HOST[:PORT]."
)
@click.option("--user", required=True, help="Its user, who may create projects and groups.")
@click.option(
    "--password-file",
    type=click.File(encoding="utf-8"),
    required=True,
    help="File with that user's HTTP password; - reads it from standard input.",
)
@click.option("--only", multiple=True, metavar="PROJECT", help="Only this one; may be given again.")
@click.option(
    "--skip-incomplete",
    is_flag=True,
    help=f"Leave clones out that lack objects, and exit {LEFT_OUT_CODE}. Without it nothing is pushed if one does.",
)
@click.option("--parent", default="crowbar-acl", show_default=True, help="Project whose rights the others inherit.")
@click.option("--core-group", default="crowbar-core", show_default=True, help="Group that reviews and submits.")
@click.option("--ci-group", default="crowbar-ci", show_default=True, help="Group that votes Verified.")
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="Projects at a time.")
@click.option(
    "--seed",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Another seed file than the package's seeds/crowbar.yaml.",
)
@options.as_json
def import_(
    base: str | None,
    url: str,
    user: str,
    password_file: TextIO,
    only: tuple[str, ...],
    skip_incomplete: bool,
    parent: str,
    core_group: str,
    ci_group: str,
    jobs: int,
    seed: Path | None,
    as_json: bool,
) -> None:
    """Move Crowbar's projects to a Gerrit: all branches and tags, and each checked there.

    Makes what is missing: a parent project with rights for two groups, and each project without an empty commit. While
    a project is pushed the user has a right on refs/* of it, which is dropped again whatever happens. A second run
    pushes nothing; one that was stopped goes on.

    \b
    Exit codes: 0 all is there; 1 a fault, told in one line: an incomplete clone (nothing was pushed then), or
    projects that failed (the others have moved); 2 wrong usage; 4 incomplete clones were left out by
    --skip-incomplete, the others are there; 130 interrupted.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    family = description.read(seed or packaged.seed(SEED.name))
    sharing = Sharing(parent, core_group, ci_group)
    wishes = Wishes(base or family.hosting, cache_folder() / "import", sharing, only, skip_incomplete, jobs)
    outcomes = move(family, Gerrit(url, user, _password(password_file, user)), wishes, Progress())
    _tell(outcomes, time.monotonic() - began, as_json=as_json)
    if reason := failed(outcomes):
        raise SeedError(reason)
    if any(outcome.result == LEFT_OUT for outcome in outcomes):
        sys.exit(LEFT_OUT_CODE)


def _password(file: TextIO, user: str) -> str:
    try:
        password = file.read().strip()
    except UnicodeDecodeError as fault:
        raise SeedError(f"--password-file {file.name}: not UTF-8 (byte {fault.start})") from fault
    if not password:
        raise SeedError(f"--password-file {file.name}: empty; it must hold the HTTP password of {user}")
    return password


def _tell(outcomes: Sequence[Outcome], seconds: float, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"seconds": round(seconds, 1), "projects": [asdict(outcome) for outcome in outcomes]}))
        return
    for outcome in outcomes:
        count = f"{outcome.pushed} of {outcome.references} pushed" if outcome.result == MOVED else ""
        click.echo(f"{outcome.project:40} {outcome.result:10} {outcome.reason or count}".rstrip())
    counts = Counter(outcome.result for outcome in outcomes)
    pushed = sum(outcome.pushed for outcome in outcomes)
    told = ", ".join(f"{count} {result}" for result, count in counts.items())
    click.echo(f"{len(outcomes)} projects: {told}; {pushed or 'no'} branches and tags pushed, in {seconds:.0f} s")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """An end by SIGTERM gives rights back, as one by the keyboard does."""
    raise KeyboardInterrupt
