# SPDX-License-Identifier: Apache-2.0
"""`zuul-suse seeds import` into the sandbox's real Gerrit: two made-up barclamps, twice, beside an incomplete third.

The tests of this module stand in order and share one sandbox: bringing it up takes minutes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zuul_suse.sandbox import gerrit
from zuul_suse.sandbox.repositories import git
from zuul_suse.sandbox.state import State
from zuul_suse.seeds.access import EVERYTHING, IMPORT_GROUP
from zuul_suse.seeds.gerrit import project_path

from .conftest import CommandLine

pytestmark = pytest.mark.e2e

KEYSTONE, NOVA, LOST = "barclamps/barclamp-keystone", "barclamps/barclamp-nova", "barclamps/barclamp-lost"
BRANCHES = ("release/stoney/master", "release/tex/master")
SEED = f"""\
hosting: https://hosting.example.com
branch: master
own-config-paths: [zuul-crowbar.d/]
config-project: config-project-crowbar
installer: {KEYSTONE}
releases:
  cloud4: {{branch: {BRANCHES[0]}, components: [{NOVA}, {LOST}]}}
projects:
  - {{name: {KEYSTONE}, default-branch: {BRANCHES[1]}, branches: &both [{", ".join(BRANCHES)}]}}
  - {{name: {NOVA}, component: nova, default-branch: {BRANCHES[1]}, branches: *both}}
  - {{name: {LOST}, component: lost, default-branch: {BRANCHES[1]}, branches: *both}}
