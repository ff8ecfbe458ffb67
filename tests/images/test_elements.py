# SPDX-License-Identifier: Apache-2.0
"""The elements as diskimage-builder, shellcheck and a reader see them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from diskimage_builder import paths
from diskimage_builder.element_dependencies import get_elements

BIN = Path(sys.executable).parent


def hooks(elements: Path) -> list[Path]:
    """Every script that diskimage-builder runs, environment files apart."""
    found = [path for path in elements.glob("*/*.d/*") if path.parent.name != "environment.d"]
    assert len(found) > 10, "the elements' scripts are gone"
    return sorted(found)


def environment_files(elements: Path) -> list[Path]:
    found = sorted(elements.glob("*/environment.d/*"))
    assert found, "the elements' environment files are gone"
    return found


def test_shellcheck_finds_nothing(elements: Path) -> None:
    program = shutil.which("shellcheck")
    assert program, "shellcheck is not installed; run `make packages` (the names stand in bindep.txt)"
    files = [str(path) for path in hooks(elements) + environment_files(elements)]
    run = subprocess.run([program, "-s", "bash", *files], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_the_builder_s_own_linter_passes(elements: Path) -> None:
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ELEMENTS_DIR": "nodepool/elements",
        "LIB_DIR": "nodepool/elements",
    }
    run = subprocess.run(
        [BIN / "dib-lint"], cwd=elements.parents[1], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "PASS" in run.stdout


def test_every_element_says_what_it_is(elements: Path) -> None:
    for element in sorted(path for path in elements.iterdir() if path.is_dir()):
        lines = (element / "README.rst").read_text().splitlines()
        rule = "=" * len(element.name)
        assert lines[:3] == [rule, element.name, rule], f"{element.name}/README.rst: title"
        assert len(" ".join(lines[3:])) > 100, f"{element.name}/README.rst: says nothing"


def test_scripts_are_called_number_verb_object_and_can_be_run(elements: Path) -> None:
    for script in hooks(elements):
        assert re.fullmatch(r"\d\d-[a-z]+(-[a-z0-9]+)+", script.name), script
        assert script.stat().st_mode & stat.S_IXUSR, f"{script} is not executable"
        assert script.read_text().splitlines()[1] == "# SPDX-License-Identifier: Apache-2.0", script
    for file in environment_files(elements):
        assert re.fullmatch(r"\d\d-[a-z]+(-[a-z0-9]+)+\.bash", file.name), file
        assert not file.stat().st_mode & stat.S_IXUSR, f"{file} is sourced, never run"


def resolved(elements: Path, image: dict[str, Any]) -> dict[str, str]:
    """Name and folder of each element of an image, as diskimage-builder expands them."""
    search = f"{elements}:{paths.get_path('elements')}"
    # Raises when an element is missing, or when there is no operating system or more than one.
    return dict(get_elements(image["elements"], search))


def test_each_image_s_elements_resolve(elements: Path, images: dict[str, dict[str, Any]]) -> None:
    assert set(images) == {
        "opensuse-leap-16.0",
        "opensuse-leap-15.6",
        "opensuse-tumbleweed",
        "standin-debian",
    }
    for name, image in images.items():
        root = "debootstrap" if name.startswith("standin") else "zypper-minimal"
        assert root in resolved(elements, image), name


def test_no_element_is_left_unused(elements: Path, images: dict[str, dict[str, Any]]) -> None:
    used = {element for image in images.values() for element in resolved(elements, image)}
    assert {path.name for path in elements.iterdir() if path.is_dir()} <= used


def test_a_stand_in_is_marked_and_nothing_else_is(elements: Path, images: dict[str, dict[str, Any]]) -> None:
    for name, image in images.items():
        assert ("standin-marker" in resolved(elements, image)) == name.startswith("standin-"), name


def test_package_maps_name_packages_that_are_installed(elements: Path) -> None:
    maps = sorted(elements.glob("*/pkg-map"))
    assert maps, "the package maps are gone"
    for file in maps:
        installed = yaml.safe_load((file.parent / "package-installs.yaml").read_text())
        mapped = {name for family in json.loads(file.read_text())["family"].values() for name in family}
        assert mapped <= set(installed), file


def run_environment(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = 'source "$1" && printf "%s\\n" "$DIB_OPENSUSE_PATTERNS" $DIB_ZYPPER_REPOS'
    return subprocess.run(
        ["bash", "-euc", script, "bash", file], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("release", "repositories"),
    [
        ("16.0", ["oss=>http://mirror/distribution/leap/16.0/repo/oss/"]),
        (
            "15.6",
            [
                "oss=>http://mirror/distribution/leap/15.6/repo/oss/",
                "update=>http://mirror/update/leap/15.6/oss/",
                "backports=>http://mirror/update/leap/15.6/backports/",
                "sle=>http://mirror/update/leap/15.6/sle/",
            ],
        ),
        (
            "tumbleweed",
            ["oss=>http://mirror/tumbleweed/repo/oss/", "update=>http://mirror/update/tumbleweed/"],
        ),
    ],
)
def test_each_opensuse_release_has_its_repositories(elements: Path, release: str, repositories: list[str]) -> None:
    file = elements / "opensuse-container" / "environment.d" / "11-set-opensuse-repositories.bash"
    run = run_environment(file, DIB_RELEASE=release, DIB_DISTRIBUTION_MIRROR="http://mirror")
    assert run.stdout.splitlines() == ["patterns-base-base", *repositories], run.stderr


def test_an_unknown_release_is_refused_with_the_known_ones(elements: Path) -> None:
    file = elements / "opensuse-container" / "environment.d" / "11-set-opensuse-repositories.bash"
    run = run_environment(file, DIB_RELEASE="42.3")
    assert run.returncode == 1
    assert run.stderr == 'opensuse-container: DIB_RELEASE: "42.3" is not known (16.0, 15.6, tumbleweed)\n'


def debian_environment(elements: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    file = elements / "debian-container" / "environment.d" / "10-set-debian-release.bash"
    script = 'source "$1" && echo "$DIB_RELEASE $DIB_DEBIAN_SECURITY_MIRROR"'
    command = ["bash", "-euc", script, "bash", str(file)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_an_empty_release_means_bookworm(elements: Path) -> None:
    """nodepool-builder exports DIB_RELEASE empty where a diskimage has none."""
    mirrors = {"DIB_DISTRIBUTION_MIRROR": "http://mirror", "DIB_DEBIAN_SECURITY_MIRROR": "http://security"}
    assert debian_environment(elements, DIB_RELEASE="", **mirrors).stdout == "bookworm http://security\n"


def test_a_mirror_that_nobody_named_ends_the_build(elements: Path) -> None:
    done = debian_environment(elements, DIB_DISTRIBUTION_MIRROR="http://mirror")
    assert done.returncode != 0
    assert "DIB_DEBIAN_SECURITY_MIRROR: debian-container: name a mirror of Debian's in it" in done.stderr
