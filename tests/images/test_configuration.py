# SPDX-License-Identifier: Apache-2.0
"""nodepool/nodepool.yaml: accepted by the real Nodepool, and complete for what our labels promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

KEY = "ssh-ed25519 AAAAC3Nz zuul"


def test_nodepool_accepts_it(configuration_file: Path) -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "nodepool", "-c", configuration_file, "config-validate"],
        env=os.environ | {"NODEPOOL_ZUUL_SSH_PUBLIC_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_label_is_offered_and_every_image_is_used(configuration: dict[str, Any]) -> None:
    (provider,) = configuration["providers"]
    offered = [label for pool in provider["pools"] for label in pool["labels"]]
    assert {label["name"] for label in offered} == {label["name"] for label in configuration["labels"]}
    for key in ("diskimage", "cloud-image"):
        used = {label[key] for label in offered if key in label}
        assert used == {image["name"] for image in provider[f"{key}s"]}, key


def test_it_shows_three_openstack_datacenters_and_an_incus_server(configuration: dict[str, Any]) -> None:
    (provider,) = configuration["providers"]
    kinds = [datacenter["kind"] for datacenter in provider["datacenters"]]
    assert sorted(kinds) == ["incus", "openstack", "openstack", "openstack"]
    used = {name for pool in provider["pools"] for name in pool["datacenters"]}
    assert used == {datacenter["name"] for datacenter in provider["datacenters"]}


def test_no_label_names_a_datacenter(configuration: dict[str, Any]) -> None:
    (provider,) = configuration["providers"]
    for label in configuration["labels"]:
        assert not any(datacenter["name"] in label["name"] for datacenter in provider["datacenters"])


def test_each_image_sets_what_its_elements_require(elements: Path, images: dict[str, dict[str, Any]]) -> None:
    """A variable that an element's README calls required has a value in every image with that element."""
    checked = 0
    for name, image in images.items():
        given = set(image["env-vars"]) | ({"DIB_RELEASE"} if image.get("release") else set())
        for element in image["elements"]:
            readme = (elements / element / "README.rst").read_text()
            for variable in re.findall(r"^:([A-Z_]+): Required", readme, re.MULTILINE):
                assert variable in given, f"{name}: {variable} ({element})"
                checked += 1
    assert checked >= len(images)


def test_images_are_what_a_container_server_takes(images: dict[str, dict[str, Any]]) -> None:
    for name, image in images.items():
        assert image["formats"] == ["tar"], name
        assert image["username"] == "zuul", name
        # Leap 15.6's python3 is 3.6: ansible-core runs on it no more.
        wanted = "/usr/bin/python3.11" if name == "opensuse-leap-15.6" else "/usr/bin/python3"
        assert image["python-path"] == wanted, name
