# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them
"""The kind `openstack` against canned answers: what it asks, how often, and how it takes what it is told."""

from __future__ import annotations

import base64
import contextlib
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock

from zuul_suse.datacenter import (
    LONGEST_REST,
    DatacenterError,
    Gone,
    ImageFile,
    NoCapacity,
    Order,
    Quota,
    Server,
    ServerState,
    TryElsewhere,
    WrongConfiguration,
)
from zuul_suse.datacenter.openstack import OpenStackDatacenter
from zuul_suse.datacenter.openstack.mark import read_mark
from zuul_suse.datacenter.openstack.request import Zones
from zuul_suse.fleet import Member

from .mock_openstack import HOST, OURS, MockCloud, address, left_by, uuid

IMAGE = uuid(99)
COMPUTE = f"{HOST}/compute/v2.1"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MockCloud]:
    with requests_mock.Mocker() as mock:
        yield MockCloud(mock, tmp_path)


def opened(cloud: MockCloud, **options: Any) -> OpenStackDatacenter:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return OpenStackDatacenter(
        "nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml), "networks": ["ci-net"]} | given
    )


def order(**more: Any) -> Order:
    given: dict[str, Any] = {"metadata": OURS, "settings": {"flavor-name": "m1.small"}} | more
    return Order("np1", given.pop("image", IMAGE), **given)


def warm(cloud: MockCloud, **options: Any) -> OpenStackDatacenter:
    """One that knows token, flavors and networks, as after the poller's first pass."""
    datacenter = opened(cloud, **options)
    datacenter.limits()
    datacenter.list_servers()
    cloud.forget()
    return datacenter


def refuse(cloud: MockCloud, status: int, body: Any, **headers: str) -> None:
    cloud.mock.register_uri("POST", f"{COMPUTE}/servers", status_code=status, json=body, headers=headers)


# How often it asks


def test_create_list_and_delete_are_one_request_each(cloud: MockCloud) -> None:
    datacenter = warm(cloud)
    server_id = datacenter.create(order())
    assert cloud.calls == ["POST /servers"]
    datacenter.list_servers()
    datacenter.delete(server_id)
    assert cloud.calls[1:] == ["GET /servers/detail", f"DELETE /servers/{server_id}"]


def test_nothing_is_asked_or_read_before_the_first_call(cloud: MockCloud) -> None:
    cloud.clouds_yaml.unlink()
    datacenter = opened(cloud)
    assert datacenter.need(order(need=Quota(1, 2, 3))) == Quota(1, 2, 3)
    assert datacenter.refusal(order()) is None
    assert cloud.calls == []
    with pytest.raises(WrongConfiguration, match=r"clouds.yaml can't be read"):
        datacenter.limits()


def test_hundred_creates_ask_for_token_flavors_and_networks_once(cloud: MockCloud) -> None:
    datacenter = opened(cloud)
    for _ in range(100):
        datacenter.create(order())
    counted = Counter(cloud.calls)
    assert counted.pop("POST /servers") == 100
    assert set(counted.values()) == {1}, counted
    assert len(counted) <= 5


def test_every_request_passes_the_gate_by_a_name_without_ids(cloud: MockCloud) -> None:
    names: list[str] = []

    @contextlib.contextmanager
    def gate(call: str) -> Iterator[None]:
        names.append(call)
        yield

    datacenter = opened(cloud)
    datacenter.gate = gate
    datacenter.delete(datacenter.create(order()))
    assert len(names) == len(cloud.calls)
    assert {"POST auth", "GET flavors", "GET networks", "POST servers", "DELETE servers"} < set(names)
    assert not any(char.isdigit() for name in names for char in name)


def test_every_request_has_both_time_outs(cloud: MockCloud) -> None:
    datacenter = opened(cloud, timeout=7)
    datacenter.limits()
    assert {request.timeout for request in cloud.mock.request_history} == {(7.0, 7.0)}
    datacenter = opened(cloud, timeout=90)
    datacenter.limits()
    assert cloud.last().timeout == (10.0, 90.0)


def test_expired_token_is_renewed_and_the_request_made_again(cloud: MockCloud) -> None:
    datacenter = warm(cloud)
    cloud.good_token = "revoked"
    assert datacenter.limits().instances == 10
    assert cloud.calls == ["GET /limits", "POST /auth/tokens", "GET /limits"]


