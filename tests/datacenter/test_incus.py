# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and untyped Nodepool
"""The kind `incus` against a real daemon."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zuul_suse.datacenter import (
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
from zuul_suse.datacenter.incus import IncusDatacenter

from .lxd_daemon import PROJECT, Daemon


@pytest.fixture(scope="module")
def local(daemon: Daemon) -> IncusDatacenter:
    return IncusDatacenter("local", daemon.options(**{"max-servers": 5}))


@pytest.fixture(scope="module")
def image(local: IncusDatacenter, tiny_image: Path) -> str:
    return local.upload_image(
        ImageFile("tiny-1", tiny_image, "tar", {"nodepool_build_id": "1", "nodepool_provider_name": "suse"})
    )


@pytest.fixture
def made(local: IncusDatacenter) -> Iterator[Callable[..., str]]:
    """Creates servers that are gone after the test."""
    ids: list[str] = []

    def create(image: str, **more: Any) -> str:
        ids.append(local.create(Order("np1", image, **more)))
        return ids[-1]

    yield create
    for server_id in ids:
        with contextlib.suppress(Gone):
            local.delete(server_id)


def listed(local: IncusDatacenter, server_id: str) -> Server | None:
    return next((server for server in local.list_servers() if server.id == server_id), None)


def ready(local: IncusDatacenter, server_id: str) -> Server:
    for _ in range(150):
        server = listed(local, server_id)
        if server and server.ready:
            return server
        time.sleep(0.1)
    pytest.fail(f"{server_id} got no address: {server}")


def test_server_comes_up_with_size_metadata_and_address(
    local: IncusDatacenter, image: str, made: Callable[..., str]
) -> None:
    server_id = made(
        image,
        need=Quota(1, 1, 64),
        config={"user.colour": "green"},
        metadata={"nodepool_node_id": "0000000001"},
    )
    server = ready(local, server_id)
    assert server.state is ServerState.ACTIVE
    assert server.need == Quota(1, 1, 64)
    assert server.metadata["nodepool_node_id"] == "0000000001"
    assert server.metadata["colour"] == "green"
    assert server.ipv4
    for _ in range(50):
        try:
            with socket.create_connection((server.ipv4, 22), timeout=2) as link:
                assert link.recv(4) == b"SSH-"
                break
        except OSError:
            time.sleep(0.1)
    else:
        pytest.fail("no ssh on the server")


def test_a_bridge_of_its_own_makes_no_server_ready(
    local: IncusDatacenter, image: str, made: Callable[..., str], daemon: Daemon
) -> None:
    """Such as docker's, which is there before DHCP answers."""
    server_id = made(image)
    ready(local, server_id)

    def run(*command: str) -> None:
        daemon.run("lxc", "--project", PROJECT, "exec", server_id, "--", "/bin/busybox", *command)

    run("brctl", "addbr", "docker0")
    run("ifconfig", "docker0", "172.17.0.1", "netmask", "255.255.0.0")
    run("ifconfig", "eth0", "0.0.0.0")
    run("ifconfig", "eth0", "add", "fd00:9::5/64")
    server = listed(local, server_id)
    assert server is not None
    assert (server.ipv4, server.ipv6, server.ready) == (None, "fd00:9::5", False)
    (any_server,) = IncusDatacenter("any", daemon.options(**{"address-family": "any"})).list_servers()
    assert any_server.ready


@pytest.mark.parametrize("name", ["opensuse_leap.15.6", "42", "n" * 80])
def test_a_name_that_incus_would_refuse(local: IncusDatacenter, image: str, name: str) -> None:
    server_id = local.create(Order(name, image))
    try:
        assert listed(local, server_id)
    finally:
        local.delete(server_id)


def test_server_knows_its_own_name(
    local: IncusDatacenter, image: str, made: Callable[..., str], daemon: Daemon
) -> None:
    server_id = made(image)
    for name, text in (("hostname", f"{server_id}\n"), ("hosts", f"127.0.1.1 {server_id}\n")):
        written = daemon.run("lxc", "--project", PROJECT, "file", "pull", f"{server_id}/etc/{name}", "-")
        assert text in written


def test_two_servers_of_one_name_get_different_ids(image: str, made: Callable[..., str]) -> None:
    assert made(image) != made(image)


def test_deleted_server_is_gone(local: IncusDatacenter, image: str, made: Callable[..., str]) -> None:
    server_id = made(image)
    local.delete(server_id)
    assert listed(local, server_id) is None
    with pytest.raises(Gone):
        local.delete(server_id)


