# SPDX-License-Identifier: Apache-2.0
"""What goes wrong outside is told in one line, with what to do, and leaves nothing started.

A command that fails is put before the real one on PATH: that is how a download, a daemon or a tool breaks for the user.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zuul_suse.sandbox import nodepool
from zuul_suse.sandbox.mirror import newest
from zuul_suse.sandbox.state import cache_folder
from zuul_suse.sandbox.supervision import marked_processes

from .conftest import CommandLine

CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zsb-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)  # services have users of their own
        yield Path(name)
        CommandLine(Path(name) / "s")("down", "--purge")


def broken(folder: Path, name: str, says: str = "broken on purpose") -> dict[str, str]:
    """An environment in which a command fails."""
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit 1\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The fault: the only line on standard error that is not progress."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_used_port(folder: Path) -> None:
    command = CommandLine(folder / "s")
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        done = command("up", "--port", f"zuul-web={number}", code=1)
    assert f"--port zuul-web={number}: used by another process" in one_line(done)
    assert marked_processes(folder / "s") == []


def test_a_port_that_does_not_exist(folder: Path) -> None:
    done = CommandLine(folder / "s")("up", "--port", "zuul-wbe=8080", code=2)
    assert '"zuul-wbe" is no port of the sandbox (has gerrit-http, ' in done.stderr


def test_an_image_that_does_not_exist(folder: Path) -> None:
    done = CommandLine(folder / "s")("up", "--image", "opensuse-leap-42", code=1)
    assert one_line(done).endswith(
        '--image: "opensuse-leap-42" is no image (has opensuse-leap-16.0, opensuse-leap-15.6, opensuse-tumbleweed,'
        " standin-debian)"
    )


def test_a_datacenter_that_does_not_start(folder: Path) -> None:
    """Both daemons are broken, so that it does not matter which of them this machine has."""
    environment = broken(folder, "lxd") | broken(folder, "incusd")
    broken(folder, "incus")
    done = CommandLine(folder / "s", environment)("up", code=1)
    fault = one_line(done)
    assert "datacenter ended at its start: broken on purpose" in fault
    assert "datacenter.log" in fault
    assert marked_processes(folder / "s") == []


def test_a_gerrit_that_can_not_be_downloaded_fails_a_ci(folder: Path) -> None:
    environment = broken(folder, "mvn", "[ERROR] Could not transfer artifact: network closed -> [Help 1]")
    environment |= {"CI": "true", "XDG_CACHE_HOME": str(folder / "cache")}
    done = CommandLine(folder / "s", environment)("up", code=1)
    fault = one_line(done)
    assert "no Gerrit for Java" in fault
    assert "network closed" in fault
    assert marked_processes(folder / "s") == []


def test_ansible_that_can_not_be_downloaded(folder: Path) -> None:
    """Gerrit's download is there already; pip finds its index closed."""
    cache = folder / "cache" / "zuul-suse"
    cache.mkdir(parents=True)
    (cache / "gerrit").symlink_to(cache_folder() / "gerrit")
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "PIP_INDEX_URL": CLOSED, "PIP_RETRIES": "0"}
    done = CommandLine(folder / "s", environment)("up", code=1)
    assert "Ansible for the executor: " in one_line(done)
    assert marked_processes(folder / "s") == []
    assert not (cache / "ansible" / "complete").exists()


@pytest.mark.parametrize("mirror", ["/nonexistent", CLOSED])
def test_a_mirror_that_can_not_be_reached(folder: Path, mirror: str) -> None:
    done = CommandLine(folder / "s")("demo", "--job", "zuul-suse-devstack", "--git-mirror", mirror, code=1)
    assert "zuul/zuul-jobs" in one_line(done)
    assert "--git-mirror" in one_line(done)
    assert not (folder / "s").exists()


def test_a_job_without_a_demonstration(folder: Path) -> None:
    done = CommandLine(folder / "s")("demo", "--job", "zuul-suse-windows", code=1)
    known = "zuul-suse-crowbar-bundle, zuul-suse-devstack"
    assert one_line(done).endswith(f'--job: no demonstration of "zuul-suse-windows" (has {known})')


def test_a_log_of_no_service(folder: Path) -> None:
    done = CommandLine(folder / "s")("logs", "gerit", code=1)
    assert 'no log of "gerit"' in one_line(done)


def test_status_and_down_without_a_sandbox(folder: Path) -> None:
    command = CommandLine(folder / "s")
    assert "no sandbox in" in command("status", code=1).stdout
    command("down")
    assert not (folder / "s").exists()


def test_a_failed_image_build_is_found_in_the_builders_log(tmp_path: Path) -> None:
    log = tmp_path / "nodepool-builder.log"
    assert nodepool.failed_builds(log, "standin-debian") == 0
    log.write_text(
        "INFO nodepool.builder.BuildWorker.0: DIB failed creating standin-debian (100) (timeout=False)\n"
        "INFO nodepool.builder.BuildWorker.0: DIB failed creating opensuse-leap-16.0 (1) (timeout=False)\n"
    )
    assert nodepool.failed_builds(log, "standin-debian") == 1


def test_the_newest_release_wins_over_the_seeds_version() -> None:
    assert newest(["1.0.0", "33.0.0", "33.1.0.0rc1", "newton-eol"], "30.0.0") == "33.0.0"
    assert newest(["29.0.0"], "30.0.0") == "30.0.0"
    assert newest(["2015.1.4", "29.0.0"], "30.0.0") == "30.0.0"
    assert newest([], None) is None