def test_threads_that_wait_for_one_that_fails_fail_with_it(cloud: MockCloud) -> None:
    """In a black hole each would else wait for a time-out of its own, one after the other."""
    waiting = threading.Barrier(6)

    def slow(_request: Any, context: Any) -> dict[str, Any]:
        time.sleep(0.5)
        context.status_code = 500
        return {}

    def create(datacenter: OpenStackDatacenter) -> type[Exception]:
        waiting.wait(10)
        with pytest.raises(TryElsewhere) as raised:
            datacenter.create(order())
        return raised.type

    for url in (f"{HOST}/identity/v3/auth/tokens", f"{COMPUTE}/flavors/detail"):
        datacenter = opened(cloud)
        cloud.mock.register_uri("POST" if "auth" in url else "GET", url, json=slow)
        began = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(create, [datacenter] * 6)) == [TryElsewhere] * 6
        assert time.monotonic() - began < 1.5
        cloud._mount()


# What it sends


def test_order_becomes_a_whole_request(cloud: MockCloud) -> None:
    datacenter = opened(cloud, security_groups=["ssh"])
    settings = {
        "flavor-name": "m1.large",
        "networks": ["ci-net", uuid(7)],
        "key-name": "ci-key",
        "userdata": "#cloud-config\n",
        "config-drive": True,
        "azs": ["nova"],
        "instance-properties": {"team": "x" * 300, "nodepool_node_id": "forged"},
        "scheduler-hints": {"group": "g1"},
    }
    datacenter.create(order(settings=settings))
    body = cloud.last().json()
    server = body["server"]
    assert body["os:scheduler_hints"] == {"group": "g1"}
    assert server["networks"] == [{"uuid": "11111111-0000-4000-8000-000000000001"}, {"uuid": uuid(7)}]
    assert server["flavorRef"] == "2"
    assert server["imageRef"] == IMAGE
    assert (server["key_name"], server["config_drive"]) == ("ci-key", True)
    assert server["availability_zone"] == "nova"
    assert base64.b64decode(server["user_data"]) == b"#cloud-config\n"
    assert server["security_groups"] == [{"name": "ssh"}]
    assert server["metadata"] == OURS | {"team": "x" * 255}
    assert server["description"] == 'zuul-suse:["","suse","0000000001"]'
    assert cloud.last().headers["OpenStack-API-Version"] == "compute 2.67"


def test_root_volume_goes_with_its_server(cloud: MockCloud) -> None:
    settings = {"flavor-name": "1", "boot-from-volume": True, "volume-size": 30, "volume-type": "fast"}
    opened(cloud).create(order(settings=settings))
    server = cloud.last().json()["server"]
    assert "imageRef" not in server
    assert server["block_device_mapping_v2"] == [
        {
            "boot_index": 0,
            "uuid": IMAGE,
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 30,
            "volume_type": "fast",
            "delete_on_termination": True,
        }
    ]


def test_zones_are_taken_in_turn(cloud: MockCloud) -> None:
    datacenter = opened(cloud, azs=["a", "b"])
    zones = []
    for _ in range(4):
        datacenter.create(order())
        zones.append(cloud.last().json()["server"]["availability_zone"])
    assert zones == ["a", "b", "a", "b"]


def test_every_label_has_a_turn_of_its_own(cloud: MockCloud) -> None:
    datacenter = opened(cloud, azs=["a", "b"])
    labels = [
        {"settings": {"flavor-name": "m1.small"}},
        {"settings": {"flavor-name": "m1.small"}, "image": uuid(98)},
        {"settings": {"flavor-name": "m1.large"}},
        {"settings": {"flavor-name": "m1.small", "azs": ["c", "d", "e"]}},
    ]
    zones: list[list[str]] = [[] for _ in labels]
    for _ in range(3):
        for number, label in enumerate(labels):
            datacenter.create(order(**label))
            zones[number].append(cloud.last().json()["server"]["availability_zone"])
    assert zones == [["a", "b", "a"]] * 3 + [["c", "d", "e"]]


def test_turns_of_zones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Zones, "REMEMBERED", 2)
    zones = Zones()
    assert [zones.next(["a", "b"], label) for label in (1, 2, 1, 3, 1, 2)] == ["a", "a", "b", "a", "a", "a"]


@pytest.mark.parametrize(("length", "readable"), [(200, True), (222, True), (230, False), (255, False)])
def test_a_description_is_a_whole_mark_or_none(cloud: MockCloud, length: int, readable: bool) -> None:
    metadata = OURS | {"nodepool_provider_name": "ü" * length}
    opened(cloud).create(order(metadata=metadata))
    server = cloud.last().json()["server"]
    assert len(server["description"]) <= 255
    assert read_mark(server["description"]) == (("", metadata) if readable else None)
    assert server["metadata"] == metadata


def test_a_server_that_could_not_be_known_as_ours_is_not_made(cloud: MockCloud) -> None:
    with pytest.raises(WrongConfiguration, match="nodepool_provider_name is longer than 255 characters"):
        opened(cloud).create(order(metadata=OURS | {"nodepool_provider_name": "p" * 256}))


