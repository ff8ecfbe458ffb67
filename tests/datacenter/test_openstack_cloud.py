# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and the SDK's objects
"""The kind `openstack` against a real one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from zuul_suse.datacenter import (
    Belonging,
    Gone,
    ImageFile,
    NoCapacity,
    Order,
    Quota,
    Server,
    ServerState,
    WrongConfiguration,
)
from zuul_suse.datacenter.openstack import OpenStackDatacenter
from zuul_suse.datacenter.openstack.servers import ServerList

from .mock_openstack import left_by
from .openstack_project import NETWORK, Project, project, soon

pytestmark = pytest.mark.cloud
OURS = {"nodepool_provider_name": "suse", "nodepool_node_id": "0000000042"}


@pytest.fixture(scope="module")
def home(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(cloud, cloud.regions[-1], tmp_path_factory.mktemp("project")) as made:
        yield made


class Counted:
    """A gate that keeps what passes it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, call: str) -> contextlib.AbstractContextManager[None]:
        self.calls.append(call)
        return contextlib.nullcontext()

    def take(self) -> Counter[str]:
        calls, self.calls = Counter(self.calls), []
        return calls


@pytest.fixture
def gate() -> Counted:
    return Counted()


@pytest.fixture
def opened(home: Project, gate: Counted) -> Iterator[Callable[..., OpenStackDatacenter]]:
    """Opens the project as a datacenter; what is in it is gone after the test."""
    every: list[OpenStackDatacenter] = []

    def datacenter(**options: Any) -> OpenStackDatacenter:
        every.append(OpenStackDatacenter("here", home.options(**options)))
        every[-1].gate = gate
        return every[-1]

    yield datacenter
    for one in every:
        one.close()
    for server in home.member.compute.servers():
        home.member.compute.delete_server(server)
    soon(lambda: not list(home.member.compute.servers()))


def order(home: Project, name: str = "np42", **more: Any) -> Order:
    return replace(Order(name, home.cloud.image, metadata=OURS), **more)


def listed(datacenter: OpenStackDatacenter, server_id: str) -> Server | None:
    return next((server for server in datacenter.list_servers() if server.id == server_id), None)


def ready(datacenter: OpenStackDatacenter, server_id: str) -> Server:
    def look() -> Server | None:
        server = listed(datacenter, server_id)
        assert server is not None, "it vanished"
        assert server.state is not ServerState.FAILED, server.fault
        return server if server.state is ServerState.ACTIVE else None

    found = soon(look)
    assert isinstance(found, Server)
    return found


def gone(datacenter: OpenStackDatacenter, server_id: str) -> None:
    soon(lambda: listed(datacenter, server_id) is None)


def test_a_server_from_order_to_end_in_counted_requests(
    home: Project, opened: Callable[..., OpenStackDatacenter], gate: Counted
) -> None:
    datacenter = opened(instance_properties={"team": "ci"})
    assert datacenter.limits().covers(Quota(1, 1, 1024))
    assert datacenter.list_servers() == []
    gate.take()
    server_id = datacenter.create(order(home))
    assert gate.take() == {"POST servers": 1, "GET images": 1}  # the image's name is looked up once
    second = datacenter.create(order(home, "np43"))
    assert gate.take() == {"POST servers": 1}
    assert {listed(datacenter, server_id).state, listed(datacenter, second).state} <= {  # type: ignore[union-attr]
        ServerState.BUILDING,
        ServerState.ACTIVE,
    }
    server = ready(datacenter, server_id)
    assert set(gate.take()) == {"GET servers"}
    assert server.ipv4 is not None
    assert server.ipv4.startswith("127.")
    assert server.private_ipv4 == server.ipv4
    assert server.need == Quota(1, *home.cloud.flavors["small"][:2])
    assert server.metadata == OURS | {"team": "ci"}
    assert server.host
    assert server.ready
    assert "login:" in datacenter.console_log(server_id)
    gate.take()
    datacenter.delete(server_id)
    assert gate.take() == {"DELETE servers": 1}
    gone(datacenter, server_id)
    with pytest.raises(Gone):
        datacenter.delete(server_id)


