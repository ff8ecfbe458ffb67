# SPDX-License-Identifier: Apache-2.0
"""The commands under `zuul-suse seeds`."""

import click

from zuul_suse.cli.seeds.import_ import import_
from zuul_suse.cli.seeds.render import render


@click.group()
def seeds() -> None:
    """Families of projects, such as Crowbar: their configuration, and their move to a Gerrit.

    \b
    zuul-suse seeds render     write the Zuul configuration that follows from seeds/crowbar.yaml
    zuul-suse seeds import     move Crowbar's projects to a Gerrit
    """


for command in (render, import_):
    seeds.add_command(command)
