# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them
"""`zuul-suse doctor` as a user calls it: what it prints and how it exits."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..datacenter.lxd_daemon import PROFILE, PROJECT, Daemon, private_daemon

COMMAND = [str(Path(sys.executable).parent / "zuul-suse"), "doctor", "-c"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with private_daemon() as running:
        yield running


@pytest.fixture
def nodepool_yaml(tmp_path: Path) -> Any:
    """Writes a nodepool.yaml with these datacenters and returns its path."""

    def write(*datacenters: dict[str, Any], label: dict[str, Any] | None = None, **pool: Any) -> Path:
        labels = [{"name": "leap", "cloud-image": "leap"} | (label or {})]
        provider = {
            "name": "suse",
            "driver": "suse",
            "datacenters": list(datacenters),
            "cloud-images": [{"name": "leap"}],
            "diskimages": [{"name": "built"}],
            "pools": [{"name": "main", "labels": labels} | pool],
        }
        if label and "diskimage" in label:
            del labels[0]["cloud-image"]
        content = {
            "labels": [{"name": "leap"}],
            "diskimages": [{"name": "built", "elements": ["x"], "username": "zuul"}],
            "providers": [{"name": "other", "driver": "static", "pools": []}, provider],
        }
        path = tmp_path / "nodepool.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def ask(path: Path, *more: str) -> tuple[int, str, str]:
    done = subprocess.run([*COMMAND, str(path), *more], capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout, done.stderr


def findings(path: Path, *more: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    code, said, errors = ask(path, "--json", *more)
    assert said, errors
    told = json.loads(said)
    assert told["well"] is (code == 0)
    return code, {(one["datacenter"], one["check"]): one for one in told["findings"]}


def test_all_is_well(nodepool_yaml: Any) -> None:
    code, said, errors = ask(nodepool_yaml({"name": "nbg", "kind": "fake"}, {"name": "prg", "kind": "fake"}))
    assert (code, errors) == (0, "")
    lines = said.splitlines()
    assert all(line.split()[0].startswith("suse/") and " well " in line for line in lines)
    assert [line.split()[0] for line in lines if "limits " in line] == ["suse/nbg", "suse/prg"]


def test_trouble_in_one_datacenter_hides_no_other(nodepool_yaml: Any) -> None:
    broken = {"name": "nbg", "kind": "fake", "fault": "unreachable"}
    code, found = findings(nodepool_yaml(broken, {"name": "prg", "kind": "fake"}, **{"max-servers": 5}))
    assert code == 1
    assert found["nbg", "reachable"]["ok"] is False
    assert found["nbg", "reachable"]["detail"] == "nbg: connection refused"
    assert found["prg", "limits"]["ok"] is True
    assert "the limits of nbg are not known" in found["all", "max-servers"]["detail"]


def test_black_holes_are_left_after_the_time_limit_all_at_once(nodepool_yaml: Any) -> None:
    holes = [{"name": f"dc{number}", "kind": "fake", "fault": "black-hole"} for number in range(5)]
    began = time.monotonic()
    code, found = findings(nodepool_yaml(*holes, {"name": "prg", "kind": "fake"}), "--time-limit", "2")
    assert time.monotonic() - began < 15
    assert code == 1
    assert [found[f"dc{n}", "reachable"]["detail"] for n in range(5)] == ["no answer within 2 s"] * 5
    assert found["prg", "limits"]["ok"]


def test_quotas_are_added_up_against_the_pools(nodepool_yaml: Any) -> None:
    datacenters = [{"name": name, "kind": "fake", "max-servers": 10} for name in ("nbg", "prg")]
    code, found = findings(nodepool_yaml(*datacenters, **{"max-servers": 20}))
    assert (code, found["all", "max-servers"]["detail"]) == (0, "pool main: 20; all limits together: 20")
    code, found = findings(nodepool_yaml(*datacenters, **{"max-servers": 21}))
    assert (code, found["all", "max-servers"]["ok"]) == (1, False)


def test_pool_and_datacenter_that_are_drained(nodepool_yaml: Any) -> None:
    datacenters = [{"name": name, "kind": "fake", "max-servers": 10 * (name == "nbg")} for name in ("nbg", "prg")]
    code, found = findings(nodepool_yaml(*datacenters, **{"max-servers": 0}))
    detail = "pool main: 0 (gets no more nodes); all limits together: 10"
    assert (code, found["all", "max-servers"]["detail"]) == (0, detail)
    assert found["prg", "limits"]["detail"].startswith("0 servers")


def test_built_image_that_nobody_uploaded(nodepool_yaml: Any, tmp_path: Path) -> None:
    images = tmp_path / "state" / "images"
    images.mkdir(parents=True)
    path = nodepool_yaml(
        {"name": "nbg", "kind": "fake", "state-dir": str(tmp_path / "state")}, label={"diskimage": "built"}
    )
    code, found = findings(path)
    assert code == 1
    assert found["nbg", "built images"]["detail"] == "built: nodepool-builder uploaded none yet"
    (images / "i1.json").write_text(json.dumps({"name": "built-17", "metadata": {}}))
    code, found = findings(path)
    assert (code, found["nbg", "built images"]["detail"]) == (0, "built: 1 uploaded")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "No such file or directory"),
        ("providers: [", "while parsing"),
        ("[]", "expected a map"),
        ("providers: [{name: x, driver: openstack}]", "providers: none has driver: suse"),
        ("providers: [{name: x, driver: suse}]", "providers[x]: datacenters is missing"),
    ],
)
def test_wrong_file_is_told_in_one_line(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "nodepool.yaml"
    if text is not None:
        path.write_text(text)
    code, said, errors = ask(path)
    assert (code, said) == (1, "")
    assert fault in errors
    assert len(errors.splitlines()) == 1


def test_help_tells_exit_codes() -> None:
    said = subprocess.run([*COMMAND[:-1], "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Exit codes: 0 all is well; 1 a check found trouble" in said


# Incus


def test_incus(nodepool_yaml: Any, daemon: Daemon) -> None:
    code, found = findings(nodepool_yaml({"name": "local", "kind": "incus"} | daemon.options()))
    assert code == 1  # the image isn't there
    well = {check for (datacenter, check), one in found.items() if datacenter == "local" and one["ok"]}
    assert well == {"time-outs", "reachable", "certificate", "project", "profiles", "quota"}
    assert found["local", "profiles"]["detail"] == PROFILE
    assert found["local", "images"]["detail"] == 'datacenters[local].image: "leap" not found (has none)'


@pytest.mark.parametrize(
    ("options", "check", "detail"),
    [
        ({"project": "nowhere"}, "project", f'"nowhere" not found (has default, {PROJECT})'),
        ({"profiles": ["nothing"]}, "profiles", f'"nothing" not found (has default, {PROFILE})'),
        ({"nic": "eth7"}, "networks", 'datacenters[local].nic: "eth7" not found (has eth0)'),
    ],
)
def test_incus_with_a_wrong_name(
    nodepool_yaml: Any, daemon: Daemon, options: dict[str, Any], check: str, detail: str
) -> None:
    code, found = findings(nodepool_yaml({"name": "local", "kind": "incus"} | daemon.options(**options)))
    assert code == 1
    assert found["local", check]["ok"] is False
    assert detail in found["local", check]["detail"]


def test_incus_behind_a_closed_port(nodepool_yaml: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code, found = findings(nodepool_yaml({"name": "local", "kind": "incus", "url": f"https://127.0.0.1:{port}"}))
    assert (code, found["local", "reachable"]["ok"]) == (1, False)
