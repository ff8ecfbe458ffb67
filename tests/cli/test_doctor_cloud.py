# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them
"""`zuul-suse doctor` asks a real OpenStack: a good one, and several that are not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..datacenter.openstack_project import Project, project

pytestmark = pytest.mark.cloud
COMMAND = [str(Path(sys.executable).parent / "zuul-suse"), "doctor", "-c"]
GOOD = {
    "time-outs",
    "authentication",
    "reachable",
    "clock",
    "quota",
    "flavors",
    "networks",
    "images",
    "ssh key",
    "zones",
}


@pytest.fixture(scope="module")
def home(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(cloud, cloud.regions[-1], tmp_path_factory.mktemp("project")) as made:
        made.member.compute.create_keypair(
            name="mine", public_key=cloud.ssh_key.with_suffix(".pub").read_text().strip()
        )
        made.admin.compute.update_quota_set(made.id, instances=3, cores=20, ram=40000)
        yield made


@pytest.fixture
def ask(home: Project, tmp_path: Path) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Runs the command on one datacenter with these options; returns exit code and findings by check."""

    def asked(**options: Any) -> tuple[int, dict[str, dict[str, Any]]]:
        given = {key.replace("_", "-"): value for key, value in options.items()}
        content = {
            "labels": [{"name": "leap"}],
            "providers": [
                {
                    "name": "suse",
                    "driver": "suse",
                    "datacenters": [{"name": "here", "kind": "openstack"} | home.options(key_name="mine") | given],
                    "cloud-images": [{"name": "leap", "image": home.cloud.image}],
                    "pools": [{"name": "main", "labels": [{"name": "leap", "cloud-image": "leap"}]}],
                }
            ],
        }
        path = tmp_path / "nodepool.yaml"
        path.write_text(yaml.safe_dump(content))
        command = [*COMMAND, str(path), "--json", "--time-limit", "60"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)["findings"]
        return done.returncode, {one["check"]: one for one in told if one["datacenter"] == "here"}

    return asked


def with_clouds(home: Project, path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """A clouds.yaml that differs from the good one."""
    content = yaml.safe_load(home.clouds_yaml.read_text())
    change(content["clouds"]["project"])
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_good_one(ask: Any) -> None:
    code, found = ask()
    assert code == 0, found
    assert set(found) == GOOD
    assert found["flavors"]["detail"] == "leap: small (1 cores, 1024 MiB)"
    assert found["images"]["detail"] == "stand-in is active"
    assert "compute 2.67" in found["reachable"]["detail"]
    assert found["ssh key"]["detail"] == "mine"


def test_a_wrong_password(ask: Any, home: Project, tmp_path: Path) -> None:
    path = with_clouds(home, tmp_path / "c.yaml", lambda cloud: cloud["auth"].update(password="wrong"))
    code, found = ask(clouds_file=path)
    assert code == 1
    assert set(found) == {"time-outs", "authentication"}
    assert "401" in found["authentication"]["detail"]


@pytest.mark.parametrize(
    ("options", "check", "detail"),
    [
        ({"networks": ["ci"]}, "networks", 'datacenters[here].networks: "ci" not found (has public, test-net)'),
        ({"key_name": "theirs"}, "ssh key", 'datacenters[here].key-name: "theirs" not found (has mine)'),
        ({"flavor_name": "big"}, "flavors", 'datacenters[here].flavor-name: "big" not found'),
        ({"azs": ["moon"]}, "zones", 'datacenters[here].azs: "moon" not found (has nova)'),
        ({"flavor_name": "impossible"}, "flavors", "leap: impossible takes 1 servers, 100000 cores"),
    ],
)
def test_a_wrong_name_is_told_with_the_choices_and_the_rest_is_well(
    ask: Any, options: dict[str, Any], check: str, detail: str
) -> None:
    code, found = ask(**options)
    assert code == 1
    assert [name for name, one in found.items() if not one["ok"]] == [check]
    assert found[check]["detail"].startswith(detail)


def test_a_quota_that_is_too_small(ask: Any) -> None:
    code, found = ask(max_servers=4)
    assert (code, found["quota"]["ok"]) == (1, False)
    assert found["quota"]["detail"].startswith("max-servers: 4 is more than the project's quota: 3 servers, 20 cores")


def test_a_closed_port(ask: Any, home: Project, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v3"
    path = with_clouds(home, tmp_path / "c.yaml", lambda cloud: cloud["auth"].update(auth_url=url))
    code, found = ask(clouds_file=path)
    assert code == 1
    assert found["reachable"]["detail"] == f"here: can't connect to {url.removesuffix('/v3')}: Connection refused"


def test_a_compute_service_that_swallows_everything(ask: Any, home: Project, tmp_path: Path) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(1)
        url = f"http://127.0.0.1:{hole.getsockname()[1]}/v2.1"
        path = with_clouds(home, tmp_path / "c.yaml", lambda cloud: cloud.update(compute_endpoint_override=url))
        began = time.monotonic()
        code, found = ask(clouds_file=path, timeout=3)
        assert time.monotonic() - began < 40
    assert code == 1
    assert found["authentication"]["ok"]
    assert not found["reachable"]["ok"]
    assert "timed out" in found["reachable"]["detail"]


def test_a_region_that_is_not_there(ask: Any) -> None:
    code, found = ask(region_name="atlantis")
    assert code == 1
    assert list(found) == ["configuration"]
    assert "Region atlantis is not a valid region name" in found["configuration"]["detail"]
