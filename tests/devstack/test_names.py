# SPDX-License-Identifier: Apache-2.0
"""The recorded names of openSUSE's packages: every name of the map is in them, each with a source that is told."""

from __future__ import annotations

import pytest
import yaml

from . import names, overlay
from .releases import RELEASES, Release

NAMES = names.recorded()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_every_name_of_the_map_is_recorded(release: Release) -> None:
    assert NAMES.unknown(overlay.opensuse_names(release.python)) == []


def test_what_the_role_installs_is_recorded() -> None:
    defaults = yaml.safe_load((overlay.ROLE / "defaults" / "main.yaml").read_text(encoding="utf-8"))
    assert NAMES.unknown(set(defaults["configure_devstack_opensuse_packages"])) == []


def test_a_name_in_no_list_is_told() -> None:
    assert NAMES.unknown({"curl", "no-such-package"}) == ["no-such-package"]


def test_every_source_says_what_where_and_when() -> None:
    assert set(NAMES.known.values()) == set(NAMES.sources)
    assert [s for s, told in NAMES.sources.items() if not {"what", "where", "date", "releases"} <= told.keys()] == []


def test_nothing_is_known_and_unconfirmed_at_once() -> None:
    assert NAMES.known.keys() & NAMES.unconfirmed.keys() == set()
    assert all(len(reason) > 20 for reason in NAMES.unconfirmed.values())