def test_console_log_can_be_read(local: IncusDatacenter, image: str, made: Callable[..., str]) -> None:
    server_id = made(image)
    ready(local, server_id)
    assert "tiny asks for an address" in local.console_log(server_id)


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"image": "opensuse-leap"}, WrongConfiguration, 'local: image "opensuse-leap"'),
        ({"config": {"limits.nonsense": "1"}}, WrongConfiguration, "limits.nonsense"),
    ],
)
def test_impossible_order_is_wrong_configuration(
    local: IncusDatacenter, image: str, more: dict[str, Any], error: type[DatacenterError], said: str
) -> None:
    with pytest.raises(error, match=said):
        local.create(Order("np1", **({"image": image} | more)))
    assert not local.list_servers()


def test_full_project_is_no_capacity(local: IncusDatacenter, image: str, daemon: Daemon) -> None:
    daemon.run("lxc", "project", "set", PROJECT, "limits.instances=0")
    try:
        with pytest.raises(NoCapacity):
            local.create(Order("np1", image))
    finally:
        daemon.run("lxc", "project", "unset", PROJECT, "limits.instances")


def test_image_is_listed_with_its_metadata_until_deleted(local: IncusDatacenter, tiny_image: Path) -> None:
    file = ImageFile("tiny-2", tiny_image, "tar", {"nodepool_upload_id": "0000000002"})
    image_id = local.upload_image(file)
    (found,) = [image for image in local.list_images() if image.id == image_id]
    assert found.name == "tiny-2"
    assert found.metadata["nodepool_upload_id"] == "0000000002"
    assert local.find_image(image_id) == found
    assert file.made(found)
    local.delete_image(image_id)
    assert image_id not in {image.id for image in local.list_images()}
    for ask in (local.find_image, local.delete_image):
        with pytest.raises(Gone):
            ask(image_id)


def test_upload_streams(local: IncusDatacenter, tmp_path: Path) -> None:
    big = tmp_path / "big.tar"
    with big.open("wb") as file:
        file.truncate(200 * 2**20)  # an empty tar
    tracemalloc.start()
    try:
        local.delete_image(local.upload_image(ImageFile("big", big, "tar")))
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_other_formats_are_refused(local: IncusDatacenter, tiny_image: Path) -> None:
    with pytest.raises(WrongConfiguration, match='local: image format "qcow2" is not one of tar'):
        local.upload_image(ImageFile("x", tiny_image, "qcow2"))


def test_limits_are_the_configured_ones_and_the_hosts_memory(local: IncusDatacenter) -> None:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    limits = local.limits()
    assert limits.instances == 5
    assert limits.cores == float("inf")
    assert abs(limits.ram - int(total.split()[1]) // 1024) < limits.ram * 0.1


@pytest.fixture
def remote(daemon: Daemon, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Options to reach the daemon by https with a client certificate."""
    key, cert = tmp_path / "client.key", tmp_path / "client.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=zuul-suse-test", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    daemon.run("lxc", "config", "set", f"core.https_address={address}")
    yield daemon.options(
        **{
            "url": f"https://{address}",
            "client-cert": str(cert),
            "client-key": str(key),
            "server-cert": str(daemon.folder / "server.crt"),
        }
    )
    daemon.run("lxc", "config", "unset", "core.https_address")


def test_https_wants_a_certificate_that_the_server_trusts(remote: dict[str, Any], daemon: Daemon) -> None:
    with pytest.raises(WrongConfiguration, match=r"remote: https://127.0.0.1:\d+ does not trust the certificate"):
        IncusDatacenter("remote", remote).list_servers()
    daemon.run("lxc", "config", "trust", "add", remote["client-cert"])
    assert list(IncusDatacenter("remote", remote).list_servers()) == []


def test_https_refuses_a_server_with_another_certificate(remote: dict[str, Any]) -> None:
    other = remote | {"server-cert": remote["client-cert"]}
    with pytest.raises(TryElsewhere, match=r"(?i)fingerprint"):
        IncusDatacenter("remote", other).list_servers()


def test_daemon_that_is_away_is_worth_a_try_elsewhere(tmp_path: Path) -> None:
    nowhere = IncusDatacenter("away", {"url": str(tmp_path / "unix.socket")})
    with pytest.raises(TryElsewhere, match="away: "):
        nowhere.list_servers()


def test_certificate_that_is_missing_is_wrong_configuration(tmp_path: Path) -> None:
    options = {
        "url": "https://127.0.0.1:1",
        "client-cert": str(tmp_path / "c"),
        "client-key": str(tmp_path / "k"),
    }
    with pytest.raises(WrongConfiguration, match="remote: "):
        IncusDatacenter("remote", options).list_servers()
