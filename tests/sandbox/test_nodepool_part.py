# SPDX-License-Identifier: Apache-2.0
"""A user's own labels and providers in the sandbox's nodepool.yaml."""

from pathlib import Path

import pytest
import yaml

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.nodepool_part import lay_in, read

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
