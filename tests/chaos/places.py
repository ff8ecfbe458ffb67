# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - the SDK's objects
"""Where chaos is made: a project per region of the test cloud, reached by the launcher over the proxy only.

The tests themselves look at the regions directly, as an administrator of the truth. Ends with its context, and takes
away every server, port and project.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..cloud.cloud import Cloud
from ..datacenter.openstack_project import NETWORK, Project, project
from ..proxy.proxy import Proxy


@dataclass
class Places:
    """Regions by name."""

    cloud: Cloud
    proxy: Proxy
    projects: dict[str, Project]
    clouds_yaml: Path

    def datacenter(self, region: str, **more: Any) -> dict[str, Any]:
        """A region in the words of nodepool.yaml."""
        plain = {
            "name": region,
            "kind": "openstack",
            "cloud": region,
            "clouds-file": str(self.clouds_yaml),
            "networks": [NETWORK],
            "flavor-name": "small",
            "timeout": 10,
        }
        return plain | {key.replace("_", "-"): value for key, value in more.items()}

    def servers(self, region: str) -> list[Any]:
        return list(self.projects[region].member.compute.servers())

    def left(self) -> dict[str, list[str]]:
        """All servers, and ports of servers, that are there: region → what."""
        found = {}
        for region, place in self.projects.items():
            ports = [port for port in place.member.network.ports() if not port.device_owner.startswith("network:")]
            things = [f"server {server.name} {server.status}" for server in self.servers(region)]
            found[region] = things + [f"port of {port.device_id} {port.device_owner}" for port in ports]
        return {region: things for region, things in found.items() if things}


@contextlib.contextmanager
def places(cloud: Cloud, folder: Path) -> Iterator[Places]:
    """See the module."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(cloud, folder))
        projects = {}
        clouds = {}
        for region in cloud.regions:
            own = folder / region
            own.mkdir()
            projects[region] = stack.enter_context(project(cloud, region, own))
            entry = yaml.safe_load(projects[region].clouds_yaml.read_text())["clouds"]["project"]
            entry["auth"]["auth_url"] = f"http://127.0.0.1:{proxy.ways[region].ports['keystone']}/v3"
            clouds[region] = entry
        file = folder / "chaos-clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": clouds}))
        yield Places(cloud, proxy, projects, file)
