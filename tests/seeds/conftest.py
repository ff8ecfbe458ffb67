# SPDX-License-Identifier: Apache-2.0
"""What the tests of seeds share: this repository, and a small family of made-up projects."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FAMILY = """\
hosting: https://hosting.example.com
branch: master
own-config-paths: [zuul-crowbar.d/]
config-project: config-project-crowbar
installer: crowbar/crowbar
releases:
  cloud4:
    branch: release/stoney/master
    components: [crowbar/barclamp-nova]
  cloud7:
    branch: stable/4.0
    components: [crowbar/crowbar-core, crowbar/crowbar-openstack]
    tools: {crowbar/crowbar-init: master}
projects:
  - name: crowbar/crowbar
    default-branch: stable/4.0
    branches: [release/stoney/master, stable/4.0]
  - name: crowbar/barclamp-nova
    component: nova
    default-branch: release/stoney/master
    branches: [master, release/stoney/master]
  - name: crowbar/crowbar-core
    component: core
    default-branch: master
    branches: [master, stable/4.0]
  - name: crowbar/crowbar-openstack
    component: openstack
    default-branch: master
    branches: [master, stable/4.0]
  - name: crowbar/crowbar-init
    default-branch: master
    branches: [master]
  - name: crowbar/crowbar-bootstrap
    default-branch: master
    branches: [master]
    skip: an old name
"""


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def text() -> str:
    """A small seed file that is right."""
    return FAMILY


@pytest.fixture
def checkout(tmp_path: Path, text: str) -> Path:
    """A checkout with that seed."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "crowbar.yaml").write_text(text)
    return tmp_path
