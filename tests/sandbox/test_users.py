# SPDX-License-Identifier: Apache-2.0
"""Each service has the rights of a user of its own, who finds what is his and nothing else."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zuul_suse.sandbox import environment, loopback_executor, mounts, users
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.sandbox import Sandbox
from zuul_suse.sandbox.state import State, cache_folder
from zuul_suse.sandbox.supervision import PASSED, Supervision

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="zsu-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def state(open_folder: Path) -> State:
    users.ensure()
    state = State(open_folder / "s")
    with state.locked():
        state.choices.review = "git"
        state.choose_ports({}, frozenset())
        state.save()
    return state


def owner(path: Path) -> tuple[str, int]:
    found = path.lstat()
    return pwd.getpwuid(found.st_uid).pw_name, found.st_mode & 0o777


def can_read(path: Path, uid: int) -> bool:
    command = ["cat", str(path)]
    return subprocess.run(command, user=uid, group=uid, extra_groups=[], capture_output=True).returncode == 0


def test_only_what_makes_containers_is_root(state: State) -> None:
    services = {service.name: service for service in Sandbox(state, Progress(quiet=True))._known_services()}
    roots = {name for name, service in services.items() if service.user == users.ROOT}
    assert roots == {"datacenter", "nodepool-builder"}
    assert {service.user for service in services.values()} - {users.ROOT} <= set(users.USERS)
    assert {name for name, service in services.items() if service.umask != 0o077} == roots
    assert len({services[name].user for name in ("zookeeper", "nodepool-launcher", "zuul-executor", "logs")}) == 4


def test_the_supervisor_is_told_whose_each_service_is(state: State) -> None:
    services = Sandbox(state, Progress(quiet=True))._known_services()
    Supervision(state).configure(services)
    lines = (state.root / "etc" / "supervisord.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("user=")] == [f"user={service.user}" for service in services]


def test_an_executor_refuses_to_be_root() -> None:
    command = [sys.executable, "-m", loopback_executor.__name__, "-c", "/nonexistent", "-f"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("zuul-executor: refuses to run as root")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_root_filled_is_handed_over(state: State) -> None:
    for name in (
        "zookeeper/version-2/log.1",
        "zuul/git/x/.git/config",
        "etc/zuul.conf",
        "work/developer/x",
        "tls/ca.pem",
    ):
        state.path(*name.split("/")).write_text("secret")
    users.give(state.root)
    assert owner(state.root) == ("root", 0o711)
    assert owner(state.root / "zookeeper") == (users.ZOOKEEPER, 0o700)
    assert owner(state.root / "zookeeper" / "version-2" / "log.1")[0] == users.ZOOKEEPER
    assert owner(state.root / "zuul" / "git" / "x" / ".git" / "config")[0] == users.ZUUL
    assert owner(state.root / "etc" / "zuul.conf") == ("root", 0o640)
    zuul, zookeeper = (pwd.getpwnam(name).pw_uid for name in (users.ZUUL, users.ZOOKEEPER))
    expected = {
        "zookeeper/version-2/log.1": [zookeeper],
        "zuul/git/x/.git/config": [zuul],
        "etc/zuul.conf": [zuul],
        "work/developer/x": [],
        "tls/ca.pem": [NOBODY, zuul, zookeeper],
        "sandbox.json": [],
    }
    for name, readers in expected.items():
        assert [uid for uid in (NOBODY, zuul, zookeeper) if can_read(state.root / name, uid)] == readers, name


def test_a_link_that_a_service_left_leads_nowhere(state: State, open_folder: Path) -> None:
    """What a service can write, root does not follow."""
    secret = open_folder / "secret"
    (secret / "below").mkdir(parents=True, mode=0o700)
    state.folder("zuul")
    (state.root / "zuul" / "git").symlink_to(secret)
    (state.root / "zuul" / "x").symlink_to(secret / "below")
    users.give(state.root)
    assert owner(state.root / "zuul")[0] == users.ZUUL
    assert {owner(secret), owner(secret / "below")} == {("root", 0o755), ("root", 0o700)}


def test_a_closed_environment_is_shown_to_the_services(open_folder: Path) -> None:
    closed, shown = open_folder / "closed", open_folder / "shown"
    (closed / "venv").mkdir(parents=True)
    shown.mkdir()
    (closed / "venv" / "file").write_text("x")
    closed.chmod(0o700)
    assert not can_read(closed / "venv" / "file", NOBODY)
    try:
        for _ in range(2):
            environment._mount(closed / "venv", shown)
        assert can_read(shown / "file", NOBODY)
        assert len(mounts.below(open_folder)) == 1
        with pytest.raises(OSError, match="Read-only"):
            (shown / "file").unlink()
        # An environment that was made anew
        (closed / "venv").rename(closed / "old")
        (closed / "venv").mkdir()
        environment._mount(closed / "venv", shown)
        assert not list(shown.iterdir())
    finally:
        mounts.release(open_folder)


def test_an_environment_that_its_users_can_not_run_is_told_in_a_line(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "python", lambda _state: "/root/no-such-python")
    try:
        with pytest.raises(environment.SandboxError, match=r"can't run this Python environment .*umask 022") as fault:
            environment.show(state)
        assert "\n" not in str(fault.value)
    finally:
        mounts.release(state.root)


@pytest.mark.parametrize("name", ["PATH", "https_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE", "DIB_RELEASE", "LC_ALL"])
def test_what_services_need_of_the_callers_environment_they_see(name: str) -> None:
    assert PASSED.fullmatch(name)


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "OS_PASSWORD", "SSH_AUTH_SOCK", "GITHUB_TOKEN", "MY_PATH"])
def test_of_its_secrets_they_see_nothing(name: str) -> None:
    assert not PASSED.fullmatch(name)


def test_roots_cache_is_where_services_can_run_what_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == Path("/var/cache/zuul-suse")
    assert os.stat("/var/cache/zuul-suse").st_mode & 0o001
