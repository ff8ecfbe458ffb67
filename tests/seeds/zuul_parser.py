# SPDX-License-Identifier: Apache-2.0
"""Zuul's own parser without its services, for tests of what a tenant takes."""

from __future__ import annotations

import configparser
from types import SimpleNamespace
from typing import Any
from unittest import mock

from zuul.configloader import ParseContext, TenantParser
from zuul.lib.ansible import AnsibleManager
from zuul.lib.connections import ConnectionRegistry

CONNECTIONS = """
[connection gerrit]
driver=gerrit
server=localhost
user=suse-cloud-ci
"""
LIMITS = SimpleNamespace(max_hold_expiration=0, default_hold_expiration=0)


def connections(hostname: str = "localhost") -> Any:  # noqa: ANN401 - Zuul has no types
    """A Gerrit that is configured and never spoken to; projects' canonical names begin with its `hostname`."""
    config = configparser.ConfigParser()
    config.read_string(f"{CONNECTIONS}canonical_hostname={hostname}\n")
    found = ConnectionRegistry()
    found.configure(config, sources=True, triggers=True, reporters=True)
    return found


def context(found: Any) -> Any:  # noqa: ANN401
    """Where one parsing keeps its errors."""
    return ParseContext(found, LIMITS, SimpleNamespace(system_id="test"), AnsibleManager())


def parser(found: Any) -> Any:  # noqa: ANN401
    return TenantParser(found, None, mock.MagicMock(connections=found), None, None, LIMITS, None, None)
