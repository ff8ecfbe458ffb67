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


def test_every_label_has_an_image_in_a_pool_over_several_datacenters(configuration: dict[str, Any]) -> None:
    (provider,) = configuration["providers"]
    assert len(provider["datacenters"]) >= 3
    offered = {label["name"]: label["diskimage"] for pool in provider["pools"] for label in pool["labels"]}
    assert set(offered) == {label["name"] for label in configuration["labels"]}
    assert set(offered.values()) == {image["name"] for image in provider["diskimages"]}


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