def test_what_nova_would_find_too_long_is_cut(cloud: MockCloud) -> None:
    settings = {"flavor-name": "m1.small", "instance-properties": {"k" * 300: "v" * 300}}
    opened(cloud).create(Order("n" * 300 + "-42", IMAGE, metadata=OURS, settings=settings))
    server = cloud.last().json()["server"]
    assert (len(server["name"]), server["name"][-3:]) == (255, "-42")
    assert server["metadata"] == OURS | {"k" * 255: "v" * 255}


def test_without_networks_the_cloud_decides(cloud: MockCloud) -> None:
    opened(cloud, networks=None).create(order())
    assert cloud.last().json()["server"]["networks"] == "auto"


def test_older_cloud_is_spoken_to_in_its_own_version(cloud: MockCloud) -> None:
    cloud.newest = "2.38"
    cloud.server(1, flavor={"id": "2", "links": []})
    datacenter = opened(cloud)
    datacenter.limits()
    assert datacenter.list_servers()[0].need == Quota(1, 4, 8192)
    assert cloud.last().headers["OpenStack-API-Version"] == "compute 2.38"
    cloud.newest = "2.18"
    opened(cloud).create(order())
    assert "description" not in cloud.last().json()["server"]


@pytest.mark.parametrize(
    ("need", "name", "flavor"),
    [
        (Quota(1, 0, 4000), None, "2"),
        (Quota(1, 6, 0), None, "3"),
        (Quota(1, 3, 0), None, "2"),
        (Quota(1, 2, 1000), None, "2"),  # and not the one with little RAM and a great many cores
        (Quota(1, 0, 1000), None, "4"),
        (Quota(1, 1, 1), "large", "2"),  # of two with as much RAM the one with fewer cores
        (Quota(1), "m1.small", "1"),
        (Quota(1), "2", "2"),
        (Quota(1), "h1.huge", "4"),
    ],
)
def test_smallest_flavor_that_covers_the_need(cloud: MockCloud, need: Quota, name: str | None, flavor: str) -> None:
    datacenter = opened(cloud)
    wanted = order(need=need, settings={"flavor-name": name})
    datacenter.create(wanted)
    assert cloud.last().json()["server"]["flavorRef"] == flavor
    assert datacenter.need(wanted).ram == next(raw["ram"] for raw in cloud.flavors if raw["id"] == flavor)


def test_image_by_name_is_the_newest_and_looked_up_once(cloud: MockCloud) -> None:
    cloud.images = [{"id": uuid(51), "name": "leap", "status": "active"}, {"id": uuid(50), "name": "leap"}]
    datacenter = opened(cloud)
    for _ in range(2):
        datacenter.create(order(image="leap"))
    assert cloud.last().json()["server"]["imageRef"] == uuid(51)
    assert cloud.calls.count("GET /images") == 1
    asked = next(request for request in cloud.mock.request_history if request.path.endswith("/images"))
    assert asked.qs["sort"] == ["created_at:desc"]


# What is wrong in the configuration


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"flavor-name": "m9"},
            'datacenters[nbg].flavor-name: "m9" not found (has c1.large, h1.huge, m1.large, m1.small)',
        ),
        (
            {"flavor-name": None},
            "datacenters[nbg].flavor-name: missing, and the label has neither cpus nor ram"
            " (has c1.large, h1.huge, m1.large, m1.small)",
        ),
        ({"networks": ["ci"]}, 'datacenters[nbg].networks: "ci" not found (has ci-net, public)'),
    ],
)
def test_wrong_name_is_told_with_the_choices(cloud: MockCloud, settings: dict[str, Any], fault: str) -> None:
    datacenter = opened(cloud)
    wanted = order(settings={"flavor-name": "m1.small"} | settings)
    for _ in range(3):
        with pytest.raises(WrongConfiguration) as raised:
            datacenter.create(wanted)
        assert str(raised.value) == fault
    assert "POST /servers" not in cloud.calls
    assert len(cloud.calls) <= 5  # asked again and again, it doesn't ask the cloud again
    if "flavor-name" in settings:
        assert datacenter.refusal(wanted) in fault


def test_too_great_a_need_names_the_sizes(cloud: MockCloud) -> None:
    with pytest.raises(WrongConfiguration, match=r"none covers 96 cores, 0 MiB \(has c1.large \(8 cores, 8192 MiB\)"):
        opened(cloud).create(order(need=Quota(1, 96), settings={}))


def test_wrong_image_name(cloud: MockCloud) -> None:
    cloud.images = [{"id": uuid(51), "name": "leap-16", "status": "active"}]
    with pytest.raises(WrongConfiguration, match=r'image "leap" not found \(has leap-16\)'):
        opened(cloud).create(order(image="leap"))


