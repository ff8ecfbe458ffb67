# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse sandbox status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zuul_suse.cli.loading import needs
from zuul_suse.cli.sandbox import options
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.state import State

if TYPE_CHECKING:
    from zuul_suse.sandbox.sandbox import Sandbox


@click.command()
@options.state_dir
@options.as_json
@needs("sandbox")
def status(state_dir: Path, as_json: bool) -> None:
    """Each service: whether it runs and is well, its log and its address. Exit 1 if one is not."""
    from zuul_suse.sandbox.sandbox import Sandbox

    sandbox = Sandbox(State(state_dir), Progress())
    if not show(sandbox, as_json=as_json):
        sys.exit(1)


def show(sandbox: Sandbox, *, as_json: bool = False) -> bool:
    """Print the state of the sandbox; returns whether all of it is well."""
    from zuul_suse.sandbox import nodepool

    services = sandbox.status()
    state = sandbox.state
    well = bool(services) and all(service.healthy for service in services)
    image = {"name": state.choices.image, "ready": well and nodepool.image_ready(state)}
    nodes = nodepool.nodes(state) if well else []
    if as_json:
        told = {
            "state_dir": str(state.root),
            "healthy": well,
            "review": state.choices.review,
            "image": image,
            "services": [asdict(service) for service in services],
            "nodes": [{key: node.get(key) for key in ("id", "label", "state", "server_id")} for node in nodes],
        }
        click.echo(json.dumps(told, indent=2))
        return well
    if not services:
        click.echo(f"no sandbox in {state.root}; start one with `zuul-suse sandbox up`")
        return False
    for service in services:
        word = "well" if service.healthy else "not well" if service.running else "down"
        click.echo(f"{service.name:18} {word:9} {service.url or '':48} {service.log}")
    click.echo(f"image {image['name']}: {'ready' if image['ready'] else 'not ready yet'}; nodes: {len(nodes)}")
    return well
