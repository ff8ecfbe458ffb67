# SPDX-License-Identifier: Apache-2.0
"""The commands under `zuul-suse seeds`."""

import click

from zuul_suse.cli.loading import LazyGroup


@click.group(
    cls=LazyGroup,
    files={"render": "zuul_suse.cli.seeds.render:render", "import": "zuul_suse.cli.seeds.import_:import_"},
)
def seeds() -> None:
    """Families of projects, such as Crowbar: their configuration, and their move to a Gerrit.

    \b
    zuul-suse seeds render     write the Zuul configuration that follows from seeds/crowbar.yaml
    zuul-suse seeds import     move Crowbar's projects to a Gerrit
    """
