# SPDX-License-Identifier: Apache-2.0
"""A family of projects in the sandbox: its seed as the demonstration reads it, and clones that are not whole."""

import io
from pathlib import Path

import pytest
import yaml

from zuul_suse import packaged
from zuul_suse.sandbox import SandboxError, mirror, repositories
from zuul_suse.sandbox.family import bring_without_history
from zuul_suse.sandbox.progress import Progress
from zuul_suse.sandbox.repositories import git
from zuul_suse.sandbox.state import State
from zuul_suse.seeds.clone import obtain
from zuul_suse.seeds.description import Project
from zuul_suse.seeds.render import TENANT_LIMITS

ROOT = Path(__file__).parents[2]
PROJECT = Project("crowbar/crowbar-core", "core", "stable/4.0", ("master", "stable/4.0", "stable/9.0"), None)
DEMONSTRATION = """
demonstration:
  job: zuul-suse-crowbar-bundle
  changes:
    - {name: one, project: crowbar/crowbar-core, subject: Do it, edits: [{file: a, append: b}], vote: 1}
"""


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A clone of two branches, which lacks one file of the newest and one that was there once."""
    folder = tmp_path / "mirror" / PROJECT.name
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "stable/4.0")
    for text in ("one", "two"):
        (folder / "installer.msi").write_text(f"binary {text}")
        (folder / "recipe.rb").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", text)
    git(folder, "branch", "other")
    git(folder, "checkout", "-q", "-b", "master")
    git(folder, "rm", "-q", "installer.msi")
    git(folder, "commit", "-q", "-m", "three")
    for name in ("HEAD~1:installer.msi", "HEAD~2:recipe.rb"):
        blob = git(folder, "rev-parse", name)
        (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    return tmp_path / "mirror"


def test_an_incomplete_clone_comes_without_history_and_without_what_it_lacks(upstream: Path, tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.choices.review = "git"
    told = io.StringIO()
    source = obtain(str(upstream), PROJECT, tmp_path / "unused")
    for _ in range(2):
        bring_without_history(state, source, tmp_path / "work", Progress(told))
        bare = Path(repositories.destination(state, PROJECT.name))
        names = git(bare, "for-each-ref", "--format=%(refname)").splitlines()
        assert names == ["refs/heads/master", "refs/heads/stable/4.0"], "the branches that the seed names"
        assert git(bare, "rev-list", "--all", "--count") == "2"
        assert git(bare, "ls-tree", "-r", "--name-only", "stable/4.0") == "recipe.rb"
        assert git(bare, "show", "master:recipe.rb") == "two"
        assert git(bare, "fsck", "--full") == ""
    message = git(bare, "show", "-s", "--format=%B", "master")
    assert f"crowbar/crowbar-core at {git(upstream / PROJECT.name, 'rev-parse', 'master')}" in message
    assert "stable/4.0: without installer.msi, which the clone lacks" in told.getvalue()
    assert "master: without" not in told.getvalue()


def test_a_seed_with_releases_is_read_with_its_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "seed", lambda name: tmp_path / name)
    text = (ROOT / "seeds" / "crowbar.yaml").read_text().split("\ndemonstration:")[0]
    (tmp_path / "crowbar.yaml").write_text(text + DEMONSTRATION)
    seed = mirror.seed_for("zuul-suse-crowbar-bundle")
    assert seed.family is not None
    assert [project.name for project in seed.projects] == [project.name for project in seed.family.taken]
    assert {project.include for project in seed.projects} == {()}
    assert (seed.config_project, seed.own_config_paths) == ("config-project-crowbar", ("zuul-crowbar.d/",))
    (tmp_path / "crowbar.yaml").write_text(text.replace("installer: crowbar/crowbar", "installer: x") + DEMONSTRATION)
    with pytest.raises(SandboxError, match=r'^seeds/crowbar\.yaml: installer: "x" is no project'):
        mirror.seed_for("zuul-suse-crowbar-bundle")


def test_both_layers_of_the_trusted_repository_fit_together() -> None:
    """No file of one takes the place of another's: the sandbox lays folders over each other."""
    layers = ["config-project", "config-project-openstack", "config-project-crowbar"]
    files = [
        str(path.relative_to(ROOT / "seeds" / layer))
        for layer in layers
        for path in (ROOT / "seeds" / layer).rglob("*")
        if path.is_file()
    ]
    assert "zuul.d/crowbar-projects.yaml" in files
    assert len(files) == len(set(files))


def test_the_tenant_takes_the_longest_and_the_largest_of_our_jobs() -> None:
    """Zuul takes a definition beyond the tenant's limits for an error, and leaves the job out."""
    folders = ("zuul.d", "zuul-openstack.d", "zuul-crowbar.d")
    files = [path for folder in folders for path in (ROOT / folder).glob("*.yaml")]
    stanzas = [stanza for path in files for stanza in yaml.safe_load(path.read_text())]
    timeouts = [stanza["job"]["timeout"] for stanza in stanzas if "timeout" in stanza.get("job", {})]
    nodes = [len(stanza["nodeset"].get("nodes", [])) for stanza in stanzas if "nodeset" in stanza]
    assert max(timeouts) <= TENANT_LIMITS["max-job-timeout"]
    assert max(nodes) <= TENANT_LIMITS["max-nodes-per-job"]
