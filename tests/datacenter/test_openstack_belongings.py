# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them
"""Floating IPs, and what servers leave behind: only what is proven to be ours is ever named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock

from zuul_suse.datacenter import Belonging, Gone, Order, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack import OpenStackDatacenter
from zuul_suse.datacenter.openstack.mark import mark_of, read_mark

from .mock_openstack import HOST, OURS, MockCloud, left_by, uuid

ORDER = Order("np1", uuid(99), metadata=OURS, settings={"flavor-name": "m1.small"})
THEIRS = {"nodepool_provider_name": "suse"}  # somebody else's metadata may look a bit like ours


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with requests_mock.Mocker() as mock:
        yield MockCloud(mock, tmp_path, services=("compute", "network", "image", "block-storage"))


def opened(cloud: MockCloud, **options: Any) -> OpenStackDatacenter:
    return OpenStackDatacenter(
        "nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml), "networks": ["ci-net"]} | options
    )


def port(cloud: MockCloud, port_id: str, server: str, status: str = "DOWN", owner: str = "compute:nova") -> None:
    raw = {"id": port_id, "device_id": server, "status": status, "device_owner": owner}
    fixed = [{"ip_address": "2001:db8::2"}, {"ip_address": "10.0.0.2"}]
    cloud.ports.append(raw | {"created_at": "2026-01-01T11:00:00Z", "fixed_ips": fixed})


def vanish(cloud: MockCloud, server_id: str) -> None:
    cloud.servers = [raw for raw in cloud.servers if raw["id"] != server_id]


# Floating IPs


def test_two_requests_give_an_address(cloud: MockCloud) -> None:
    datacenter = opened(cloud, **{"floating-ip-network": "public"})
    assert datacenter.exposes
    server_id = datacenter.create(ORDER)
    datacenter.list_servers()
    port(cloud, "p1", server_id, "ACTIVE")
    cloud.forget()
    assert datacenter.expose(server_id).ipv4 == "203.0.113.9"
    assert cloud.calls == ["GET /ports", "POST /floatingips"]
    assert cloud.last().json()["floatingip"] == {
        "floating_network_id": "11111111-0000-4000-8000-000000000002",
        "port_id": "p1",
        "fixed_ip_address": "10.0.0.2",
        "description": f'zuul-suse:["{server_id}","suse","0000000001"]',
    }
    datacenter.delete(server_id)
    assert cloud.calls[2:] == ["DELETE /floatingips/fip-1", f"DELETE /servers/{server_id}"]


def test_a_server_that_has_an_address_gets_no_other(cloud: MockCloud) -> None:
    cloud.server(1, accessIPv4="203.0.113.1")
    datacenter = opened(cloud, **{"auto-floating-ip": True})
    (server,) = datacenter.list_servers()
    cloud.forget()
    assert datacenter.expose(server.id) == server
    assert cloud.calls == []


def test_a_server_without_a_port_gets_none(cloud: MockCloud) -> None:
    datacenter = opened(cloud, **{"auto-floating-ip": True})
    with pytest.raises(TryElsewhere, match="no port with an IPv4 address"):
        datacenter.expose(datacenter.create(ORDER))


def test_several_external_networks_must_be_chosen_from(cloud: MockCloud) -> None:
    cloud.networks = [*cloud.networks, {"id": uuid(8), "name": "other", "router:external": True}]
    datacenter = opened(cloud, **{"auto-floating-ip": True})
    with pytest.raises(WrongConfiguration, match=r"floating-ip-network: missing, .* \(has other, public\)"):
        datacenter.expose(datacenter.create(ORDER))


def test_a_failing_network_service_keeps_no_server_from_being_deleted(cloud: MockCloud) -> None:
    datacenter = opened(cloud, **{"auto-floating-ip": True})
    server_id = datacenter.create(ORDER)
    port(cloud, "p1", server_id)
    datacenter.expose(server_id)
    cloud.mock.register_uri("DELETE", f"{HOST}:9696/networking/v2.0/floatingips/fip-1", status_code=500)
    datacenter.delete(server_id)
    assert cloud.calls[-1] == f"DELETE /servers/{server_id}"


@pytest.mark.parametrize("text", ["", "zuul-suse:", "zuul-suse:{}", 'zuul-suse:["a"]', 'zuul-suse:["a","b",3]', "mine"])
def test_other_descriptions_are_no_mark(text: str) -> None:
    assert read_mark(text) is None


def test_mark() -> None:
    assert read_mark(mark_of("s1", OURS)) == ("s1", OURS)
    assert len(mark_of(uuid(1), {key: "n" * 60 for key in OURS})) <= 255


# What is left behind


def test_floating_ip_with_our_mark_whose_server_is_gone(cloud: MockCloud) -> None:
    alive = cloud.server(1)["id"]
    cloud.floating = [
        {"id": "f1", "description": mark_of(uuid(9), OURS)},
        {"id": "f2", "description": mark_of(alive, OURS)},
        {"id": "f3", "description": ""},
        {"id": "f4", "description": "zuul-suse is great"},
    ]
    datacenter = opened(cloud)
    (found,) = left_by(datacenter)
    assert found == Belonging("floating-ip", "f1", uuid(9), OURS)
    datacenter.delete_belonging(found)
    assert cloud.calls[-1] == "DELETE /floatingips/f1"


def test_port_of_a_server_of_ours_that_is_gone(cloud: MockCloud) -> None:
    datacenter = opened(cloud)
    made = datacenter.create(ORDER)
    seen = cloud.server(2, metadata=OURS | {"nodepool_node_id": "2"})["id"]
    alive = cloud.server(3, metadata=OURS)["id"]
    foreign = cloud.server(4)["id"]
    lookalike = cloud.server(5, metadata=THEIRS)["id"]
    datacenter.list_servers()
    for number, server in enumerate((made, seen, alive, foreign, lookalike, uuid(66)), 1):
        port(cloud, f"down-{number}", server)
        port(cloud, f"up-{number}", server, "ACTIVE")
        port(cloud, f"router-{number}", server, owner="network:router_interface")
        port(cloud, f"mine-{number}", server, owner="")
    port(cloud, "loose", "")
    assert left_by(datacenter) == []
    for server in (made, seen, foreign, lookalike):
        vanish(cloud, server)
    found = left_by(datacenter)
    assert found == [
        Belonging("port", "down-1", made, OURS),
        Belonging("port", "down-2", seen, OURS | {"nodepool_node_id": "2"}),
    ]
    datacenter.delete_belonging(found[0])
    assert cloud.calls[-1] == "DELETE /ports/down-1"


def test_server_that_died_before_this_process_began(cloud: MockCloud) -> None:
    """Nova keeps a deleted server's description, but not its metadata."""
    cloud.server(1, "DELETED", description=mark_of("", OURS), updated="2026-01-01T11:30:00Z")
    cloud.server(2, "DELETED", description="np2", updated="2026-01-01T11:30:00Z")
    for number in (1, 2, 3):
        port(cloud, f"p{number}", uuid(number))
    datacenter = opened(cloud)
    for _ in range(3):
        assert left_by(datacenter) == [Belonging("port", "p1", uuid(1), OURS)]
    asked = [r for r in cloud.mock.request_history if "/servers/detail" in r.url]
    assert len(asked) == 1  # a stranger's port is looked into once
    assert asked[0].qs["changes-since"] == ["2026-01-01t10:50:00z"]


