# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zuul_suse.cli.loading import needs
from zuul_suse.datacenter import WrongConfiguration

if TYPE_CHECKING:
    from zuul_suse.nodepool_driver.checkup import Examined


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/nodepool/nodepool.yaml"),
    show_default=True,
    help="Nodepool's configuration.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for a provider's datacenters, which are asked all at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@needs("nodepool")
def doctor(path: Path, time_limit: float, as_json: bool) -> None:
    """Ask every datacenter of a nodepool.yaml whether it can do what is asked of it.

    Looks at each datacenter of each provider with driver: suse: whether it is reachable and lets us in, its clock, our
    time-outs, quota, flavors, networks, images, ssh key. Makes no server and changes nothing.

    \b
    Exit codes: 0 all is well; 1 a check found trouble, or the file is wrong;
    2 wrong usage; 130 interrupted.
    """
    from zuul_suse.nodepool_driver.checkup import check_up, read_providers

    try:
        providers = read_providers(path)
    except WrongConfiguration as error:
        raise click.ClickException(str(error)) from error
    every: list[Examined] = []
    for provider in providers:
        for examined in check_up(provider, time_limit):
            every.append(examined)
            if not as_json:
                _show(examined)
    if as_json:
        told = [
            {"provider": examined.provider, "datacenter": examined.datacenter, **asdict(finding)}
            for examined in every
            for finding in examined.findings
        ]
        click.echo(json.dumps({"well": all(examined.well for examined in every), "findings": told}, indent=2))
    if not all(examined.well for examined in every):
        sys.exit(1)


def _show(examined: Examined) -> None:
    place = f"{examined.provider}/{examined.datacenter}"
    for finding in examined.findings:
        word = click.style("well   ", fg="green") if finding.ok else click.style("TROUBLE", fg="red")
        click.echo(f"{place:24} {finding.check:16} {word} {finding.detail}")