def test_wrong_key_and_zone_are_explained_after_the_refusal(cloud: MockCloud) -> None:
    refuse(cloud, 400, {"badRequest": {"message": "Invalid key_name provided.", "code": 400}})
    with pytest.raises(WrongConfiguration, match=r'datacenters\[nbg\].key-name: "mine" not found \(has ci-key\)'):
        opened(cloud, key_name="mine").create(order())
    refuse(cloud, 400, {"badRequest": {"message": "The requested availability zone is not available", "code": 400}})
    with pytest.raises(WrongConfiguration, match=r'datacenters\[nbg\].azs: "z9" not found \(has nova\)'):
        opened(cloud, azs=["z9"]).create(order())


@pytest.mark.parametrize(
    ("status", "message", "option"),
    [
        (409, "Multiple security_group matches found for name 'default'", "security-groups"),
        (400, "Unable to find security_group with name or id 'open'", "security-groups"),
        (400, "Multiple possible networks found, use a Network ID", "networks"),
        (404, "Flavor m1.small could not be found.", "flavor-name"),
        (400, "Volume type fast could not be found.", "volume-type"),
    ],
)
def test_the_option_that_is_to_blame_is_named(cloud: MockCloud, status: int, message: str, option: str) -> None:
    refuse(cloud, status, {"badRequest": {"message": message, "code": status}})
    with pytest.raises(
        WrongConfiguration, match=rf"datacenters\[nbg\].{option}: nbg: POST servers: {status} {message}"
    ):
        opened(cloud).create(order())


def test_refused_order_makes_it_look_again(cloud: MockCloud) -> None:
    datacenter = warm(cloud)
    refuse(cloud, 400, {"badRequest": {"message": "Invalid flavorRef provided.", "code": 400}})
    with pytest.raises(WrongConfiguration):
        datacenter.create(order())
    cloud.flavors = [cloud.flavors[0] | {"id": "77"}]
    cloud._mount()
    datacenter.create(order())
    assert cloud.last().json()["server"]["flavorRef"] == "77"


def test_unknown_cloud_is_remembered_shortly(cloud: MockCloud) -> None:
    datacenter = OpenStackDatacenter("nbg", {"cloud": "nowhere", "clouds-file": str(cloud.clouds_yaml)})
    for _ in range(2):
        with pytest.raises(WrongConfiguration, match=r'datacenters\[nbg\].cloud: "nowhere" not found .*\(has nbg\)'):
            datacenter.list_servers()
        cloud.clouds_yaml.write_text("clouds: {}")


# What the cloud refuses


@pytest.mark.parametrize(
    ("status", "message", "headers", "kind", "rest"),
    [
        (403, "Quota exceeded for instances: Requested 1, but already used 10 of 10", {}, NoCapacity, None),
        (403, "Quota exceeded", {"Retry-After": "0"}, NoCapacity, None),
        (413, "Quota exceeded", {"Retry-After": "0"}, NoCapacity, None),
        (429, "Too many requests", {"Retry-After": "1000000"}, NoCapacity, LONGEST_REST),
        (409, "Maximum number of ports exceeded: quota", {}, NoCapacity, None),
        (429, "Too many requests", {"Retry-After": "17"}, NoCapacity, 17.0),
        (503, "Come back", {"Retry-After": "5"}, NoCapacity, 5.0),
        (503, "Service unavailable", {}, TryElsewhere, None),
        (500, "Unexpected API Error.", {}, TryElsewhere, None),
        (404, "no such thing", {}, TryElsewhere, None),  # a create can't be Gone
        (403, "Policy doesn't allow it", {}, WrongConfiguration, None),
        (400, "No valid host was found", {}, NoCapacity, None),
        (409, "Multiple possible networks found, use a Network ID to be more specific.", {}, WrongConfiguration, None),
        (
            409,
            "Multiple security_group matches found for name 'default', use an ID to be more specific.",
            {},
            WrongConfiguration,
            None,
        ),
        (409, "More than one volume type matches the name fast", {}, WrongConfiguration, None),
        (409, "Port 1 is still in use.", {}, TryElsewhere, None),
        (400, "Security group open not found for project p1.", {}, WrongConfiguration, None),
        (404, "Flavor m1.small could not be found.", {}, WrongConfiguration, None),
        (404, "Image 7 could not be found", {}, WrongConfiguration, None),
        (403, "Maximum number of fixed IPs exceeded", {}, NoCapacity, None),
        (400, "Invalid input: Maximum number of metadata items exceeds 128", {}, WrongConfiguration, None),
    ],
)
def test_refusals(
    cloud: MockCloud,
    status: int,
    message: str,
    headers: dict[str, str],
    kind: type[DatacenterError],
    rest: float | None,
) -> None:
    refuse(cloud, status, {"fault": {"message": message, "code": status}}, **headers)
    with pytest.raises(DatacenterError) as raised:
        opened(cloud).create(order())
    assert type(raised.value) is kind
    assert raised.value.rest == rest
    assert message in str(raised.value)
    assert cloud.calls.count("POST /servers") == 1


