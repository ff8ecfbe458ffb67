# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - the SDK has no types
"""The test cloud itself: servers boot, answer ssh and go again; faults by wish; a cloud that is stopped leaves
nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.exceptions import ForbiddenException, ServiceDisabledException

from zuul_suse.sandbox.supervision import marked_processes

from .cloud import Cloud, running, stop

pytestmark = pytest.mark.cloud
Boot = Callable[..., Any]


@pytest.fixture
def boot(cloud: Cloud) -> Iterator[Boot]:
    """Boots a server in a region and waits for the end of BUILD; all are deleted at the end, and that is seen."""
    made: list[tuple[str, str]] = []

    def one(region: str, flavor: str = "small", **more: Any) -> Any:
        sdk = cloud.connect(region)
        server = sdk.compute.create_server(
            name="test-cloud",
            image_id=sdk.image.find_image(cloud.image).id,
            flavor_id=sdk.compute.find_flavor(flavor).id,
            networks=[{"uuid": sdk.network.find_network(cloud.network).id}],
            key_name=cloud.key,
            **more,
        )
        made.append((region, server.id))
        return wait_for(lambda: built(sdk.compute.get_server(server.id)))

    yield one
    for region, server_id in made:
        cloud.connect(region).compute.delete_server(server_id)
    for region, server_id in made:
        sdk = cloud.connect(region)
        wait_for(lambda sdk=sdk, one=server_id: sdk.compute.find_server(one) is None)
        assert list(sdk.network.ports(device_id=server_id)) == []


def built(server: Any) -> Any:
    return None if server.status == "BUILD" else server


def wait_for(check: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)
    return found


def address(cloud: Cloud, server: Any) -> str:
    return str(server.addresses[cloud.network][0]["addr"])


def ssh(cloud: Cloud, host: str, known_hosts: Path, command: str) -> subprocess.CompletedProcess[str]:
    options = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts}", "-o", "BatchMode=yes"]
    where = ["-p", str(cloud.ssh_port), "-i", str(cloud.ssh_key), f"{cloud.ssh_user}@{host}"]
    return subprocess.run(["ssh", *options, *where, command], capture_output=True, text=True, timeout=60, check=False)


def test_servers_of_every_region_answer_ssh_with_the_key_that_a_scan_finds(
    cloud: Cloud, boot: Boot, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    for region in cloud.regions:
        server = boot(region)
        assert server.status == "ACTIVE"
        host = address(cloud, server)
        known.touch()
        assert ssh(cloud, host, known, "true").returncode != 0  # nobody knows its key yet
        scan = subprocess.run(["ssh-keyscan", "-p", str(cloud.ssh_port), host], capture_output=True, check=True)
        known.write_bytes(scan.stdout)
        assert ssh(cloud, host, known, 'echo "$SSH_CONNECTION"').stdout.split()[2] == host


def test_a_closed_door_answers_at_other_addresses_only(cloud: Cloud) -> None:
    def answers(host: str) -> bool:
        command = ["ssh-keyscan", "-t", "ed25519", "-p", str(cloud.ssh_port), host]
        return bool(subprocess.run(command, capture_output=True, check=False).stdout)

    cloud.close_ssh("127.64.255.1")
    try:
        assert not answers("127.64.255.1")
        assert answers("127.64.255.2")
    finally:
        cloud.close_ssh()
    assert answers("127.64.255.1")


def test_faults_by_wish(cloud: Cloud, boot: Boot) -> None:
    region = cloud.regions[0]
    assert "No valid host" in boot(region, "impossible").fault["message"]
    with cloud.without_hosts(region):
        assert "No valid host" in boot(region).fault["message"]
    failed = boot(region, metadata={"fake-failure": "yes"})
    assert (failed.status, "by wish" in failed.fault["message"]) == ("ERROR", True)
    began = time.monotonic()
    server = boot(region, metadata={"fake-boot-seconds": "3"})
    assert (server.status, time.monotonic() - began > 3) == ("ACTIVE", True)
    assert server.id in cloud.connect(region).compute.get_server_console_output(server.id)["output"]


def test_a_quota_is_enforced_in_novas_words(cloud: Cloud, boot: Boot) -> None:
    region = cloud.regions[-1]
    cloud.set_quota(region, instances=0)
    try:
        with pytest.raises(ForbiddenException, match="Quota exceeded for instances: Requested 1"):
            boot(region)
    finally:
        cloud.set_quota(region, instances=-1)


def test_block_storage_is_only_in_the_builtin_drivers_cloud(cloud: Cloud) -> None:
    region = cloud.regions[0]
    assert list(cloud.connect(f"{region}-builtin").block_storage.volumes()) == []
    with pytest.raises(ServiceDisabledException):
        list(cloud.connect(region).block_storage.volumes())


def test_a_starter_that_is_killed_leaves_a_cloud_that_one_call_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("c", numbered=True) / "cloud"
    command = [sys.executable, "-m", "tests.cloud", "up", "--regions", "1"]
    root = Path(__file__).parents[2]
    starter = subprocess.Popen(command, cwd=root, env={**os.environ, "ZUUL_SUSE_CLOUD": str(folder)})
    try:
        wait_for(lambda: len(marked_processes(folder)) > 5)
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    try:
        assert running(folder) is None
        assert marked_processes(folder)
    finally:
        stop(folder)
    assert marked_processes(folder) == []
    assert not folder.exists()
