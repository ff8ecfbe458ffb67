# SPDX-License-Identifier: Apache-2.0
"""Other people's projects come into the sandbox as one commit with a version, from any clone."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from zuul_suse.sandbox import SandboxError, mirror
from zuul_suse.sandbox.demonstration import Demonstration
from zuul_suse.sandbox.mirror import Project, Seed
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.repositories import git
from zuul_suse.sandbox.state import State

NAME = "openstack/keystone"


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A mirror with one project of two commits and a release tag."""
    folder = tmp_path / "mirror" / NAME
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "master")
    for text in ("one", "two"):
        (folder / "setup.cfg").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", text)
    git(folder, "tag", "31.0.0")
    return tmp_path / "mirror"


@pytest.fixture
def seed() -> Seed:
    """Such as a file of seeds/ describes, with one project."""
    return Seed(
        "http://127.0.0.1:9",
        "master",
        (),
        None,
        (Project(NAME, (), "30.0.0"),),
        Demonstration("zuul-suse-devstack", ()),
    )


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A sandbox on plain git: its projects are bare repositories."""
    found = State(tmp_path / "state")
    found.choices.review = "git"
    return found


def heads(state: State) -> tuple[str, str, str]:
    """The commit, how many commits lead to it, and the tags of what was brought."""
    folder = state.root / "git" / NAME
    commit = git(folder, "rev-parse", "master")
    return commit, git(folder, "rev-list", "--count", "master"), git(folder, "tag")


def test_a_project_becomes_one_commit_with_upstreams_tree_and_release(upstream: Path, seed: Seed, state: State) -> None:
    mirror.bring(state, seed, str(upstream), Progress(io.StringIO()))
    commit, count, tags = heads(state)
    assert (count, tags) == ("1", "31.0.0")
    bare = state.root / "git" / NAME
    assert git(bare, "show", "master:setup.cfg") == "two"
    assert git(upstream / NAME, "rev-parse", "HEAD") in git(bare, "log", "-1", "--format=%s", commit)


def test_the_same_tree_brings_the_same_commit_and_a_newer_one_moves_on(
    upstream: Path, seed: Seed, state: State
) -> None:
    mirror.bring(state, seed, str(upstream), Progress(io.StringIO()))
    first = heads(state)
    mirror.bring(state, seed, str(upstream), Progress(io.StringIO()))
    assert heads(state) == first
    (upstream / NAME / "setup.cfg").write_text("three")
    git(upstream / NAME, "commit", "-q", "-a", "-m", "three")
    mirror.bring(state, seed, str(upstream), Progress(io.StringIO()))
    assert heads(state)[0] != first[0]
    assert git(state.root / "git" / NAME, "show", "master:setup.cfg") == "three"


def test_a_project_of_which_the_name_is_enough_is_empty_and_sought_nowhere(
    upstream: Path, seed: Seed, state: State
) -> None:
    """And what stands there already stays."""
    name = "openstack/horizon"
    named = replace(seed, projects=(Project(name, (), None, empty=True), *seed.projects))
    mirror.check(named, str(upstream))
    mirror.bring(state, named, str(upstream), Progress(io.StringIO()))
    bare = state.root / "git" / name
    assert git(bare, "ls-tree", "master") == ""
    assert heads(state)[1:] == ("1", "31.0.0")
    git(upstream / NAME, "push", "-q", bare.as_uri(), "+master:master")
    mirror.bring(state, named, str(upstream), Progress(io.StringIO()))
    assert git(bare, "show", "master:setup.cfg") == "two"


def test_a_mirror_without_the_project_is_named_before_anything_is_pushed(
    tmp_path: Path, seed: Seed, state: State
) -> None:
    with pytest.raises(SandboxError, match=rf"--git-mirror .*: no repository {NAME} in it \(looked for "):
        mirror.check(seed, str(tmp_path))
    assert not (state.root / "git").exists()


def test_every_seed_can_be_read() -> None:
    assert mirror.seed_for("zuul-suse-devstack").demonstration.changes[0].project == NAME