# What leaves with every request, whatever it is for
CALLS: dict[str, tuple[str, Callable[[OpenStackDatacenter], object]]] = {
    "list": ("/servers/detail", lambda one: one.list_servers()),
    "limits": ("/limits", lambda one: one.limits()),
    "flavors": ("/flavors/detail", lambda one: one.limits()),
    "networks": ("/networks", lambda one: one.create(order())),
    "image": ("/images", lambda one: one.create(order(image="leap"))),
    "create": ("/servers", lambda one: one.create(order())),
    "delete": (f"/servers/{uuid(1)}", lambda one: one.delete(uuid(1))),
    "console": (f"/servers/{uuid(1)}/action", lambda one: one.console_log(uuid(1))),
    "floating IP": ("/floatingips", lambda one: one.expose(uuid(1))),
    "leftovers": ("/ports", lambda one: one.list_belongings("port")),
    "upload": ("/images", lambda one: one.upload_image(ImageFile("x", Path(__file__), "qcow2"))),
    "image's deletion": ("/images/1", lambda one: one.delete_image("1")),
    "token": ("/auth/tokens", lambda one: one.list_servers()),
}


@pytest.mark.parametrize("call", CALLS)
def test_retry_after_is_obeyed_whatever_was_asked(cloud: MockCloud, call: str) -> None:
    """The limiter gives no turns any more and placement knows, whoever made the call and whatever became of it."""
    path, ask = CALLS[call]
    cloud.server(1, metadata=OURS, addresses={})
    cloud.ports = [{"id": "p", "device_id": uuid(1), "status": "ACTIVE", "fixed_ips": [{"ip_address": "10.0.0.1"}]}]
    datacenter = opened(cloud, auto_floating_ip=call == "floating IP")
    member = Member(datacenter)
    if call == "floating IP":
        datacenter.list_servers()
    matcher = re.compile(f"{re.escape(HOST)}.*{re.escape(path)}$|{re.escape(HOST)}.*{re.escape(path)}[?]")
    cloud.mock.register_uri(requests_mock.ANY, matcher, status_code=503, headers={"Retry-After": "100"}, json={})
    with contextlib.suppress(DatacenterError):
        ask(datacenter)
    assert 95 < member.limiter.rests_for <= 100
    assert member.candidate([]).rests == "wants to be left alone for 100 s"
    cloud.forget()
    with pytest.raises(DatacenterError, match="wants to be left alone"):
        datacenter.delete(uuid(1))
    assert not cloud.calls
    member.close()


def test_a_create_is_never_sent_twice(cloud: MockCloud) -> None:
    cloud.mock.register_uri("POST", f"{COMPUTE}/servers", exc=requests.exceptions.ReadTimeout)
    with pytest.raises(TryElsewhere):
        opened(cloud).create(order())
    assert cloud.calls.count("POST /servers") == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, WrongConfiguration), (403, WrongConfiguration), (500, TryElsewhere), (429, NoCapacity)]
)
def test_refused_authentication(cloud: MockCloud, status: int, kind: type[DatacenterError]) -> None:
    cloud.mock.register_uri(
        "POST",
        f"{HOST}/identity/v3/auth/tokens",
        status_code=status,
        headers={"Retry-After": "3"},
        json={"error": {"message": "no", "code": status}},
    )
    with pytest.raises(kind) as raised:
        opened(cloud).list_servers()
    if kind is NoCapacity:
        assert raised.value.rest == 3.0


def test_an_answer_that_is_no_json_is_worth_a_retry_elsewhere(cloud: MockCloud) -> None:
    cloud.mock.register_uri("GET", f"{COMPUTE}/servers/detail", text="<html>login</html>")
    with pytest.raises(TryElsewhere, match="no JSON"):
        opened(cloud).list_servers()


@pytest.mark.parametrize("body", [{}, {"server": None}, {"server": {"links": []}}, {"server": {"id": 7}}])
def test_an_answer_without_what_was_made_is_worth_a_retry_elsewhere(cloud: MockCloud, body: Any) -> None:
    cloud.mock.register_uri("POST", f"{COMPUTE}/servers", json=body, status_code=202)
    with pytest.raises(TryElsewhere, match="lacks the id of a server"):
        opened(cloud).create(order())


@pytest.mark.parametrize("body", [{}, {"servers": None}, {"servers": {}}, {"error": "x"}])
def test_an_answer_without_a_list_is_no_empty_list(cloud: MockCloud, body: Any) -> None:
    """Every server would be taken for gone."""
    cloud.mock.register_uri("GET", f"{COMPUTE}/servers/detail", json=body)
    with pytest.raises(TryElsewhere, match="has no list of servers"):
        opened(cloud).list_servers()


