# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""Which servers get a floating IP, at which port, and by which address a server is reached, as clouds.yaml says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock
import yaml

from zuul_suse.datacenter import DatacenterError, NoCapacity, Order, Server, WrongConfiguration
from zuul_suse.datacenter.openstack import OpenStackDatacenter

from .mock_openstack import HOST, OURS, MockCloud, address, uuid

FLOATING = f"{HOST}:9696/networking/v2.0/floatingips"
CI, PUBLIC, STORAGE = (f"11111111-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
AUTO = {"auto-floating-ip": True}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with requests_mock.Mocker() as mock:
        made = MockCloud(mock, tmp_path)
        made.networks = [*made.networks, {"id": STORAGE, "name": "storage-net", "router:external": False}]
        yield made


def opened(cloud: MockCloud, clouds_yaml: dict[str, Any] | None = None, **options: Any) -> OpenStackDatacenter:
    """`clouds_yaml` is added to what it says of the cloud."""
    known = yaml.safe_load(cloud.clouds_yaml.read_text())
    known["clouds"]["nbg"] |= clouds_yaml or {}
    cloud.clouds_yaml.write_text(yaml.safe_dump(known))
    return OpenStackDatacenter("nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml)} | options)


def add_server(cloud: MockCloud, **addresses: list[dict[str, Any]]) -> str:
    named = {name.replace("_", "-"): items for name, items in addresses.items()}
    return str(cloud.server(1, metadata=OURS, addresses=named)["id"])


def add_port(cloud: MockCloud, port_id: str, fixed: str, network: str, created: int = 0) -> None:
    raw = {"id": port_id, "device_id": uuid(1), "status": "ACTIVE", "device_owner": "compute:nova"}
    raw |= {"network_id": network, "created_at": f"2026-01-01T11:00:0{created}Z"}
    cloud.ports.append(raw | {"fixed_ips": [{"ip_address": fixed}]})


def two_ports(cloud: MockCloud) -> str:
    """A server whose first network leads nowhere."""
    server_id = add_server(cloud, storage_net=[address("10.9.0.1")], ci_net=[address("10.0.0.1")])
    add_port(cloud, "port-storage", "10.9.0.1", STORAGE, 1)
    add_port(cloud, "port-ci", "10.0.0.1", CI, 2)
    return server_id


def routed(cloud: MockCloud, *ports: str) -> None:
    """Neutron knows a router only for these."""

    def answer(request: Any, context: Any) -> dict[str, Any]:
        body = request.json()["floatingip"]
        if body["port_id"] not in ports:
            context.status_code = 404
            message = f"External network {PUBLIC} is not reachable from subnet s1. Therefore, cannot associate Port"
            return {"NeutronError": {"type": "ExternalGatewayForFloatingIPNotFound", "message": message, "detail": ""}}
        context.status_code = 201
        return {"floatingip": body | {"id": "fip-1", "floating_ip_address": "203.0.113.9"}}

    cloud.mock.register_uri("POST", FLOATING, json=answer)


def asked_ports(cloud: MockCloud) -> list[str]:
    asked = [request for request in cloud.mock.request_history if request.method == "POST" and request.url == FLOATING]
    return [request.json()["floatingip"]["port_id"] for request in asked]


def listed(datacenter: OpenStackDatacenter) -> Server:
    (server,) = datacenter.list_servers()
    return server


# Who gets one


@pytest.mark.parametrize("ipv6", ["fd00:1::5", "2001:db8::5"])
@pytest.mark.parametrize("prefer", [False, True])
def test_a_dual_stack_server_waits_for_its_floating_ip(cloud: MockCloud, ipv6: str, prefer: bool) -> None:
    server_id = add_server(cloud, ci_net=[address("10.0.0.5"), address(ipv6, version=6)])
    add_port(cloud, "port-ci", "10.0.0.5", CI)
    datacenter = opened(cloud, **AUTO, **{"prefer-ipv6": prefer})
    server = listed(datacenter)
    assert (server.awaits_address, server.ready) == (True, False)
    exposed = datacenter.expose(server_id)
    assert exposed.ready
    assert (exposed.ipv4, exposed.ipv6, exposed.private_ipv4) == ("203.0.113.9", ipv6, "10.0.0.5")
    assert exposed.address == (ipv6 if prefer else None)
    assert listed(datacenter) == exposed  # and nova doesn't know of it yet
    cloud.servers[0]["addresses"]["ci-net"].append(address("203.0.113.9", "floating"))
    assert listed(datacenter) == exposed


def test_a_server_without_ipv4_needs_none(cloud: MockCloud) -> None:
    add_server(cloud, ci_net=[address("2001:db8::5", version=6)])
    assert listed(opened(cloud, **AUTO)).ready


@pytest.mark.parametrize("clouds_yaml", [{"private": True}, {"floating_ip_source": "None"}])
def test_a_cloud_that_uses_none_gives_none(cloud: MockCloud, clouds_yaml: dict[str, Any]) -> None:
    add_server(cloud, ci_net=[address("10.0.0.5")])
    server = listed(opened(cloud, clouds_yaml, **AUTO))
    assert server.ready
    assert (server.address or server.ipv4) == "10.0.0.5"


def test_an_address_of_the_world_on_a_tenants_network_needs_none(cloud: MockCloud) -> None:
    add_server(cloud, ci_net=[address("8.8.4.4")])
    assert listed(opened(cloud, **AUTO)).ipv4 == "8.8.4.4"
    told = {"networks": [{"name": "ci-net", "nat_destination": True}]}
    assert listed(opened(cloud, told, **AUTO)).awaits_address


# From where to where


@pytest.mark.parametrize("named", ["ci-net", CI])
def test_nat_destination_is_obeyed(cloud: MockCloud, named: str) -> None:
    server_id = two_ports(cloud)
    told = {"networks": [{"name": "storage-net"}, {"name": named, "nat_destination": True}]}
    datacenter = opened(cloud, told, **AUTO)
    datacenter.list_servers()
    assert datacenter.expose(server_id).ipv4 == "203.0.113.9"
    assert asked_ports(cloud) == ["port-ci"]


def test_of_two_ports_on_the_nat_destination_the_newest(cloud: MockCloud) -> None:
    server_id = two_ports(cloud)
    add_port(cloud, "port-newer", "10.0.0.2", CI, 3)
    datacenter = opened(cloud, {"networks": [{"name": "ci-net", "nat_destination": True}]}, **AUTO)
    datacenter.list_servers()
    datacenter.expose(server_id)
    assert asked_ports(cloud) == ["port-newer"]


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ("public", f"no port on network {PUBLIC}, which is nat_destination in clouds.yaml"),
        ("ci", r'clouds.yaml: nat_destination: "ci" not found \(has ci-net, public, storage-net\)'),
    ],
)
def test_a_wrong_nat_destination_is_told(cloud: MockCloud, named: str, fault: str) -> None:
    server_id = two_ports(cloud)
    datacenter = opened(cloud, {"networks": [{"name": named, "nat_destination": True}]}, **AUTO)
    datacenter.list_servers()
    with pytest.raises(WrongConfiguration, match=fault):
        datacenter.expose(server_id)


