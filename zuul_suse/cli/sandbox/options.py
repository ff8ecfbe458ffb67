# SPDX-License-Identifier: Apache-2.0
"""Options that several sandbox commands take."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zuul_suse.sandbox.state import DEFAULT_ROOT, PORTS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

state_dir: Decorator = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    envvar="ZUUL_SUSE_STATE_DIR",
    default=DEFAULT_ROOT,
    show_default=True,
    help="Folder in which all of the sandbox lies.",
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def source_of(what: str) -> Decorator:
    """The option --source: a folder, the current one by default."""
    return click.option(
        "--source",
        type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
        default=".",
        show_default="the current folder",
        help=what,
    )


source: Decorator = source_of("Checkout of zuul-suse that becomes the project in Gerrit.")
image: Decorator = click.option(
    "--image",
    help="Image of the nodes. [default: openSUSE Leap 16.0 where it can be downloaded, else standin-debian]",
)
nodepool_part: Decorator = click.option(
    "--nodepool-part",
    type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
    help="YAML file with more labels, diskimages and providers for the sandbox's Nodepool; it is kept.",
)
database: Decorator = click.option(
    "--database-uri",
    help="Zuul's database, say postgresql://user:password@host/name. [default: SQLite in the state folder]",
)


def _ports(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    ports = {}
    for value in values:
        name, _, number = value.partition("=")
        if name not in PORTS:
            raise click.BadParameter(f'"{name}" is no port of the sandbox (has {", ".join(PORTS)})')
        if not number.isdigit() or not 0 < int(number) < 65536:
            raise click.BadParameter(f'{name}: "{number}" is no port number (1 to 65535)')
        ports[name] = int(number)
    return ports


port: Decorator = click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_ports,
    help=f"Pin a port; free ones are chosen otherwise. Names: {', '.join(PORTS)}.",
)


def in_ci() -> bool:
    """Whether a CI runs us: then a part that can't be had is a failure, not a reason to do with less."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