def test_nova_takes_everything_that_can_be_configured(
    home: Project, opened: Callable[..., OpenStackDatacenter]
) -> None:
    """Its schema refuses what is misspelt. Without a network of ours it finds the project's only one."""
    public = home.cloud.ssh_key.with_suffix(".pub").read_text().strip()
    key = home.member.compute.create_keypair(name="mine", public_key=public)
    group = home.member.compute.create_server_group(name="apart", policies=["soft-anti-affinity"])
    datacenter = opened(networks=None, security_groups=["default"], azs=["nova"])
    settings = {
        "flavor-name": None,
        "key-name": "mine",
        "userdata": "#cloud-config\n",
        "config-drive": True,
        "instance-properties": {"note": "n" * 300},
        "scheduler-hints": {"group": group.id},
    }
    server_id = datacenter.create(order(home, need=Quota(1, 2, 1000), settings=settings))
    server = ready(datacenter, server_id)
    assert server.ready
    assert server.need == Quota(1, *home.cloud.flavors["medium"][:2])
    assert server.metadata["note"] == "n" * 255
    made = home.member.compute.get_server(server_id)
    assert (made.key_name, made.has_config_drive, made.availability_zone) == ("mine", "True", "nova")
    assert home.member.compute.get_server_group(group.id).member_ids == [server_id]
    home.member.compute.delete_keypair(key)  # it is the user's, not the server's


def test_an_image_from_upload_to_end(home: Project, opened: Callable[..., OpenStackDatacenter], tmp_path: Path) -> None:
    datacenter = opened()
    path = tmp_path / "built.raw"
    path.write_bytes(b"stand-in" * 100_000)
    metadata = {"nodepool_build_id": "7", "nodepool_upload_id": "1", "nodepool_provider_name": "suse"}
    home.member.image.create_image("foreign", data=b"x", container_format="bare", disk_format="raw")
    image_id = datacenter.upload_image(ImageFile("built-7", path, "raw", metadata | {"min_disk": "1"}))
    (image,) = datacenter.list_images()
    assert (image.id, image.name) == (image_id, "built-7")
    assert image.metadata.items() >= metadata.items()
    ready(datacenter, datacenter.create(order(home, image=image_id)))
    datacenter.delete_image(image_id)
    assert datacenter.list_images() == []
    with pytest.raises(Gone):
        datacenter.delete_image(image_id)
    with pytest.raises(WrongConfiguration):
        datacenter.create(order(home, image=image_id))


def test_quota(home: Project, opened: Callable[..., OpenStackDatacenter]) -> None:
    datacenter = opened()
    home.admin.compute.update_quota_set(home.id, instances=1, cores=3)
    try:
        limits = datacenter.limits()
        assert (limits.instances, limits.cores) == (1, 3)
        # Nova counts what is in a cell: a server that isn't scheduled yet is none.
        ready(datacenter, datacenter.create(order(home)))
        with pytest.raises(NoCapacity, match="Quota exceeded for instances"):
            datacenter.create(order(home, "np43"))
    finally:
        home.admin.compute.update_quota_set(home.id, instances=50, cores=-1)
    assert datacenter.limits().cores == float("inf")


def test_no_valid_host(home: Project, opened: Callable[..., OpenStackDatacenter]) -> None:
    datacenter = opened(flavor_name="impossible")
    server_id = datacenter.create(order(home))
    failed = soon(lambda: (s := listed(datacenter, server_id)) and s.state is ServerState.FAILED and s)
    assert "No valid host" in failed.fault
    assert failed.full