def test_deleting_what_is_gone(cloud: MockCloud) -> None:
    with pytest.raises(Gone):
        opened(cloud).delete(uuid(1))


def test_a_missing_service(tmp_path: Path) -> None:
    with requests_mock.Mocker() as mock:
        cloud = MockCloud(mock, tmp_path, services=("compute", "image"))
        cloud.server(1)
        datacenter = opened(cloud, networks=None)
        assert [server.ipv4 for server in datacenter.list_servers()] == ["10.0.0.1"]
        assert left_by(datacenter) == []
        assert datacenter.create(order())


# What servers look like


def listed(cloud: MockCloud, **options: Any) -> Server:
    (server,) = opened(cloud, **options).list_servers()
    return server


def test_server_in_the_houses_words(cloud: MockCloud) -> None:
    cloud.server(1, metadata=OURS)
    assert listed(cloud) == Server(
        id=uuid(1),
        name="np1",
        state=ServerState.ACTIVE,
        ipv4="10.0.0.1",
        private_ipv4="10.0.0.1",
        host="h1",
        need=Quota(1, 1, 2048),
        metadata=OURS,
    )


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "spawning", ServerState.BUILDING),
        ("ACTIVE", None, ServerState.ACTIVE),
        ("ACTIVE", "deleting", ServerState.DELETING),
        ("ERROR", None, ServerState.FAILED),
        ("SHUTOFF", None, ServerState.BUILDING),
    ],
)
def test_states(cloud: MockCloud, status: str, task: str | None, state: ServerState) -> None:
    cloud.server(1, status, **{"OS-EXT-STS:task_state": task})
    assert listed(cloud).state is state


@pytest.mark.parametrize(
    ("message", "full"),
    [
        ("No valid host was found. There are not enough hosts available.", True),
        ("Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures", True),
        ("Build of instance aborted: No more IP addresses available on network", True),
        ("Quota exceeded for resources: ['port']", True),
        ("libvirtError: internal error: qemu unexpectedly closed the monitor", False),
    ],
)
def test_fault_of_a_server(cloud: MockCloud, message: str, full: bool) -> None:
    cloud.server(1, "ERROR", fault={"message": message, "code": 500}, addresses={})
    server = listed(cloud)
    assert (server.fault, server.full) == (message, full)


@pytest.mark.parametrize(
    ("raw", "options", "told"),
    [
        ({"addresses": {"ci-net": [address("10.0.0.1")]}}, {}, ("10.0.0.1", None, "10.0.0.1")),
        (
            {"addresses": {"ci-net": [address("10.0.0.1"), address("203.0.113.1", "floating")]}},
            {},
            ("203.0.113.1", None, "10.0.0.1"),
        ),
        (
            {"addresses": {"ci-net": [address("10.0.0.1")], "public": [address("203.0.113.2")]}},
            {},
            ("203.0.113.2", None, "10.0.0.1"),
        ),
        ({"accessIPv4": "203.0.113.3"}, {}, ("203.0.113.3", None, "10.0.0.1")),
        (
            {"addresses": {"ci-net": [address("10.0.0.1"), address("2001:db8::1", version=6)]}},
            {},
            ("10.0.0.1", "2001:db8::1", "10.0.0.1"),
        ),
        ({"addresses": {"ci-net": [address("10.0.0.1")]}}, {"auto_floating_ip": True}, (None, None, "10.0.0.1")),
        ({"addresses": {"other": [address("8.8.4.4")]}}, {"auto_floating_ip": True}, ("8.8.4.4", None, "8.8.4.4")),
    ],
)
def test_addresses(
    cloud: MockCloud, raw: dict[str, Any], options: dict[str, Any], told: tuple[str | None, str | None, str | None]
) -> None:
    cloud.server(1, **raw)
    server = listed(cloud, **options)
    assert (server.ipv4, server.ipv6, server.private_ipv4) == told
    assert server.address is None


def test_ipv6_can_be_preferred(cloud: MockCloud) -> None:
    cloud.server(1, addresses={"ci-net": [address("10.0.0.1"), address("2001:db8::1", version=6)]})
    assert listed(cloud, prefer_ipv6=True).address == "2001:db8::1"


def test_what_clouds_yaml_says_of_a_network_counts(cloud: MockCloud) -> None:
    text = cloud.clouds_yaml.read_text()
    cloud.clouds_yaml.write_text(text + "    networks: [{name: ci-net, routes_externally: true}]\n")
    cloud.server(1)
    assert listed(cloud, auto_floating_ip=True).ipv4 == "10.0.0.1"


def test_pages_are_followed(cloud: MockCloud) -> None:
    cloud.page = 2
    for number in range(5):
        cloud.server(number)
    assert len(opened(cloud).list_servers()) == 5
    assert cloud.calls.count("GET /servers/detail") == 3


# Limits


