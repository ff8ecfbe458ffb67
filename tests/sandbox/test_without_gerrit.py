# SPDX-License-Identifier: Apache-2.0
"""Where no Gerrit can be had, the demonstration goes on with plain git and still ends with a job on a node.

This sandbox's other difference: Zuul's builds are kept in PostgreSQL.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from zuul_suse.sandbox.supervision import marked_processes

from .conftest import CommandLine, without_gerrit
from .postgresql import PostgreSQL, postgresql

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def command(short_folder: Path) -> CommandLine:
    return without_gerrit(short_folder)


@pytest.fixture(scope="module")
def database(short_folder: Path) -> Iterator[PostgreSQL]:
    with postgresql(short_folder / "pg") as server:
        yield server


def test_a_push_is_followed_by_jobs_on_nodes(command: CommandLine, database: PostgreSQL) -> None:
    command("up", "--database-uri", database.uri)
    told = json.loads(command("demo", "--json").stdout)
    assert "zuul-suse-selftest-unit" in {build["job"] for build in told["builds"]}
    assert {build["result"] for build in told["builds"]} == {"SUCCESS"}
    output = requests.get(f"{told['builds'][0]['logs'].rstrip('/')}/job-output.txt", timeout=10)
    assert "PLAY RECAP" in output.text
    assert "gerrit" not in command.services()
    kept = database.ask("select count(*) from zuul_build where result = 'SUCCESS'")
    assert int(kept) >= len(told["builds"]) >= 1
    assert not (command.state_dir / "zuul" / "zuul.sqlite").exists()
    command("down")
    assert marked_processes(command.state_dir) == []
