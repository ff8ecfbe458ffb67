# SPDX-License-Identifier: Apache-2.0
"""The rules of the house for jobs, pipelines and playbooks, as code: design.md and the third-party rules in short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FAMILIES = {"base", "crowbar", "devstack", "image", "selftest"}
JOB_NAME = re.compile(r"zuul-suse-([a-z]+)(-[a-z0-9.]+)*")
NODESET_NAME = re.compile(r"zuul-suse-(crowbar-)?(single|multinode|ha)(-[a-z0-9.]+)*")
LABEL_NAME = re.compile(r"(opensuse-(leap-\d+\.\d+|tumbleweed)|sles-\d+-sp\d|standin-debian)(-[a-z0-9]+)?")
DATACENTER_WORDS = ("nbg", "prague", "provo", "region", "rack")
PLAYBOOK_LINES = 40
TASK_FILE_LINES = 80


def of(stanzas: list[Any], kind: str) -> list[Any]:
    """Pick one kind of stanza, and never none; of a job its main definition, not its variants for branches."""
    found = [s for s in stanzas if s.kind == kind]
    assert found, f"no {kind} at all"
    if kind == "job":
        defined = {s.name for s in found if "branches" not in s.body}
        found = [s for s in found if "branches" not in s.body or s.name not in defined]
    return found


def named_playbooks(job: dict[str, Any]) -> list[str]:
    """Return the playbooks that a job names, each as it stands there."""
    found: list[str] = []
    for key in ("pre-run", "run", "post-run", "cleanup-run"):
        given = job.get(key, [])
        found += given if isinstance(given, list) else [given]
    return [p["name"] if isinstance(p, dict) else p for p in found]


def test_every_job_is_described(public: list[Any], trusted: list[Any]) -> None:
    assert [s.name for s in of(public + trusted, "job") if len(s.body.get("description", "")) < 40] == []


def test_job_names(public: list[Any]) -> None:
    wrong = [s.name for s in of(public, "job") if not (at := JOB_NAME.fullmatch(s.name)) or at[1] not in FAMILIES]
    assert wrong == []


def test_a_job_stands_in_its_familys_file(public: list[Any]) -> None:
    misplaced = {
        s.name: s.file
        for s in of(public, "job")
        if not re.search(rf"/{s.name.split('-')[2]}(-[a-z]+)?-jobs\.yaml$", s.file)
    }
    assert misplaced == {}


def test_selftest_jobs_are_apart(public: list[Any]) -> None:
    """Others use our jobs; what tests this project is not for them."""
    assert {s.file for s in of(public, "job") if "selftest" in s.name} == {"zuul.d/selftest-jobs.yaml"}


def test_time_outs_are_explicit(public: list[Any], trusted: list[Any]) -> None:
    """A job states both or its ancestors among ours do: log collection must not outrun the post time-out."""
    jobs = {s.name: s.body for s in of(public + trusted, "job")}

    def stated(name: str, key: str) -> bool:
        while name in jobs:
            if key in jobs[name]:
                return True
            name = jobs[name].get("parent", "base")
        return False

    missing = [(name, key) for name in jobs for key in ("timeout", "post-timeout") if not stated(name, key)]
    assert missing == []


def test_a_job_that_runs_says_what_is_irrelevant(public: list[Any]) -> None:
    """A change to a document must not cost a node: each job, or an ancestor of ours, has irrelevant-files or files."""
    jobs = {s.name: s.body for s in of(public, "job")}

    def stated(name: str) -> bool:
        while name in jobs:
            if "irrelevant-files" in jobs[name] or "files" in jobs[name]:
                return True
            name = jobs[name].get("parent", "base")
        return name != "base"  # an upstream job's own list counts

    assert [name for name in jobs if not jobs[name].get("abstract") and not stated(name)] == []


def test_labels_stand_in_one_file(root: Path, public: list[Any]) -> None:
    labels = {n["label"] for s in of(public, "nodeset") for n in s.body.get("nodes", [])}
    assert labels
    assert [x for x in labels if not LABEL_NAME.fullmatch(x) or any(w in x for w in DATACENTER_WORDS)] == []
    assert {s.file for s in of(public, "nodeset")} == {"zuul.d/nodesets.yaml"}
    elsewhere = {
        str(path.relative_to(root)): label
        for folder in ("zuul.d", "zuul-openstack.d", "zuul-crowbar.d", "playbooks", "roles", "seeds/config-project")
        for path in (root / folder).rglob("*.yaml")
        if path.name != "nodesets.yaml"
        for label in labels
        if re.search(rf"\b{re.escape(label)}\b", path.read_text(encoding="utf-8"))
    }
    assert elsewhere == {}


def test_nodesets(public: list[Any]) -> None:
    """Names by pattern; a `controller`, and devstack's group `tempest` on it, so that upstream's jobs fit.

    Crowbar's have an `admin` node before those of the cloud, and `tempest` is the first of the cloud.
    """
    nodesets = {s.name: s.body for s in of(public, "nodeset")}
    assert [n for n in nodesets if not NODESET_NAME.fullmatch(n)] == []
    for name, body in nodesets.items():
        if "alternatives" in body:
            assert [a for a in body["alternatives"] if a not in nodesets] == [], name
        else:
            nodes = [node["name"] for node in body["nodes"]]
            groups = {g["name"]: g["nodes"] for g in body["groups"]}
            if name.startswith("zuul-suse-crowbar-"):
                assert nodes[0] == "admin", name
                assert groups["cloud"] == (nodes := nodes[1:]), name
            assert nodes[0] in ("controller", "controller1"), name
            assert groups["tempest"] == nodes[:1], name


def test_two_nodes_have_the_groups_of_upstreams_multinode_jobs(public: list[Any]) -> None:
    found = {s.name: s.body for s in of(public, "nodeset") if s.name.startswith("zuul-suse-multinode")}
    assert len(found) == 3
    for name, body in found.items():
        assert {g["name"]: g["nodes"] for g in body["groups"]} == {
            "tempest": ["controller"], "compute": ["controller", "compute1"], "subnode": ["compute1"],
            "switch": ["controller"], "peers": ["compute1"],
        }, name  # fmt: skip
        assert len({node["label"] for node in body["nodes"]}) == 1, name


def test_a_stand_in_is_the_last_choice(public: list[Any]) -> None:
    """Real openSUSE first, and the stand-in called so."""
    for s in of(public, "nodeset"):
        if "alternatives" in s.body:
            assert "standin" not in s.body["alternatives"][0], s.name
            assert "standin" in s.body["alternatives"][-1], s.name


def test_no_secret_and_no_pipeline_in_public(public: list[Any], trusted: list[Any]) -> None:
    assert {s.kind for s in public} <= {"job", "nodeset", "project", "project-template", "queue", "semaphore"}
    assert [s.name for s in public + trusted if s.kind == "secret" or s.body.get("secrets")] == []


def test_every_playbook_is_there(root: Path, public: list[Any], trusted: list[Any]) -> None:
    for stanzas, base in ((public, root), (trusted, root / "seeds" / "config-project")):
        named = [(s.name, p) for s in of(stanzas, "job") for p in named_playbooks(s.body)]
        assert named
        assert [(job, p) for job, p in named if not (base / p).is_file()] == []


def test_every_playbook_is_used(root: Path, public: list[Any], trusted: list[Any]) -> None:
    for stanzas, base in ((public, root), (trusted, root / "seeds" / "config-project")):
        used = {p for s in of(stanzas, "job") for p in named_playbooks(s.body)}
        there = {str(p.relative_to(base)) for p in (base / "playbooks").rglob("*.yaml")}
        assert there
        assert there - used == set()


def playbooks_and_tasks() -> list[Path]:
    """Every playbook and every file of tasks."""
    root = Path(__file__).parents[2]
    return sorted(
        [
            *root.glob("playbooks/**/*.yaml"),
            *root.glob("roles/*/tasks/*.yaml"),
            *root.glob("roles/*/handlers/*.yaml"),
            *root.glob("seeds/config-project/playbooks/**/*.yaml"),
            *root.glob("seeds/config-project/roles/*/tasks/*.yaml"),
        ]
    )


@pytest.mark.parametrize("path", playbooks_and_tasks(), ids=lambda p: "/".join(p.parts[-4:]))
def test_size_and_no_shell(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    limit = TASK_FILE_LINES if "tasks" in path.parts else PLAYBOOK_LINES
    assert len(text.splitlines()) <= limit
    assert not re.search(r"^\s*(- )?(ansible\.builtin\.)?(shell|raw):", text, re.MULTILINE), "a shell block"


def test_a_playbook_only_calls_roles() -> None:
    plays = {
        f"{path.parent.name}/{path.name}: {play['name']}": play
        for path in playbooks_and_tasks()
        if "playbooks" in path.parts
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
    }
    assert plays
    assert [name for name, play in plays.items() if "tasks" in play or not play.get("roles")] == []


def test_the_project_runs_its_selftests(public: list[Any]) -> None:
    """Every self-test job that is not abstract is run by check, and by post where there is no review."""
    (project,) = of(public, "project")
    wanted = {s.name for s in of(public, "job") if "selftest" in s.name and not s.body.get("abstract")}
    for pipeline in ("check", "post", "periodic"):
        assert set(project.body[pipeline]["jobs"]) == wanted, pipeline


def test_the_public_configuration_needs_no_other_project(public: list[Any]) -> None:
    """Only devstack and crowbar jobs may descend from jobs of other projects."""
    ours = {s.name for s in of(public, "job")} | {"base"}
    foreign = {s.name for s in of(public, "job") if s.body.get("parent", "base") not in ours}
    assert all(name.split("-")[2] in ("devstack", "crowbar") for name in foreign), foreign