NONSENSE: list[Any] = [
    {},
    {"limits": None},
    {"limits": []},
    {"limits": {"absolute": None}},
    {"limits": {"absolute": {"maxTotalInstances": 10, "maxTotalCores": 20}}},
    {"limits": {"absolute": {"maxTotalInstances": None, "maxTotalCores": 20, "maxTotalRAMSize": 1}}},
    {"limits": {"absolute": {"maxTotalInstances": "many", "maxTotalCores": 20, "maxTotalRAMSize": 1}}},
    {"limits": {"absolute": {"maxTotalInstances": True, "maxTotalCores": [], "maxTotalRAMSize": {}}}},
    [],
    "x",
]


@pytest.mark.parametrize("answer", NONSENSE, ids=str)
def test_limits_that_nobody_understands(cloud: MockCloud, answer: Any) -> None:
    cloud.mock.register_uri("GET", f"{COMPUTE}/limits", json=answer)
    with pytest.raises(TryElsewhere):
        opened(cloud).limits()


@pytest.mark.parametrize("text", ["<html>", "[" * 100_000, ""])
def test_limits_that_are_no_json(cloud: MockCloud, text: str) -> None:
    cloud.mock.register_uri("GET", f"{COMPUTE}/limits", text=text)
    with pytest.raises(TryElsewhere, match="no JSON"):
        opened(cloud).limits()


def test_limits_as_text_are_numbers_too(cloud: MockCloud) -> None:
    cloud.limits = {"maxTotalInstances": "10", "maxTotalCores": "-1", "maxTotalRAMSize": 51200}  # type: ignore[dict-item]
    assert opened(cloud).limits() == Quota(10, math.inf, 51200)


BESIDE = {"limits": "/limits", "flavors": "/flavors/detail", "networks": "/networks"}
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"status_code": 403, "json": {"forbidden": {"message": "Policy doesn't allow it"}}},
    "broken": {"status_code": 500, "text": "oops"},
    "absent": {"status_code": 404, "json": {}},
    "no JSON": {"text": "<html>"},
    "null": {"text": "null"},
    "no map": {"json": ["x"]},
    "empty": {"json": {}},
    "nulls": {"json": {"limits": None, "flavors": None, "networks": None}},
    "numbers": {"json": {"limits": 5, "flavors": 5, "networks": 5}},
    "strings": {"json": {"limits": "x", "flavors": ["x"], "networks": ["x", None, 5]}},
    "half": {"json": {"limits": {"absolute": {}}, "flavors": [{"id": "1", "vcpus": "x"}], "networks": [{"id": None}]}},
    "hangs": {"exc": requests.exceptions.ReadTimeout},
}


def fail(cloud: MockCloud, what: str, fault: str) -> None:
    for name in BESIDE if what == "all" else [what]:
        cloud.mock.register_uri("GET", re.compile(f".*{BESIDE[name]}$"), **FAULTS[fault])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", [*BESIDE, "all"])
def test_servers_are_listed_whatever_else_fails(cloud: MockCloud, what: str, fault: str) -> None:
    cloud.server(1)
    fail(cloud, what, fault)
    member = Member(opened(cloud))
    for number in (1, 2):
        member.poller.poll()
        assert member.poller.snapshot.number == number
        assert [server.name for server in member.poller.snapshot.servers.values()] == ["np1"]
    assert member.breaker.state == "closed"
    known = what in ("flavors", "networks")
    assert member.limits == (Quota(10, math.inf, 51200) if known else None)
    assert (member.free() is None) == (not known), "what is not known is not infinite"
    member.close()


def test_networks_hold_a_list_up_for_seconds_only_and_not_each_time(cloud: MockCloud) -> None:
    cloud.server(1)
    fail(cloud, "networks", "hangs")
    datacenter = opened(cloud)
    for _ in range(5):
        assert len(datacenter.list_servers()) == 1
    asked = [request for request in cloud.mock.request_history if request.path.endswith("/networks")]
    assert [request.timeout for request in asked] == [(5.0, 5.0)]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_known_holds_while_it_can_not_be_read(cloud: MockCloud, fault: str) -> None:
    """An hour later, for the limits, the flavors and the networks."""
    cloud.server(1, flavor={"id": "2", "links": []}, addresses={"public": [address("203.0.113.2")]})
    member = Member(opened(cloud))
    datacenter: Any = member.datacenter
    member.poller.poll()
    fail(cloud, "all", fault)
    for kept in (datacenter._catalog.flavors, datacenter._catalog.networks):
        kept._read_at -= 3600
    for _ in range(2):
        member.poller.outdate_limits()
        member.poller.poll()
        (server,) = member.poller.snapshot.servers.values()
        assert server.need == Quota(1, 4, 8192)
        assert (server.ipv4, server.private_ipv4) == ("203.0.113.2", "203.0.113.2")
        assert member.limits == Quota(10, math.inf, 51200)
    assert datacenter.create(order())
    member.close()