def test_without_a_word_the_port_that_a_router_leads_to(cloud: MockCloud) -> None:
    server_id = two_ports(cloud)
    routed(cloud, "port-ci")
    datacenter = opened(cloud, **AUTO)
    datacenter.list_servers()
    datacenter.expose(server_id)
    assert asked_ports(cloud) == ["port-storage", "port-ci"]
    datacenter.delete(server_id)
    cloud.forget()
    cloud.mock.register_uri("DELETE", f"{FLOATING}/fip-1", status_code=204)
    datacenter._floating.attach(server_id, OURS)
    assert asked_ports(cloud) == ["port-ci"]  # it is remembered


def test_a_server_that_no_router_leads_to_is_wrong(cloud: MockCloud) -> None:
    server_id = two_ports(cloud)
    routed(cloud)
    datacenter = opened(cloud, **AUTO)
    datacenter.list_servers()
    with pytest.raises(WrongConfiguration, match="not reachable from subnet"):
        datacenter.expose(server_id)
    assert asked_ports(cloud) == ["port-storage", "port-ci"]


def test_a_port_on_the_external_network_itself_gets_none(cloud: MockCloud) -> None:
    server_id = add_server(cloud, ci_net=[address("10.0.0.1")])
    add_port(cloud, "port-public", "192.0.2.1", PUBLIC, 1)
    add_port(cloud, "port-ci", "10.0.0.1", CI, 2)
    datacenter = opened(cloud, **AUTO)
    datacenter.list_servers()
    datacenter.expose(server_id)
    assert asked_ports(cloud) == ["port-ci"]


def test_nat_source_is_obeyed_and_beaten_by_our_own_option(cloud: MockCloud) -> None:
    other = {"id": uuid(8), "name": "other", "router:external": True}
    cloud.networks = [*cloud.networks, other]
    server_id = add_server(cloud, ci_net=[address("10.0.0.1")])
    add_port(cloud, "port-ci", "10.0.0.1", CI)
    told = {"networks": [{"name": "other", "nat_source": True}]}
    for options, network in (({}, uuid(8)), ({"floating-ip-network": "public"}, PUBLIC)):
        datacenter = opened(cloud, told, **AUTO, **options)
        datacenter.list_servers()
        datacenter.expose(server_id)
        assert cloud.last().json()["floatingip"]["floating_network_id"] == network