def test_a_failing_hypervisor_is_not_a_full_one(home: Project, opened: Callable[..., OpenStackDatacenter]) -> None:
    datacenter = opened()
    server_id = datacenter.create(order(home, metadata=OURS | {"fake-failure": "1"}))
    failed = soon(lambda: (s := listed(datacenter, server_id)) and s.state is ServerState.FAILED and s)
    assert "failure by wish" in failed.fault
    assert not failed.full


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"flavor_name": "tiny"}, r'flavor-name: "tiny" not found \(has devstack, impossible, large, medium, small\)'),
        ({"networks": ["nowhere"]}, r'networks: "nowhere" not found \(has public, test-net\)'),
        ({"key_name": "nobody"}, r'key-name: "nobody" not found \(has none\)'),
        ({"azs": ["moon"]}, r'azs: "moon" not found \(has nova\)'),
        ({"security_groups": ["open"]}, "open"),
    ],
)
def test_names_that_are_not_there(
    home: Project, opened: Callable[..., OpenStackDatacenter], options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(WrongConfiguration, match=fault):
        opened(**options).create(order(home))


def test_image_that_is_not_there(home: Project, opened: Callable[..., OpenStackDatacenter]) -> None:
    with pytest.raises(WrongConfiguration, match=r'image "leap" not found \(has .*stand-in'):
        opened().create(order(home, image="leap"))


def test_changes_tell_what_came_became_active_and_went(
    home: Project, opened: Callable[..., OpenStackDatacenter], gate: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerList, "PAYS", 1)
    asked: list[Any] = []
    datacenter = opened()
    pages = datacenter._region.pages

    def spied(service: str, path: str, key: str, params: Any = None, on_date: Any = None, **more: Any) -> Any:
        if path == "/servers/detail":
            asked.append(params)
        return pages(service, path, key, params, on_date, **more)

    monkeypatch.setattr(datacenter._region, "pages", spied)
    first = datacenter.create(order(home))
    ready(datacenter, first)
    asked.clear()
    second = datacenter.create(order(home, "np43", metadata=OURS | {"fake-boot-seconds": "3"}))
    server = listed(datacenter, second)
    assert server is not None
    assert server.state is ServerState.BUILDING
    ready(datacenter, second)
    datacenter.delete(first)
    gone(datacenter, first)
    assert listed(datacenter, second) is not None
    lists = [params for params in asked if params is not None]
    assert lists
    assert all("changes-since" in params for params in lists if params)
    assert sum("changes-since" in params for params in lists) >= 3


# What servers leave behind


def loose_port(home: Project, server_id: str) -> str:
    """A port as nova leaves it when neutron didn't listen while the server was deleted."""
    network = next(net for net in home.member.network.networks() if net.name == "test-net")
    made = home.admin.network.create_port(
        network_id=network.id, project_id=home.id, device_id=server_id, device_owner="compute:nova"
    )
    return str(made.id)


def foreign_server(home: Project, name: str) -> str:
    """Somebody else's, in the same project, by other means."""
    member = home.member
    made = member.compute.create_server(
        name=name,
        image_id=member.image.find_image(home.cloud.image).id,
        flavor_id=member.compute.find_flavor("small").id,
        networks=[{"uuid": member.network.find_network("test-net").id}],
        metadata={"nodepool_provider_name": "suse"},
    )
    return str(made.id)


def test_only_ports_of_dead_servers_of_ours_are_left_behind(
    home: Project, opened: Callable[..., OpenStackDatacenter]
) -> None:
    """Servers of ours and of others in one project, alive and dead, each with a loose port."""
    datacenter = opened()
    ours = [datacenter.create(order(home, f"ours{number}")) for number in range(2)]
    plain = [foreign_server(home, f"foreign{number}") for number in range(2)]
    lookalike = datacenter.create(order(home, "np43", metadata={"nodepool_provider_name": "suse"}))
    for server_id in (*ours, *plain, lookalike):
        ready(datacenter, server_id)
    ports = {server_id: loose_port(home, server_id) for server_id in ours + plain}
    unknown = loose_port(home, "11111111-2222-4333-8444-555555555555")
    mine = home.member.network.create_port(network_id=home.member.network.find_network("test-net").id, name="mine").id
    assert left_by(datacenter) == []
    for server_id in (ours[0], plain[0], lookalike):
        datacenter.delete(server_id)
        gone(datacenter, server_id)
    # Nova itself removes ports that say they are the server's, so they are made anew.
    left = {server_id: loose_port(home, server_id) for server_id in (ours[0], plain[0], lookalike)}
    expected = [Belonging("port", left[ours[0]], ours[0], OURS)]
    found = left_by(datacenter)
    assert [replace(item, metadata={k: item.metadata[k] for k in OURS}) for item in found] == expected
    # One that was started later and never saw the server alive asks nova.
    later = opened()
    found = left_by(later)
    assert [(item.id, item.metadata["nodepool_node_id"]) for item in found] == [(left[ours[0]], "0000000042")]
    later.delete_belonging(found[0])
    assert left_by(later) == []
    with pytest.raises(Gone):
        later.delete_belonging(found[0])
    still = {port.id for port in home.member.network.ports()}
    assert {ports[ours[1]], ports[plain[1]], left[plain[0]], left[lookalike], unknown, mine} <= still
    alive = {server.id for server in home.member.compute.servers()}
    assert alive == {ours[1], plain[1]}


def test_floating_ip_goes_with_its_server_and_a_foreign_one_stays(
    home: Project, opened: Callable[..., OpenStackDatacenter], gate: Counted
) -> None:
    datacenter = opened(floating_ip_network=home.cloud.public_network)
    public = home.member.network.find_network(home.cloud.public_network)
    foreign = home.member.network.create_ip(floating_network_id=public.id, description="zuul-suse would like this one")
    ids = [datacenter.create(order(home, f"np{number}")) for number in range(2)]
    servers = [ready(datacenter, server_id) for server_id in ids]
    assert [server.ipv4 for server in servers] == [None, None]
    gate.take()
    exposed = [datacenter.expose(server_id) for server_id in ids]
    assert gate.take() == {"GET ports": 2, "POST floatingips": 2}
    assert all(server.ready for server in exposed)
    given = {address.floating_ip_address for address in home.member.network.ips()} - {foreign.floating_ip_address}
    assert given == {server.ipv4 for server in exposed}
    assert ready(datacenter, ids[0]).ipv4 == exposed[0].ipv4
    datacenter.delete(ids[0])
    gone(datacenter, ids[0])
    home.member.compute.delete_server(ids[1])  # nova leaves the address of this one
    gone(datacenter, ids[1])
    (left,) = left_by(opened())
    assert (left.kind, left.server_id, left.metadata) == ("floating-ip", ids[1], OURS)
    datacenter.delete_belonging(left)
    assert [address.id for address in home.member.network.ips()] == [foreign.id]
    assert left_by(datacenter) == []


def test_a_floating_ip_at_the_port_that_a_router_leads_to(
    home: Project, opened: Callable[..., OpenStackDatacenter], gate: Counted
) -> None:
    """One of the server's networks has no router, which neutron says in its own words."""
    network = home.member.network
    storage = network.create_network(name="storage-net")
    network.create_subnet(network_id=storage.id, ip_version=4, cidr="127.251.0.0/16", enable_dhcp=False)
    datacenter = opened(networks=["storage-net", NETWORK], floating_ip_network=home.cloud.public_network)
    server_id = datacenter.create(order(home))
    try:
        assert ready(datacenter, server_id).awaits_address
        gate.take()
        server = datacenter.expose(server_id)
        asked = gate.take()
        assert asked.pop("POST floatingips") in (1, 2)  # the ports may be of one second
        assert asked == {"GET ports": 1}
        assert server.ready
        (address,) = [address for address in network.ips() if address.floating_ip_address == server.ipv4]
        assert (server.ipv4, network.get_port(address.port_id).network_id) == (
            address.floating_ip_address,
            network.find_network(NETWORK).id,
        )
    finally:
        datacenter.delete(server_id)
        gone(datacenter, server_id)
        soon(lambda: not list(network.ports(network_id=storage.id)))
        network.delete_network(storage)


def test_a_new_password_in_clouds_yaml(home: Project, opened: Callable[..., OpenStackDatacenter]) -> None:
    datacenter = opened()  # without a token yet: nova takes one from before for minutes
    text, user = home.clouds_yaml.read_text(), home.member.current_user_id
    known = yaml.safe_load(text)
    old = known["clouds"]["project"]["auth"]["password"]
    known["clouds"]["project"]["auth"]["password"] = "another"
    home.admin.identity.update_user(user, password="another")
    try:
        with pytest.raises(WrongConfiguration, match="authentication: 401"):
            datacenter.list_servers()
        home.clouds_yaml.write_text(yaml.safe_dump(known))
        assert datacenter.list_servers() == []
    finally:
        home.admin.identity.update_user(user, password=old)
        home.clouds_yaml.write_text(text)
