# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""How an instance that Incus lists is read: which of its addresses count, and when it is ready."""

from __future__ import annotations

import re
from typing import Any

import pytest

from zuul_suse.datacenter import Server
from zuul_suse.datacenter.incus.instance import name_of, server_of

MAC, OTHER_MAC = "00:16:3e:aa:bb:cc", "02:42:00:00:00:01"
ETH0 = {"eth0": {"type": "nic", "network": "lxdbr0", "name": "eth0"}}


def interface(*addresses: str, hwaddr: str = OTHER_MAC, scope: str = "global") -> dict[str, Any]:
    family = {True: "inet6", False: "inet"}
    listed = [{"family": family[":" in text], "address": text, "netmask": "24", "scope": scope} for text in addresses]
    return {"addresses": listed, "hwaddr": hwaddr, "type": "broadcast", "state": "up"}


DOCKER = {"docker0": interface("172.17.0.1"), "lo": interface("127.0.0.1", "::1", hwaddr="", scope="local")}


def instance(networks: dict[str, Any], devices: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    volatile = {"volatile.eth0.hwaddr": MAC}
    listed = {"name": "np1", "status": "Running", "type": "container", "config": volatile, "expanded_config": volatile}
    return listed | {"expanded_devices": ETH0 if devices is None else devices, "state": {"network": networks}} | more


def told(server: Server) -> tuple[str | None, str | None, bool]:
    return server.ipv4, server.ipv6, server.ready


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ({"eth0": interface("10.1.0.5", hwaddr=MAC)}, ("10.1.0.5", None, True)),
        ({"eth0": interface(hwaddr=MAC)}, (None, None, False)),
        ({"eth0": interface("fd42::5", hwaddr=MAC)}, (None, "fd42::5", False)),  # before DHCP answers
        ({"eth0": interface("fe80::5", "169.254.1.1", hwaddr=MAC)}, (None, None, False)),
        ({"eth0": interface("10.1.0.5", hwaddr=MAC, scope="link")}, (None, None, False)),
        ({"eth0": interface("fd42::5", "2001:db8::5", "10.1.0.5", hwaddr=MAC)}, ("10.1.0.5", "2001:db8::5", True)),
        ({}, (None, None, False)),
    ],
)
def test_only_addresses_of_a_network_card_count(
    networks: dict[str, Any], expected: tuple[str | None, str | None, bool]
) -> None:
    """Names of what else there is lie before and after the card's in the alphabet, and begin with an e, too."""
    others = {name: interface("192.168.122.1") for name in ("a0", "edge0", "eth0.100", "virbr0", "zt0")}
    assert told(server_of(instance(DOCKER | others | networks))) == expected


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ({"type": "nic", "nictype": "bridged", "parent": "br0"}, "eth0"),  # LXD chose the name
        ({"type": "nic", "name": "lan0"}, "lan0"),
        ({"type": "nic", "hwaddr": MAC.upper()}, "renamed0"),
    ],
)
def test_a_card_bears_its_configured_name_or_its_hardware_address(device: dict[str, Any], name: str) -> None:
    chosen = {"volatile.card.name": "eth0", "volatile.card.hwaddr": MAC}
    listed = instance(DOCKER | {name: interface("10.1.0.5", hwaddr=MAC)}, {"card": device}, config=chosen)
    assert told(server_of(listed)) == ("10.1.0.5", None, True)


def test_a_virtual_machine_names_its_cards_itself() -> None:
    networks = DOCKER | {"eth0": interface("192.168.1.1"), "enp5s0": interface("10.1.0.5", hwaddr=MAC)}
    assert server_of(instance(networks, type="virtual-machine")).ipv4 == "10.1.0.5"
    del networks["enp5s0"]
    assert not server_of(instance(networks, type="virtual-machine")).ready


def test_other_devices_are_no_cards() -> None:
    devices = {"eth0": {"type": "none"}, "root": {"type": "disk", "path": "/"}}
    assert told(server_of(instance({"eth0": interface("10.1.0.5", hwaddr=MAC)}, devices))) == (None, None, False)


def test_cards_come_in_the_order_of_their_names_and_one_can_be_chosen() -> None:
    names = ("eth10", "eth2", "eth1")
    devices = {name: {"type": "nic", "name": name} for name in names}
    networks = {name: interface(f"10.{name[3:]}.0.5") for name in names}
    listed = instance(networks, devices, expanded_config={}, config={})
    assert server_of(listed).ipv4 == "10.1.0.5"
    assert server_of(listed, nic="eth10").ipv4 == "10.10.0.5"
    assert not server_of(listed, nic="eth3").ready


@pytest.mark.parametrize(
    ("family", "addresses", "ready", "address"),
    [
        ("ipv4", ["fd42::5"], False, None),
        ("any", ["fd42::5"], True, None),
        ("any", ["10.1.0.5"], True, None),
        ("ipv6", ["10.1.0.5"], False, None),
        ("ipv6", ["10.1.0.5", "fd42::5"], True, "fd42::5"),
        ("ipv6", ["fd42::5", "2001:db8::5"], True, "2001:db8::5"),
    ],
)
def test_what_is_waited_for(family: str, addresses: list[str], ready: bool, address: str | None) -> None:
    server = server_of(instance({"eth0": interface(*addresses, hwaddr=MAC)}), family)
    assert (server.ready, server.address) == (ready, address)


def test_what_a_stopped_or_odd_instance_lacks_breaks_no_list() -> None:
    for state in (None, {"network": None}, {"network": {"eth0": {"addresses": None}}}):
        assert not server_of(instance({}, state=state, status="Stopped")).ready
    odd = {"addresses": [{"address": "?", "scope": "global"}, {}], "hwaddr": MAC}
    assert not server_of(instance({"eth0": odd})).ready


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        ("np1", "np1-ab12"),
        ("opensuse_leap.15-6-0000000042", "opensuse-leap-15-6-0000000042-ab12"),
        ("42-node", "n-42-node-ab12"),
        ("x" * 60 + "-0000000042", "x" * 47 + "-0000000042-ab12"),
        ("-" * 70 + "4" * 70, "n-" + "4" * 56 + "-ab12"),
        ("ü", "n--ab12"),
    ],
)
def test_name_of_an_instance(wanted: str, made: str) -> None:
    assert name_of(wanted, "ab12") == made
    assert re.fullmatch("[a-zA-Z][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]", made)