"""


@pytest.fixture(scope="module")
def command(short_folder: Path) -> CommandLine:
    return CommandLine(short_folder / "i", {"CI": "true"})


@pytest.fixture(scope="module")
def state(command: CommandLine) -> State:
    """A sandbox that runs."""
    command("up")
    return State(command.state_dir)


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three barclamps with history, a merge and both kinds of tags; the last one lacks an old file."""
    base = tmp_path_factory.mktemp("clones")
    for name in (KEYSTONE, NOVA, LOST):
        folder = base / name
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", BRANCHES[0])
        for text in ("one", "two"):
            (folder / "crowbar.yml").write_text(f"barclamp: {{name: {name}}}\n# {text}\n")
            git(folder, "add", "-A")
            git(folder, "commit", "-q", "-m", f"{name}: {text}")
        git(folder, "checkout", "-q", "-b", BRANCHES[1], "HEAD~1")
        (folder / "README").write_text(name)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"{name}: another way")
        git(folder, "merge", "-q", "--no-ff", "-m", "Merge", BRANCHES[0])
        git(folder, "tag", "release/suse-cloud/4")
        git(folder, "tag", "-a", "-m", "annotated", "v1.0.0", "HEAD~1")
        git(folder, "update-ref", "refs/pull/1/head", "HEAD")
    blob = git(base / LOST, "rev-parse", f"{BRANCHES[0]}~1:crowbar.yml")
    (base / LOST / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    return base


def move(folder: Path, state: State, clones: Path, *words: str, code: int) -> tuple[dict[str, Any], str]:
    """Run the import as the sandbox's administrator: what came of each project, and what was said."""
    (folder / "seed.yaml").write_text(SEED)
    (folder / "password").write_text(state.password("gerrit-admin"))
    program = str(Path(sys.executable).parent / "zuul-suse")
    options = ["--user", gerrit.ADMIN, "--password-file", str(folder / "password"), "--json"]
    options += ["--seed", str(folder / "seed.yaml"), "--from", str(clones), "--gerrit", gerrit.url(state)]
    command = [program, "seeds", "import", *options, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    told = json.loads(done.stdout)["projects"] if done.stdout else []
    return {one["project"]: one for one in told}, done.stderr


def references(folder: Path, state: State, project: str) -> dict[str, str]:
    """What a project has at Gerrit, as a developer's git sees it."""
    who = gerrit.developer(state)
    listed = git(folder, "ls-remote", who.git_address(project), environment=who.git_environment()).splitlines()
    there = {name: commit for commit, name in (line.split("\t") for line in listed)}
    return {name: sha for name, sha in there.items() if not name.endswith("^{}") and name != "refs/meta/config"}


def test_an_incomplete_clone_is_named_and_nothing_is_made(tmp_path: Path, state: State, clones: Path) -> None:
    _, said = move(tmp_path, state, clones, code=1)
    assert f"nothing was pushed: 1 of 3 clones are incomplete: {LOST} (1 objects are missing: " in said.splitlines()[-1]
    for name in (KEYSTONE, NOVA, LOST, "crowbar-acl"):
        assert not gerrit.admin(state).exists(project_path(name)), name


def test_the_other_two_move_and_nothing_is_left_of_the_right(tmp_path: Path, state: State, clones: Path) -> None:
    told, _ = move(tmp_path, state, clones, "--skip-incomplete", code=4)
    assert {name: one["result"] for name, one in told.items()} == {KEYSTONE: "moved", NOVA: "moved", LOST: "left out"}
    review = gerrit.admin(state)
    for name in (KEYSTONE, NOVA):
        lines = git(clones / name, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags")
        wanted = dict(line.split(" ") for line in lines.splitlines())
        assert references(tmp_path, state, name) == {**wanted, "HEAD": wanted[f"refs/heads/{BRANCHES[1]}"]}
        assert review.get(f"{project_path(name)}/HEAD") == f"refs/heads/{BRANCHES[1]}"
        access = review.get(f"{project_path(name)}/access")
        assert access["inherits_from"]["name"] == "crowbar-acl"
        assert EVERYTHING not in access["local"]
    assert not review.exists(project_path(LOST))
    assert review.get(f"groups/{IMPORT_GROUP}/members/") == []
    assert review.get("groups/crowbar-ci/members/") == []
    permissions = review.get(f"{project_path('crowbar-acl')}/access")["local"]["refs/heads/*"]["permissions"]
    assert set(permissions) == {"label-Code-Review", "label-Verified", "submit"}


def test_a_second_time_nothing_is_pushed(tmp_path: Path, state: State, clones: Path) -> None:
    before = {name: references(tmp_path, state, name) for name in (KEYSTONE, NOVA)}
    told, said = move(tmp_path, state, clones, "--skip-incomplete", code=4)
    assert {name: (one["result"], one["pushed"]) for name, one in told.items()} == {
        KEYSTONE: ("unchanged", 0), NOVA: ("unchanged", 0), LOST: ("left out", 0),
    }  # fmt: skip
    assert f"{NOVA}: nothing to push, all is there" in said
    assert {name: references(tmp_path, state, name) for name in (KEYSTONE, NOVA)} == before


def test_a_right_that_was_left_is_dropped(tmp_path: Path, state: State, clones: Path) -> None:
    review = gerrit.admin(state)
    group = review.get(f"groups/{IMPORT_GROUP}")["id"]
    right = {EVERYTHING: {"permissions": {"push": {"rules": {group: {"action": "ALLOW"}}}}}}
    review.post(f"{project_path(NOVA)}/access", {"add": right})
    review.put(f"groups/{IMPORT_GROUP}/members/self")
    _, said = move(tmp_path, state, clones, "--only", KEYSTONE, code=0)
    assert f"{NOVA}: the right that an import before had left was dropped" in said
    assert EVERYTHING not in review.get(f"{project_path(NOVA)}/access")["local"]
    assert review.get(f"groups/{IMPORT_GROUP}/members/") == []


def test_a_stranger_may_not_push_to_what_has_moved(tmp_path: Path, state: State, clones: Path) -> None:
    """A developer sends changes for review; branches are Gerrit's."""
    work = tmp_path / "work"
    work.mkdir()
    who = gerrit.developer(state)
    git(work, "clone", "-q", who.git_address(NOVA), ".", environment=who.git_environment())
    git(work, "commit", "-q", "--allow-empty", "-m", "past the review")
    push = ["git", "-C", str(work), "push", "-q", "origin", f"HEAD:refs/heads/{BRANCHES[1]}"]
    environment = {**os.environ, **who.git_environment()}
    done = subprocess.run(push, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "prohibited by Gerrit" in done.stderr