def test_an_external_network_that_is_not_shown_is_found_at_a_router(cloud: MockCloud) -> None:
    cloud.networks = [raw for raw in cloud.networks if not raw["router:external"]]
    gateways = [{"external_gateway_info": None}, {"external_gateway_info": {"network_id": uuid(8)}}]
    cloud.mock.register_uri("GET", f"{HOST}:9696/networking/v2.0/routers", json={"routers": gateways})
    server_id = add_server(cloud, ci_net=[address("10.0.0.1")])
    add_port(cloud, "port-ci", "10.0.0.1", CI)
    datacenter = opened(cloud, **AUTO)
    datacenter.list_servers()
    datacenter.expose(server_id)
    assert cloud.last().json()["floatingip"]["floating_network_id"] == uuid(8)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, f"Unable to find any IP address on external network {PUBLIC}.", NoCapacity),
        (409, f"No more IP addresses available on network {PUBLIC}.", NoCapacity),
        (409, "No more IP addresses available for subnet s1.", NoCapacity),
        (409, "Quota exceeded for resources: ['floatingip'].", NoCapacity),
        (403, "Maximum number of floating IPs exceeded", NoCapacity),
        (403, "Zero floating IPs available.", NoCapacity),
        (409, "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /26.", NoCapacity),
        (400, "Invalid input for floating_network_id. Reason: 'x' is not a valid UUID.", WrongConfiguration),
    ],
)
def test_a_cloud_without_free_addresses_is_full(
    cloud: MockCloud, status: int, message: str, kind: type[DatacenterError]
) -> None:
    server_id = add_server(cloud, ci_net=[address("10.0.0.1")])
    add_port(cloud, "port-ci", "10.0.0.1", CI)
    error = {"NeutronError": {"type": "any", "message": message, "detail": ""}}
    cloud.mock.register_uri("POST", FLOATING, status_code=status, json=error)
    datacenter = opened(cloud, **AUTO)
    datacenter.list_servers()
    with pytest.raises(kind):
        datacenter.expose(server_id)


def test_no_floating_ip_that_would_never_be_found_again(cloud: MockCloud) -> None:
    datacenter = opened(cloud, **AUTO)
    metadata = OURS | {"nodepool_provider_name": "p" * 200}
    order = Order("np1", uuid(99), metadata=metadata, settings={"flavor-name": "m1.small"})
    with pytest.raises(WrongConfiguration, match="provider's name is too long"):
        datacenter.create(order)
    assert "POST /servers" not in cloud.calls


# By which address a server is reached


@pytest.mark.parametrize(
    ("networks", "address6"),
    [
        ([], "2001:db8::5"),  # neutron says which network is external
        ([{"name": "mgmt", "routes_ipv6_externally": True}, {"name": "outer"}], "fd00:9::5"),
        ([{"name": "mgmt", "routes_externally": True, "routes_ipv6_externally": False}], "2001:db8::5"),
    ],
)
def test_of_ipv6_addresses_the_one_that_leads_outside(
    cloud: MockCloud, networks: list[dict[str, Any]], address6: str
) -> None:
    cloud.networks = [
        {"id": uuid(71), "name": "mgmt", "router:external": False},
        {"id": uuid(72), "name": "outer", "router:external": True},
    ]
    mgmt = [address("fe80::5", version=6), address("fd00:9::5", version=6), address("10.9.0.5")]
    add_server(cloud, mgmt=mgmt, outer=[address("2001:db8::5", version=6), address("198.51.100.5")])
    server = listed(opened(cloud, {"networks": networks}, **{"prefer-ipv6": True}))
    assert (server.address, server.ipv6) == (address6, address6)


def test_an_ipv6_address_of_this_site_is_the_last_choice(cloud: MockCloud) -> None:
    add_server(cloud, ci_net=[address("fd00:9::5", version=6)], storage_net=[address("2001:db8::5", version=6)])
    assert listed(opened(cloud)).ipv6 == "2001:db8::5"


@pytest.mark.parametrize(
    ("clouds_yaml", "prefer", "reached"),
    [
        ({"networks": [{"name": "storage-net", "default_interface": True}]}, False, "10.9.0.1"),
        ({"networks": [{"name": STORAGE, "default_interface": True}]}, False, "10.9.0.1"),
        ({"networks": [{"name": "storage-net", "default_interface": True}]}, True, "fd00:9::1"),
        ({"networks": [{"name": "outer", "default_interface": True}]}, False, None),  # not on that network
        ({"private": True}, False, "10.9.0.1"),
        ({}, True, "fd00:9::1"),
        ({}, False, None),
        ({"internal_network": "storage-net", "external_network": "public"}, False, "198.51.100.5"),  # the old words
    ],
)
def test_clouds_yaml_says_how_servers_are_reached(
    cloud: MockCloud, clouds_yaml: dict[str, Any], prefer: bool, reached: str | None
) -> None:
    storage = [address("10.9.0.1"), address("fd00:9::1", version=6)]
    add_server(cloud, storage_net=storage, public=[address("198.51.100.5")])
    server = listed(opened(cloud, clouds_yaml, **{"prefer-ipv6": prefer}))
    assert (server.address, server.ipv4, server.private_ipv4) == (reached, "198.51.100.5", "10.9.0.1")
