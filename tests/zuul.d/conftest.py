# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Zuul configuration share: the repository's root and every stanza of its YAML files.

Needs nothing but PyYAML, so that the self-test job can run these tests on a small node.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SEED = ROOT / "seeds" / "config-project"


@dataclass(frozen=True)
class Stanza:
    """One item of a Zuul configuration file."""

    file: str
    kind: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """The name that a failing test shows."""
        return str(self.body.get("name", "without a name"))


def stanzas(*folders: Path) -> list[Stanza]:
    """Read every stanza of the YAML files in some folders."""
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            for item in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
                ((kind, body),) = item.items()
                found.append(Stanza(str(path.relative_to(ROOT)), kind, body))
    assert found, f"no configuration in {folders}"
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def public() -> list[Stanza]:
    """What a tenant gets that has this project: zuul.d/, and the folders for those who run OpenStack's or Crowbar's."""
    return stanzas(ROOT / "zuul.d", ROOT / "zuul-openstack.d", ROOT / "zuul-crowbar.d")


@pytest.fixture(scope="session")
def trusted() -> list[Stanza]:
    """What a new tenant's trusted repository is seeded with."""
    return stanzas(SEED / "zuul.d")


@pytest.fixture(scope="session")
def trusted_git() -> list[Stanza]:
    """The same where there is no Gerrit."""
    return stanzas(SEED / "zuul.d-git")
