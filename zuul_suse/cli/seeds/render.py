# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse seeds render`."""

from pathlib import Path

import click

from zuul_suse.cli.sandbox import options
from zuul_suse.seeds import SeedError
from zuul_suse.seeds import render as rendering


@click.command()
@options.source_of("Checkout of zuul-suse whose files are written.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is not as it would be written.")
def render(source: Path, check: bool) -> None:
    """Write the Zuul configuration that follows from seeds/crowbar.yaml.

    \b
    zuul-crowbar.d/crowbar-releases.yaml                   the jobs' variants per release
    seeds/config-project-crowbar/zuul.d/crowbar-projects.yaml   the projects' stanzas
    seeds/config-project-crowbar/tenant-projects.yaml      a part for a tenant file
    """
    if not check:
        for name in rendering.write(source):
            click.echo(f"written: {name}")
        return
    drifted = rendering.drift(source)
    for difference in drifted.values():
        click.echo(difference, nl=False)
    if drifted:
        raise SeedError(f"not what {rendering.SEED} says: {', '.join(map(str, drifted))}; run `zuul-suse seeds render`")
