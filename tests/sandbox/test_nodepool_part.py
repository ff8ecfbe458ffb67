# SPDX-License-Identifier: Apache-2.0
"""A user's own labels and providers in the sandbox's nodepool.yaml."""

import os
from pathlib import Path

import pytest
import yaml

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.nodepool_part import lay_in, read, take_files

OWN = {"labels": [{"name": "standin-debian"}], "providers": [{"name": "sandbox"}], "webapp": {"port": 1}}


def part(folder: Path, text: str) -> Path:
    file = folder / "part.yaml"
    file.write_text(text)
    return file


def test_lists_are_added_and_the_rest_stays(tmp_path: Path) -> None:
    own, target = tmp_path / "own.yaml", tmp_path / "nodepool.yaml"
    own.write_text(yaml.safe_dump(OWN))
    for _ in range(2):
        lay_in(own, read(part(tmp_path, "labels: [{name: far}]\nproviders: [{name: cloud, driver: suse}]\n")), target)
    written = yaml.safe_load(target.read_text())
    assert [label["name"] for label in written["labels"]] == ["standin-debian", "far"]
    assert [provider["name"] for provider in written["providers"]] == ["sandbox", "cloud"]
    assert written["webapp"] == {"port": 1}
    assert target.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("webapp: {}", 'unknown key "webapp" (known: labels, diskimages, providers)'),
        ("labels: far", "labels: expected a list of maps with a name each"),
        ("labels: [{nmae: far}]", "labels: expected a list of maps with a name each"),
        ("- 1", "expected a map with some of labels, diskimages, providers"),
        ("labels: [", "not readable (while parsing"),
    ],
)
def test_fault_is_told_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    file = part(tmp_path, text)
    with pytest.raises(SandboxError) as told:
        read(file)
    assert str(told.value).startswith(f"{file}: {fault}")
    assert "\n" not in str(told.value)


def test_name_that_the_sandbox_has_is_refused(tmp_path: Path) -> None:
    own, target = tmp_path / "own.yaml", tmp_path / "nodepool.yaml"
    own.write_text(yaml.safe_dump(OWN))
    with pytest.raises(SandboxError, match=r"providers\[sandbox\]: the sandbox has one of that name \(has sandbox\)"):
        lay_in(own, {"providers": [{"name": "sandbox"}]}, target)
    assert not target.exists()


def test_files_that_it_names_are_laid_where_the_launchers_user_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine" / "clouds.yaml").write_text("clouds: {}")
    (tmp_path / "mine" / "key").write_text("secret")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "mine" / "clouds.yaml"))
    centers = [
        {"name": "a", "clouds-file": str(tmp_path / "mine" / "clouds.yaml")},
        {"client-key": str(tmp_path / "mine" / "key")},
    ]
    given = {"providers": [{"name": "my/cloud", "datacenters": centers}, {"name": "other", "driver": "static"}]}
    target = tmp_path / "files"
    target.mkdir()
    for _ in range(2):
        take_files(given, target)
    assert Path(str(centers[0]["clouds-file"])).parent == target
    assert Path(str(centers[1]["client-key"])).read_text() == "secret"
    assert sorted(path.name for path in target.iterdir()) == [
        "clouds.yaml",
        "my_cloud-0-clouds-file",
        "my_cloud-1-client-key",
    ]
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}


def test_a_file_that_it_names_and_nobody_has_is_told_with_its_place(tmp_path: Path) -> None:
    given = {"providers": [{"name": "cloud", "datacenters": [{"name": "a", "server-cert": "/nonexistent/cert"}]}]}
    with pytest.raises(
        SandboxError, match=r"^providers\[cloud\]\.datacenters\[a\]\.server-cert: /nonexistent/cert can't"
    ):
        take_files(given, tmp_path)


def test_a_new_part_is_read_by_whom_the_old_one_was(tmp_path: Path) -> None:
    own, target = tmp_path / "own.yaml", tmp_path / "nodepool.yaml"
    own.write_text(yaml.safe_dump(OWN))
    lay_in(own, {}, target)
    os.chown(target, 0, 65534)
    target.chmod(0o640)
    lay_in(own, {"labels": [{"name": "far"}]}, target)
    assert (target.stat().st_gid, target.stat().st_mode & 0o777) == (65534, 0o640)
