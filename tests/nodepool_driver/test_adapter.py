# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - untyped Nodepool
"""The adapter alone: what a launcher test can't provoke at will."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nodepool.config import Config
from nodepool.driver import Drivers

from nodepool import exceptions
from zuul_suse.datacenter import Order, Quota, Server, ServerState
from zuul_suse.datacenter.fake import FakeDatacenter
from zuul_suse.fleet import split_server
from zuul_suse.fleet.leaks import LeakList
from zuul_suse.nodepool_driver.adapter import SuseAdapter, SuseInstance
from zuul_suse.nodepool_driver.config import SuseProviderConfig
from zuul_suse.nodepool_driver.demand import demand_for

from .conftest import open_adapter

SECTION: dict[str, Any] = {
    "name": "suse",
    "driver": "suse",
    "boot-timeout": 5,
    "datacenters": [{"name": "nbg", "kind": "fake", "max-servers": 50}, {"name": "prg", "kind": "fake"}],
    "cloud-images": [{"name": "leap"}],
    "pools": [{"name": "main", "labels": [{"name": "leap", "cloud-image": "leap", "cpus": 2, "ram": 4096}]}],
}
LOG = logging.getLogger("test")


@pytest.fixture
def adapter() -> Iterator[SuseAdapter]:
    with open_adapter(SECTION) as made:
        yield made


def twin(adapter: SuseAdapter, name: str) -> FakeDatacenter:
    datacenter = adapter.fleet.members[name].datacenter
    assert isinstance(datacenter, FakeDatacenter)
    return datacenter


def launch(adapter: SuseAdapter, node: str = "0000000001", az: str | None = None) -> Any:
    label = adapter.config.pools["main"].labels["leap"]
    metadata = {"nodepool_provider_name": "suse", "nodepool_node_id": node}
    return adapter.getCreateStateMachine(f"np{node}", label, None, metadata, None, az, LOG)


def crank(machine: Any) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = machine.advance()
        if machine.complete:
            return result
        time.sleep(0.02)
    pytest.fail(f"still {machine.state}")


def soon(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    pytest.fail("not within 5 s")


def heard_of(adapter: SuseAdapter) -> SuseAdapter:
    list(adapter.listInstances())
    soon(lambda: all(member.limits for member in adapter.fleet.members.values()))
    return adapter


def test_constructor_calls_nobody_and_starts_no_thread(adapter: SuseAdapter) -> None:
    assert twin(adapter, "nbg").calls == {}
    assert not [thread for thread in threading.enumerate() if "poll-nbg" in thread.name]


def test_threads_have_names_that_nodepool_knows(adapter: SuseAdapter) -> None:
    before = set(threading.enumerate())
    crank(launch(heard_of(adapter)))
    new = [thread.name for thread in set(threading.enumerate()) - before]
    assert len(new) >= 3
    assert all(name.startswith("openstack-api") for name in new), new


def test_lists_and_sums_never_raise(adapter: SuseAdapter) -> None:
    for name in ("nbg", "prg"):
        twin(adapter, name).fault = "unreachable"
    assert list(adapter.listInstances()) == []
    assert list(adapter.listResources()) == []
    assert adapter.getQuotaLimits().get_resources() == {"instances": 0, "cores": 0, "ram": 0}


def test_sum_has_every_datacenter(adapter: SuseAdapter) -> None:
    assert heard_of(adapter).getQuotaLimits().get_resources()["instances"] == 150


def test_machine_becomes_an_instance(adapter: SuseAdapter) -> None:
    machine = launch(heard_of(adapter), az="nbg")
    instance = crank(machine)
    assert instance.external_id == machine.external_id
    assert machine.external_id.startswith("nbg/")
    assert instance.ready
    assert instance.metadata["nodepool_node_id"] == "0000000001"
    assert instance.getQuotaInformation().get_resources() == {"instances": 1, "cores": 2, "ram": 4096}
    assert [one.external_id for one in adapter.listInstances()] == [machine.external_id]


def test_server_that_is_being_deleted_is_not_found_as_leaked(adapter: SuseAdapter) -> None:
    machine = launch(heard_of(adapter), az="nbg")
    crank(machine)
    _, server_id = split_server(machine.external_id)
    assert [one.external_id for one in adapter.listResources()] == [server_id]
    adapter.fleet.member("nbg").reaper.abandon(server_id)
    assert list(adapter.listResources()) == []


def test_second_launch_of_a_node_avoids_where_it_failed(adapter: SuseAdapter) -> None:
    heard_of(adapter)
    crank(launch(adapter, az="nbg"))
    assert crank(launch(adapter, az="nbg")).az == "prg"


def test_failure_everywhere_is_a_launch_exception(adapter: SuseAdapter) -> None:
    heard_of(adapter)
    for name in ("nbg", "prg"):
        twin(adapter, name).fault = "create-refused"
    with pytest.raises(exceptions.LaunchNodepoolException, match=r"prg: .*nbg: |nbg: .*prg: "):
        crank(launch(adapter, "0000000001"))


def test_launch_waits_for_room_and_its_time_does_not_run(adapter: SuseAdapter) -> None:
    heard_of(adapter)
    for name in ("nbg", "prg"):
        twin(adapter, name).fault = "no-capacity"
    machine = launch(adapter)
    soon(lambda: machine.advance() or machine.machine.waits)
    machine.start_time -= 10_000
    machine.advance()
    assert time.monotonic() - machine.start_time < 1
    assert not machine.complete


def test_order_follows_label_and_datacenter(adapter: SuseAdapter) -> None:
    label = adapter.config.pools["main"].labels["leap"]
    label.datacenters = ["nbg"]
    label.cloud_image.images = {"nbg": "leap-of-nuremberg"}
    label.settings["fake"] = {"x": "y"}
    demand = demand_for(label, None, "np1", {"a": "b"})
    order = demand.order("nbg")
    assert isinstance(order, Order)
    assert (order.name, order.image, order.need.ram) == ("np1", "leap-of-nuremberg", 4096)
    assert (order.settings, order.metadata) == ({"x": "y"}, {"a": "b"})
    assert demand.order("prg") == "not one of the datacenters of label leap"
    label.datacenters = None
    assert getattr(demand.order("prg"), "image", "") == "leap"


def test_limits_of_pools_count_what_flavors_take(adapter: SuseAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    label = adapter.config.pools["main"].labels["leap"]
    monkeypatch.setattr(twin(adapter, "prg"), "need", lambda order: Quota(1, 8, 2048), raising=False)
    needed = adapter.getQuotaForLabel(label).get_resources()
    assert needed == {"instances": 1, "cores": 8, "ram": 4096}
    label.datacenters = ["nbg"]
    assert adapter.getQuotaForLabel(label).get_resources()["cores"] == 2


@pytest.mark.parametrize("stored", ["old/server", "server", {"vm": "server"}, None])
def test_deletion_of_a_server_that_no_datacenter_has_is_not_found(adapter: SuseAdapter, stored: Any) -> None:
    with pytest.raises(exceptions.NotFound):
        crank(adapter.getDeleteStateMachine(stored, LOG))


def test_nodes_that_nobody_can_reach_open_the_breaker(adapter: SuseAdapter) -> None:
    label = adapter.config.pools["main"].labels["leap"]
    for _ in range(3):
        adapter.notifyNodescanFailure(label, "nbg/server")
    adapter.notifyNodescanFailure(label, "old/server")
    assert adapter.fleet.members["nbg"].breaker.state == "open"


def test_leaked_image_is_listed_and_deleted(adapter: SuseAdapter, tmp_path: Path) -> None:
    (tmp_path / "leap.tar").write_bytes(b"x")
    metadata = {"nodepool_build_id": "1", "nodepool_upload_id": 2}
    adapter.config.uploads["leap"] = {"nbg": "tar", "prg": "tar"}
    address = adapter.uploadImage(SimpleNamespace(name="leap"), "leap-1", str(tmp_path / "leap.tar"), "tar", metadata)
    assert sorted(part.split("=")[0] for part in address.split()) == ["nbg", "prg"]
    found = [one for one in adapter.listResources() if one.type == "image"]
    assert [one.metadata for one in found] == [{"nodepool_build_id": "1", "nodepool_upload_id": "2"}] * 2
    adapter.deleteResource(found[0])
    soon(lambda: not twin(adapter, "nbg").list_images())
    adapter.deleteImage(address)
    assert not twin(adapter, "prg").list_images()


def with_built_image(filters: list[str] | None) -> tuple[SuseProviderConfig, Any]:
    section = copy.deepcopy(SECTION) | {"diskimages": [{"name": "leap"}]}
    section["datacenters"][1]["image-type"] = "qcow2"
    section["pools"][0]["labels"] = [{"name": "leap", "diskimage": "leap"}]
    if filters:
        section["pools"][0]["datacenters"] = filters
    whole = Config()
    whole.setLabels([{"name": "leap"}])
    whole.setDiskImages([{"name": "leap", "elements": ["x"]}])
    config = Drivers.get("suse").getProviderConfig(section)
    config.load(whole)
    return config, whole.diskimages["leap"]


def test_image_is_built_and_uploaded_only_for_datacenters_that_may_use_it() -> None:
    config, built = with_built_image(["prg"])
    assert (built.image_types, config.image_type, config.uploads) == ({"qcow2"}, "qcow2", {"leap": {"prg": "qcow2"}})


def test_each_datacenter_gets_the_image_in_its_own_format(tmp_path: Path) -> None:
    config, built = with_built_image(None)
    driver = Drivers.get("suse")
    assert (built.image_types, built.keep_image_types) == ({"tar", "qcow2"}, {"tar", "qcow2"} - {config.image_type})
    made = driver.getAdapter(config)
    (tmp_path / "leap-0001.tar").write_bytes(b"x")
    assert (
        made.uploadImage(config.diskimages["leap"], "leap-1", str(tmp_path / "leap-0001.qcow2"), "x").split("=")[0]
        == "nbg"
    )
    (tmp_path / "leap-0001.qcow2").write_bytes(b"x")
    address = made.uploadImage(config.diskimages["leap"], "leap-1", str(tmp_path / "leap-0001.tar"), "tar")
    assert [part.split("=")[0] for part in address.split()] == ["nbg", "prg"]
    made.stop()


def test_console_is_logged_when_that_is_wanted_and_before_the_server_is_deleted(
    adapter: SuseAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    label = adapter.config.pools["main"].labels["leap"]
    instance = crank(launch(heard_of(adapter), az="nbg"))
    adapter.getConsoleLog(label, instance.external_id)
    assert not adapter.fleet.members["nbg"].reading
    label.console_log = True
    member = adapter.fleet.members["nbg"]
    member.reading.add(split_server(instance.external_id)[1])
    deletion = adapter.getDeleteStateMachine(instance.external_id, LOG)
    deletion.advance()
    assert deletion.state == "waiting for console log"
    adapter.getConsoleLog(label, instance.external_id)
    soon(lambda: "nothing to say" in caplog.text)
    crank(deletion)
    twin(adapter, "nbg").fault = "unreachable"
    adapter.getConsoleLog(label, instance.external_id)
    soon(lambda: "No console log of" in caplog.text)
    adapter.getConsoleLog(label, None)


def test_properties_come_from_the_request(adapter: SuseAdapter, caplog: pytest.LogCaptureFixture) -> None:
    label = adapter.config.pools["main"].labels["leap"]
    label.dynamic_properties = {"for": "{request.requestor}", "bad": "{request.nobody}", "nodepool_node_id": "forged"}
    request = SimpleNamespace(getSafeAttributes=lambda: SimpleNamespace(requestor="zuul"))
    metadata = {"nodepool_provider_name": "suse", "nodepool_node_id": "0000000001"}
    instance = crank(adapter.getCreateStateMachine("np1", label, None, metadata, request, None, LOG))
    assert instance.metadata.items() >= {**metadata, "for": "zuul"}.items()
    assert "bad" not in instance.metadata
    assert "dynamic-instance-properties of label leap: bad" in caplog.text


@pytest.mark.parametrize(("requestor", "spare"), [("NodePool:min-ready", True), ("zuul", False)])
def test_launch_for_which_nobody_waits_may_probe_a_datacenter(
    adapter: SuseAdapter, requestor: str, spare: bool
) -> None:
    label = adapter.config.pools["main"].labels["leap"]
    request = SimpleNamespace(requestor=requestor, getSafeAttributes=dict)
    made = adapter.getCreateStateMachine("np1", label, None, {"nodepool_node_id": "1"}, request, None, LOG)
    assert made.machine._demand.spare is spare


def test_a_datacenter_may_say_which_address_to_connect_to() -> None:
    server = Server("s1", "np1", ServerState.ACTIVE, ipv4="203.0.113.1", ipv6="2001:db8::1", address="2001:db8::1")
    assert SuseInstance("nbg/s1", server).interface_ip == "2001:db8::1"
    assert SuseInstance("nbg/s1", replace(server, address=None)).interface_ip == "203.0.113.1"


def test_dead_datacenter_holds_no_leak_check_of_the_others_up(
    adapter: SuseAdapter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LeakList, "PATIENCE", 0.3)
    heard_of(adapter)
    twin(adapter, "prg")._belongings.put("p1", {"kind": "port", "metadata": {"nodepool_node_id": "1"}})
    twin(adapter, "nbg").fault = "black-hole"
    began = time.monotonic()
    found = [(one.type, one.external_id, one.plural_metric_name) for one in adapter.listResources()]
    assert time.monotonic() - began < 2
    assert found == [("port", "p1", "ports")]
    assert "Leaked ports in datacenter nbg can't be looked for: no answer within 0.3 s" in caplog.text


def test_failed_deletion_of_a_belonging_is_told_and_left_for_the_next_time(
    adapter: SuseAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    heard_of(adapter)
    twin(adapter, "nbg")._belongings.put("p1", {"kind": "port", "metadata": {}})
    (port,) = adapter.listResources()
    twin(adapter, "nbg").fault = "unreachable"
    adapter.deleteResource(port)
    soon(lambda: "Can't delete leaked port p1 in datacenter nbg, will try again: nbg: connection" in caplog.text)
    twin(adapter, "nbg").fault = "none"
    adapter.deleteResource(port)
    soon(lambda: not twin(adapter, "nbg").list_belongings("port"))
    caplog.set_level(logging.INFO)
    adapter.deleteResource(port)
    soon(lambda: "Leaked port p1 in datacenter nbg is gone already" in caplog.text)