def test_volume_that_was_seen_with_a_server_of_ours(cloud: MockCloud) -> None:
    def attached(*ids: str, goes: bool = True) -> dict[str, Any]:
        volumes = [{"id": volume, "delete_on_termination": goes} for volume in ids]
        return {"os-extended-volumes:volumes_attached": volumes}

    cloud.server(1, metadata=OURS, **attached("v1", "v2", "v3"))
    cloud.server(2, metadata=OURS, **attached("kept", goes=False))
    cloud.server(3, **attached("foreign"))
    datacenter = opened(cloud)
    datacenter.list_servers()
    free = {"status": "available", "attachments": []}
    cloud.volumes = [
        {"id": "v1", **free},
        {"id": "v2", "status": "in-use", "attachments": [{"server_id": uuid(1)}]},
        {"id": "kept", **free},
        {"id": "foreign", **free},
        {"id": "never-seen", **free},
    ]
    assert left_by(datacenter) == []  # its server lives
    cloud.servers = []
    (found,) = left_by(datacenter)
    assert found == Belonging("volume", "v1", uuid(1), OURS)
    datacenter.delete_belonging(found)
    assert cloud.calls[-1] == "DELETE /p1/volumes/v1"


def test_a_port_that_neutron_keeps_for_nova_is_released_first(cloud: MockCloud) -> None:
    cloud.server(1, "DELETED", description=mark_of("", OURS), updated="2026-01-01T11:30:00Z")
    port(cloud, "p1", uuid(1))
    url = f"{HOST}:9696/networking/v2.0/ports/p1"
    refused = {"status_code": 403, "json": {"NeutronError": {"message": "rule:delete_port is disallowed by policy"}}}
    cloud.mock.register_uri("DELETE", url, [refused, {"status_code": 500}, {"status_code": 204}])
    cloud.mock.register_uri("PUT", url, json={"port": {}})
    datacenter = opened(cloud)
    (left,) = left_by(datacenter)
    with pytest.raises(TryElsewhere):
        datacenter.delete_belonging(left)
    assert cloud.calls[-3:] == ["DELETE /ports/p1", "PUT /ports/p1", "DELETE /ports/p1"]
    cloud.ports[0]["device_owner"] = ""
    assert left_by(datacenter) == [left]  # it isn't lost from sight
    datacenter.delete_belonging(left)
    assert left_by(datacenter) == []


def test_with_nothing_loose_no_server_is_asked_for(cloud: MockCloud) -> None:
    datacenter = opened(cloud)
    datacenter.limits()
    cloud.forget()
    assert left_by(datacenter) == []
    assert sorted(cloud.calls) == ["GET /floatingips", "GET /ports"]


def test_deleting_what_is_gone_or_unknown(cloud: MockCloud) -> None:
    cloud.mock.register_uri("DELETE", f"{HOST}:9696/networking/v2.0/ports/p1", status_code=404, json={})
    with pytest.raises(Gone):
        opened(cloud).delete_belonging(Belonging("port", "p1"))
    with pytest.raises(Gone):
        opened(cloud).delete_belonging(Belonging("cat", "c1"))


def test_a_server_that_is_not_known_as_ours_is_given_no_address(cloud: MockCloud) -> None:
    datacenter = opened(cloud, **{"auto-floating-ip": True})
    port(cloud, "p1", cloud.server(5)["id"])
    datacenter.list_servers()
    with pytest.raises(Gone):
        datacenter.expose(uuid(5))
    with pytest.raises(Gone):
        datacenter.expose(uuid(6))
    assert "POST /floatingips" not in cloud.calls
