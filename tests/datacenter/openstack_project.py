# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - the SDK's objects
"""A project of its own in the real test cloud, with a user, a network and a router, so that tests disturb nobody.

`project(cloud, region, folder)` makes it and takes it away again with everything in it.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openstack
import pytest
import yaml

if TYPE_CHECKING:
    from ..cloud.cloud import Cloud

NETWORK = "test-net"


@dataclass(frozen=True)
class Project:
    """What a test needs of it. `member` is an SDK connection of the project's user, who may be anybody."""

    cloud: Cloud
    region: str
    id: str
    clouds_yaml: Path
    member: Any
    admin: Any

    def options(self, **more: Any) -> dict[str, Any]:
        """Those of a datacenter of kind openstack."""
        given = {key.replace("_", "-"): value for key, value in more.items()}
        defaults = {"cloud": "project", "clouds-file": str(self.clouds_yaml), "networks": [NETWORK]}
        return defaults | {"flavor-name": "small"} | given


def soon(check: Callable[[], Any], seconds: float = 90) -> Any:
    """What `check` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.3)
    pytest.fail(f"not within {seconds:g} s")


@contextlib.contextmanager
def project(cloud: Cloud, region: str, folder: Path) -> Iterator[Project]:
    """See the module."""
    admin = cloud.admin(region)
    name, password = f"test-{secrets.token_hex(4)}", secrets.token_hex(12)
    made = admin.identity.create_project(name=name, domain_id="default")
    user = admin.identity.create_user(name=name, password=password, domain_id="default")
    try:
        role = next(role for role in admin.identity.roles() if role.name == "member")
        admin.identity.assign_project_role_to_user(made, user, role)
        known = yaml.safe_load(cloud.clouds_yaml.read_text())["clouds"][region]
        auth = known["auth"] | {"username": name, "password": password, "project_name": name}
        clouds_yaml = folder / "clouds.yaml"
        clouds_yaml.write_text(yaml.safe_dump({"clouds": {"project": known | {"auth": auth}}}))
        config = openstack.config.OpenStackConfig(config_files=[str(clouds_yaml)], load_envvars=False)
        member = openstack.connection.Connection(config=config.get_one(cloud="project"))
        _add_network(cloud, member)
        try:
            yield Project(cloud, region, made.id, clouds_yaml, member, admin)
        finally:
            _empty(member, admin, made.id)
    finally:
        admin.identity.delete_user(user)
        admin.identity.delete_project(made)


def _add_network(cloud: Cloud, member: Any) -> None:
    network = member.network.create_network(name=NETWORK)
    subnet = member.network.create_subnet(
        network_id=network.id, ip_version=4, cidr=f"127.{secrets.choice(range(128, 250))}.0.0/16", enable_dhcp=False
    )
    outer = next(found for found in member.network.networks() if found.name == cloud.public_network)
    router = member.network.create_router(name="router", external_gateway_info={"network_id": outer.id})
    member.network.add_interface_to_router(router, subnet_id=subnet.id)


def _empty(member: Any, admin: Any, project_id: str) -> None:
    for server in member.compute.servers():
        member.compute.delete_server(server)
    soon(lambda: not list(member.compute.servers()))
    for address in member.network.ips():
        member.network.delete_ip(address)
    for router in member.network.routers():
        for port in member.network.ports(device_id=router.id):
            with contextlib.suppress(openstack.exceptions.SDKException):
                member.network.remove_interface_from_router(router, port_id=port.id)
        member.network.delete_router(router)
    for port in admin.network.ports(project_id=project_id):
        admin.network.delete_port(port)
    for network in member.network.networks(name=NETWORK):
        member.network.delete_network(network)
    for image in member.image.images(visibility="private"):
        member.image.delete_image(image)
