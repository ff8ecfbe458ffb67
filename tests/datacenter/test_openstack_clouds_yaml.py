# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""clouds.yaml is changed while a launcher runs: a new password, another project, half a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests_mock
import yaml

from zuul_suse.datacenter import Order, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack import OpenStackDatacenter, clouds, session

from .mock_openstack import HOST, OURS, MockCloud, uuid

AUTH = "POST /auth/tokens"


class Rotated(MockCloud):
    """A cloud whose keystone knows one password, and files that are written in turn."""

    def __init__(self, mock: requests_mock.Mocker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(mock, folder)
        self.monkeypatch = monkeypatch
        self.password = "x"
        self.refusal = (401, "The request you have made requires authentication.")
        self.seconds = 1000.0
        self.reads = 0
        self.writes = 0
        self.write()
        mock.register_uri("POST", f"{HOST}/identity/v3/auth/tokens", json=self._judge)
        mock.register_uri("GET", f"{HOST}/compute/v2.1/servers/detail", json=self._guarded)
        monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        read = clouds.CloudsFiles.read

        def counted(files: clouds.CloudsFiles) -> Any:
            self.reads += 1
            return read(files)

        monkeypatch.setattr(clouds.CloudsFiles, "read", counted)

    def _judge(self, request: Any, context: Any) -> Any:
        if request.json()["auth"]["identity"]["password"]["user"]["password"] != self.password:
            context.status_code, message = self.refusal
            return {"error": {"message": message, "code": context.status_code}}
        return self._token(request, context)

    def _guarded(self, request: Any, context: Any) -> Any:
        return self._known(lambda: self._list_servers(request, context))(request, context)

    def write(self, text: str | None = None, path: Path | None = None, **changes: Any) -> None:
        """clouds.yaml anew, as a minute ago; `changes` of the cloud's entry."""
        path = path or self.clouds_yaml
        if text is None:
            known = yaml.safe_load(path.read_text()) if self.writes else {"clouds": {}}
            entry = known["clouds"].setdefault("nbg", {"auth": self._auth(), "region_name": "one"})
            entry["auth"] |= changes.pop("auth", {})
            entry |= changes
            text = yaml.safe_dump(known)
        path.write_text(text)
        self.writes += 1
        self.age(path)

    def age(self, path: Path, seconds: float = 60.0) -> None:
        when = path.stat().st_mtime - seconds + self.writes / 1000
        os.utime(path, (when, when))

    @staticmethod
    def _auth() -> dict[str, str]:
        names = {"username": "ci", "password": "x", "project_name": "ci"}
        return names | {"auth_url": f"{HOST}/identity/v3", "user_domain_name": "D", "project_domain_name": "D"}

    def revoke(self, password: str) -> None:
        """Keystone has a new password; tokens from before don't count."""
        self.password, self.good_token = password, "none"


class Log:
    """What a datacenter logged."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rotated]:
    with requests_mock.Mocker() as mock:
        yield Rotated(mock, tmp_path, monkeypatch)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def datacenter(cloud: Rotated, log: Log) -> OpenStackDatacenter:
    made = OpenStackDatacenter("nbg", {"cloud": "nbg", "clouds-file": str(cloud.clouds_yaml)})
    made.log = log  # type: ignore[assignment]
    assert made.list_servers() == []
    return made


def test_a_new_password_is_taken_at_the_first_refusal(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.revoke("new")
    cloud.write(auth={"password": "new"})
    cloud.age(cloud.clouds_yaml, -60)  # written just now
    assert datacenter.list_servers() == []
    assert cloud.reads == 2


@pytest.mark.parametrize("refusal", [(404, "Could not find Application Credential: x."), (403, "disabled")])
def test_keystone_has_other_ways_to_refuse(
    cloud: Rotated, datacenter: OpenStackDatacenter, refusal: tuple[int, str]
) -> None:
    cloud.refusal = refusal
    test_a_new_password_is_taken_at_the_first_refusal(cloud, datacenter)


def test_files_are_not_read_at_every_refusal(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.revoke("new")
    for _ in range(30):
        with pytest.raises(WrongConfiguration, match="authentication: 401"):
            datacenter.list_servers()
        cloud.seconds += 1
    assert cloud.reads == 2
    cloud.write(auth={"password": "new"})
    assert datacenter.list_servers() == []


def test_many_threads_come_through_with_one_reading(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.revoke("new")
    cloud.write(auth={"password": "new"})
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: datacenter.list_servers(), range(16))) == [[]] * 16
    assert cloud.reads == 2


def test_a_password_before_its_time_leaves_the_token_there_is(
    cloud: Rotated, datacenter: OpenStackDatacenter, log: Log
) -> None:
    cloud.write(auth={"password": "new"})
    for _ in range(20):
        cloud.seconds += 1
        assert datacenter.list_servers() == []
    assert len(log.warnings) == 1
    assert "clouds.yaml was changed; the connection from before is kept: nbg: authentication: 401" in log.warnings[0]
    cloud.password = "new"
    cloud.seconds += session.REMEMBERED + session.LOOK_EVERY
    datacenter.list_servers()
    cloud.good_token = "revoked"
    assert datacenter.list_servers() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not found in clouds.yaml"),
        ("clouds:\n  nbg:\n    auth: {", "can't be read"),
        ("clouds: {}\n", "not found in clouds.yaml"),
        ("clouds: [nbg]\n", ""),
        ("clouds: {nbg: {auth: {auth_url: 'http://cloud.example/identity/v3'}}}\n", ""),
        ("clouds: {nbg: {auth_type: bogus}}\n", ""),
        ("clouds: {nbg: {networks: [{}]}}\n", "name"),
        ("\x00\x01", "can't be read"),
    ],
)
def test_a_broken_file_leaves_the_old_session_and_is_told_once(
    cloud: Rotated, datacenter: OpenStackDatacenter, log: Log, text: str, said: str
) -> None:
    good = cloud.clouds_yaml.read_text()
    cloud.write(text)
    for _ in range(100):
        cloud.seconds += 1
        assert datacenter.list_servers() == []
    assert len(log.warnings) == 1
    assert said in log.warnings[0]
    cloud.write(good)
    cloud.seconds += session.LOOK_EVERY + 1
    cloud.revoke("x")
    assert datacenter.list_servers() == []


def test_a_file_that_is_gone_leaves_the_old_session(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.clouds_yaml.unlink()
    cloud.seconds += session.LOOK_EVERY + 1
    assert datacenter.list_servers() == []


def test_a_file_that_is_being_written_is_waited_for(
    cloud: Rotated, datacenter: OpenStackDatacenter, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its half would be good, but for the region."""
    cloud.write(region_name="two", networks=[{"name": "ci-net", "default_interface": True}])
    cloud.age(cloud.clouds_yaml, -60)

    def go_on(_seconds: float) -> None:
        cloud.write(region_name="one")

    monkeypatch.setattr(clouds.time, "sleep", go_on)
    cloud.seconds += session.LOOK_EVERY + 1
    datacenter.list_servers()
    assert (datacenter._region.config.region_name, cloud.reads, log.warnings) == ("one", 2, [])
    assert datacenter._region.config.get_default_network() == "ci-net"


def test_a_change_counts_without_a_refusal(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.server(1, addresses={"ci-net": [{"addr": "10.0.0.1", "version": 4}]})
    assert datacenter.list_servers()[0].address is None
    cloud.write(networks=[{"name": "ci-net", "default_interface": True}])
    cloud.seconds += session.LOOK_EVERY + 1
    assert datacenter.list_servers()[0].address == "10.0.0.1"


def test_a_change_of_another_cloud_costs_no_token(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    tokens = cloud.calls.count(AUTH)
    cloud.write(cloud.clouds_yaml.read_text() + "  other: {region_name: two}\n")
    cloud.seconds += session.LOOK_EVERY + 1
    datacenter.list_servers()
    assert (cloud.reads, cloud.calls.count(AUTH)) == (2, tokens)


def test_what_was_learnt_of_another_project_is_forgotten(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    order = Order("np1", uuid(99), metadata=OURS, settings={"flavor-name": "m1.small", "networks": ["ci-net"]})
    for number in range(30):
        cloud.server(number)
    datacenter.create(order)
    datacenter.list_servers()
    cloud.networks = [{"id": uuid(77), "name": "ci-net"}]
    cloud.flavors = [cloud.flavors[0] | {"id": "77"}]
    cloud.servers = []
    cloud.write(auth={"project_name": "other"})
    cloud.seconds += session.LOOK_EVERY + 1
    assert datacenter.list_servers() == []
    datacenter.create(order)
    body = cloud.last().json()["server"]
    assert (body["flavorRef"], body["networks"]) == ("77", [{"uuid": uuid(77)}])


def test_a_list_is_read_with_one_login(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    """Its pages would else be of two projects."""
    cloud.page = 2
    for number in range(6):
        cloud.server(number)
    used: list[str] = []

    def page(request: Any, context: Any) -> Any:
        used.append(request.headers["X-Auth-Token"])
        cloud.write(auth={"project_name": f"project{len(used)}"})
        cloud.seconds += session.LOOK_EVERY + 1
        return cloud._list_servers(request, context)

    cloud.mock.register_uri("GET", f"{HOST}/compute/v2.1/servers/detail", json=page)
    assert len(datacenter.list_servers()) == 6
    assert len(used) == 3
    assert len(set(used)) == 1


def test_a_body_that_can_not_be_sent_again_is_not(cloud: Rotated, datacenter: OpenStackDatacenter) -> None:
    cloud.mock.register_uri("PUT", f"{HOST}/image/v2/images/1/file", status_code=401, json={})
    cloud.write(auth={"project_name": "other"})
    with pytest.raises(TryElsewhere):
        datacenter._region.call("image", "PUT", "/images/1/file", data=b"x", allow_reauth=False)
    assert cloud.calls.count("PUT /images/1/file") == 1


@pytest.mark.parametrize("secret", ["clouds", "secure"])
def test_files_that_openstacksdk_finds(
    cloud: Rotated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """OS_CLIENT_CONFIG_FILE and a secure.yaml beside it."""
    secure = tmp_path / "secure.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(secure))
    datacenter = OpenStackDatacenter("nbg", {"cloud": "nbg"})
    datacenter.list_servers()
    cloud.revoke("new")
    if secret == "clouds":
        cloud.write(auth={"password": "new"})
    else:
        secure.write_text(yaml.safe_dump({"clouds": {"nbg": {"auth": {"password": "new"}}}}))
    assert datacenter.list_servers() == []


def test_a_broken_file_does_not_make_another_count(
    cloud: Rotated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openstacksdk would take the next one that it finds."""
    other = tmp_path / "other.yaml"
    other.write_text(cloud.clouds_yaml.read_text())
    broken = tmp_path / "broken.yaml"
    broken.write_text("clouds: {")
    monkeypatch.setattr(clouds, "CONFIG_FILES", [str(other)])
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [str(other)])
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(broken))
    with pytest.raises(WrongConfiguration, match=r"broken.yaml can't be read"):
        OpenStackDatacenter("nbg", {"cloud": "nbg"}).list_servers()
