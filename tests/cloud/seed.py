# SPDX-License-Identifier: Apache-2.0
"""What a fresh cloud is filled with: accounts and catalogue, and per region flavors, an image, networks and a key.

Called by `cloud.py` while it starts, through the same APIs that everyone uses. Owns `clouds.yaml`
and `nodepool-part.yaml`.
"""

from __future__ import annotations

import getpass
import subprocess
from typing import Any

import openstack
import yaml

from .layout import CloudError, Layout

FLAVORS = {  # name: cores, MiB, GiB
    "small": (1, 1024, 10),
    "medium": (2, 4096, 20),
    "large": (4, 8192, 40),
    "devstack": (8, 16384, 80),
    "impossible": (100000, 1024, 1),  # "No valid host" for certain
}
IMAGE, NETWORK, PUBLIC, KEY = "stand-in", "ci-net", "public", "ci-key"
PROJECT = USER = "ci"
LABEL = "standin-loopback"  # of its nodes in the sandbox
TYPES = {"placement": "placement", "glance": "image", "neutron": "network", "nova": "compute"}


def bootstrap(layout: Layout) -> None:
    """The administrator, before keystone runs."""
    config = layout.folder / "etc" / "keystone" / "keystone.conf"
    command = [
        layout.program("keystone-manage"), "--config-file", str(config), "bootstrap",
        "--bootstrap-password", layout.password, "--bootstrap-region-id", layout.regions[0],
        "--bootstrap-public-url", layout.url("keystone"), "--bootstrap-internal-url", layout.url("keystone"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CloudError(f"keystone-manage bootstrap: {done.stderr.strip().splitlines()[-1:]}")


def write_clouds(layout: Layout) -> None:
    """`regionN` for tests, `regionN-builtin` with block storage for Nodepool's own driver, `admin-regionN`."""
    clouds: dict[str, Any] = {}
    for region in layout.regions:
        auth = {"auth_url": layout.url("keystone"), "user_domain_id": "default", "project_domain_id": "default"}
        both = {"region_name": region, "identity_api_version": 3}
        member = {**auth, "username": USER, "password": layout.password, "project_name": PROJECT}
        admin = {**auth, "username": "admin", "password": layout.password, "project_name": "admin"}
        clouds[region] = {**both, "auth": member}
        clouds[f"{region}-builtin"] = {**clouds[region], "block_storage_endpoint_override": layout.url("volumes")}
        clouds[f"admin-{region}"] = {**both, "auth": admin}
    layout.path("clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))


def write_nodepool_part(layout: Layout) -> None:
    """The cloud as a provider of the sandbox, for its `up --nodepool-part`.

    Nodes come and go like any others. But they are this machine itself, so no job is to log in: the sandbox's key is
    none of the cloud's.
    """
    clouds = str(layout.path("clouds.yaml"))
    datacenters = [
        {"name": region, "kind": "openstack", "cloud": region, "clouds-file": clouds, "networks": [NETWORK]}
        for region in layout.regions
    ]
    access = {"username": getpass.getuser(), "connection-port": layout.ports["ssh"]}
    label = {"name": LABEL, "cloud-image": LABEL, "openstack": {"flavor-name": "small"}}
    provider = {
        "name": "cloud",
        "driver": "suse",
        "datacenters": datacenters,
        "cloud-images": [{"name": LABEL, "image": IMAGE, **access}],
        "pools": [{"name": "main", "max-servers": 10, "labels": [label]}],
    }
    part = {"labels": [{"name": LABEL, "min-ready": 1}], "providers": [provider]}
    layout.path("nodepool-part.yaml").write_text(yaml.safe_dump(part, sort_keys=False))


def connect(layout: Layout, cloud: str) -> openstack.connection.Connection:
    config = openstack.config.OpenStackConfig(config_files=[str(layout.folder / "clouds.yaml")], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(cloud=cloud))


def seed_identity(layout: Layout) -> None:
    """Project and user `ci`, the services' own account, and the catalogue."""
    identity = connect(layout, f"admin-{layout.regions[0]}").identity
    roles = {role.name: role for role in identity.roles()}
    # nova shows neutron its own token beside the user's: that is only taken from who has the role "service".
    for user, project, granted in ((USER, PROJECT, ("member",)), ("service", "service", ("admin", "service"))):
        made = identity.create_project(name=project, domain_id="default")
        account = identity.create_user(name=user, password=layout.password, domain_id="default")
        for role in granted:
            identity.assign_project_role_to_user(made, account, roles[role])
    services = {service.type: service for service in identity.services()}
    for region in layout.regions[1:]:
        identity.create_region(id=region)
        _add_endpoints(identity, services["identity"], region, layout.url("keystone"))
    for name, kind in TYPES.items():
        service = identity.create_service(name=name, type=kind)
        for region in layout.regions:
            _add_endpoints(identity, service, region, layout.url(f"{region}-{name}"))


def _add_endpoints(identity: Any, service: Any, region: str, url: str) -> None:  # noqa: ANN401  the SDK has no types
    for interface in ("public", "internal"):
        identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=region)


def seed_region(layout: Layout, region: str) -> None:
    """Flavors, image, networks, key; the project's default security group lets ssh in."""
    admin, member = connect(layout, f"admin-{region}"), connect(layout, region)
    for name, (cores, ram, disk) in FLAVORS.items():
        admin.compute.create_flavor(name=name, vcpus=cores, ram=ram, disk=disk)
    admin.image.create_image(
        IMAGE, data=b"no operating system: servers of this cloud are not real\n", container_format="bare",
        disk_format="raw", visibility="public", validate_checksum=False,
    )  # fmt: skip
    number = layout.regions.index(region)
    _seed_network(admin, member, number)
    member.compute.create_keypair(name=KEY, public_key=(layout.folder / "etc" / "ssh" / "id.pub").read_text().strip())
    project = admin.identity.find_project(PROJECT)
    rules = {"direction": "ingress", "protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}
    (group,) = member.network.security_groups(project_id=project.id, name="default")
    member.network.create_security_group_rule(security_group_id=group.id, **rules)


def _seed_network(admin: Any, member: Any, number: int) -> None:  # noqa: ANN401  the SDK has no types
    """`ci-net`, whose addresses are loopback ones, and `public` for floating IPs, joined by a router."""
    inner = member.network.create_network(name=NETWORK)
    subnet = member.network.create_subnet(
        network_id=inner.id, ip_version=4, cidr=f"127.{64 + number}.0.0/16", enable_dhcp=False, name=NETWORK
    )
    outer = admin.network.create_network(
        name=PUBLIC, is_router_external=True, provider_network_type="flat", provider_physical_network="public"
    )
    admin.network.create_subnet(
        network_id=outer.id, ip_version=4, cidr=f"127.{96 + number}.0.0/16", enable_dhcp=False, name=PUBLIC
    )
    router = member.network.create_router(name="router", external_gateway_info={"network_id": outer.id})
    member.network.add_interface_to_router(router, subnet_id=subnet.id)