def test_single_flavor_that_nobody_understands_hides_no_other(cloud: MockCloud) -> None:
    cloud.flavors = [{"id": "9", "name": None, "ram": None}, *cloud.flavors]
    assert opened(cloud).create(order())


def test_doctor_says_why_the_limits_are_not_known_and_what_does_without(cloud: MockCloud) -> None:
    fail(cloud, "all", "refused")
    found = {finding.check: finding for finding in opened(cloud, networks=None).examine([order(image="")])}
    assert not found["quota"].ok
    assert "403 Policy doesn't allow it; `ignore-quota: true` does without" in found["quota"].detail
    assert not found["flavors"].ok
    assert not found["networks"].ok


def test_limits(cloud: MockCloud) -> None:
    assert opened(cloud).limits() == Quota(10, math.inf, 51200)
    assert opened(cloud, max_servers=4, max_ram=99999).limits() == Quota(4, math.inf, 51200)
    assert opened(cloud, ignore_quota=True, max_cores=8).limits() == Quota(math.inf, 8, math.inf)


# Images


def glance(cloud: MockCloud, path: Path, statuses: list[str], size: int | None = None) -> None:
    cloud.mock.register_uri("POST", f"{HOST}/image/v2/images", json={"id": uuid(60), "status": "queued"})
    cloud.mock.register_uri(
        "PUT", f"{HOST}/image/v2/images/{uuid(60)}/file", status_code=204, text=lambda r, _c: str(r.body.read())
    )
    answers = [{"json": {"status": s, "size": path.stat().st_size if size is None else size}} for s in statuses]
    cloud.mock.register_uri("GET", f"{HOST}/image/v2/images/{uuid(60)}", answers)
    cloud.mock.register_uri("DELETE", f"{HOST}/image/v2/images/{uuid(60)}", status_code=204)


def test_upload_streams_marks_and_waits(cloud: MockCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zuul_suse.datacenter.openstack.images._POLL", 0.01)
    path = tmp_path / "leap.qcow2"
    path.write_bytes(b"QFI\xfb" * 1000)
    glance(cloud, path, ["saving", "active"])
    metadata = {"nodepool_build_id": "7", "hw_disk_bus": "virtio", "min_disk": "10", "status": "forged"}
    assert opened(cloud).upload_image(ImageFile("leap-1", path, "qcow2", metadata)) == uuid(60)
    post, put = (
        next(r for r in cloud.mock.request_history if r.method == m and "/image/" in r.url) for m in ("POST", "PUT")
    )
    assert post.json() == {
        "name": "leap-1",
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "private",
        "zuul_suse_image": "built",
        "nodepool_build_id": "7",
        "hw_disk_bus": "virtio",
        "min_disk": 10,
    }
    assert put.headers["Content-Type"] == "application/octet-stream"
    assert put.timeout == (10.0, 3600.0)
    assert "DELETE" not in " ".join(cloud.calls)


@pytest.mark.parametrize(("statuses", "size"), [(["killed"], None), (["active"], 0)])
def test_failed_upload_leaves_no_image(cloud: MockCloud, tmp_path: Path, statuses: list[str], size: int | None) -> None:
    path = tmp_path / "leap.raw"
    path.write_bytes(b"x" * 10)
    glance(cloud, path, statuses, size)
    with pytest.raises(TryElsewhere):
        opened(cloud).upload_image(ImageFile("leap-1", path, "raw"))
    assert cloud.calls[-1] == f"DELETE /images/{uuid(60)}"


def test_wrong_image_format(cloud: MockCloud, tmp_path: Path) -> None:
    with pytest.raises(WrongConfiguration, match='format "tar" is not one of qcow2, raw'):
        opened(cloud).upload_image(ImageFile("leap-1", tmp_path, "tar"))


def test_only_images_with_our_mark_are_ours(cloud: MockCloud) -> None:
    ours = {"id": uuid(61), "name": "leap-1", "visibility": "private", "zuul_suse_image": "built", "size": 3}
    cloud.images = [
        ours | {"nodepool_build_id": "7"},
        {"id": uuid(62), "name": "theirs", "visibility": "private"},
        ours | {"id": uuid(63), "visibility": "public"},
    ]
    (image,) = opened(cloud).list_images()
    assert (image.id, image.name, image.metadata) == (uuid(61), "leap-1", {"nodepool_build_id": "7"})
    (asked,) = [request for request in cloud.mock.request_history if request.path.endswith("/images")]
    assert asked.qs == {"zuul_suse_image": ["built"], "visibility": ["private"]}


def test_console(cloud: MockCloud) -> None:
    assert opened(cloud).console_log(uuid(1)) == "login:"
    assert cloud.last().json() == {"os-getConsoleOutput": {}}
