# SPDX-License-Identifier: Apache-2.0
"""The move to a Gerrit: the command itself against a fake one in front of a real git server, twice and with faults."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from zuul_suse.cli import main

from .fake_gerrit import GROUP, PASSWORD, USER, FakeGerrit, git, serving

NOVA, CORE, OPENSTACK = "crowbar/barclamp-nova", "crowbar/crowbar-core", "crowbar/crowbar-openstack"
INSTALLER, INIT = "crowbar/crowbar", "crowbar/crowbar-init"
BRANCHES = {
    INSTALLER: ["stable/4.0", "release/stoney/master"],
    NOVA: ["release/stoney/master", "master"],
    CORE: ["master", "stable/4.0"],
    OPENSTACK: ["master", "stable/4.0"],
    INIT: ["master"],
}
IDENTITY = ("-c", "user.name=T. Tester", "-c", "user.email=tester@example.com")


def commit(folder: Path, text: str) -> str:
    (folder / "file").write_text(text)
    git(folder, "add", "-A")
    git(folder, *IDENTITY, "commit", "-q", "-m", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Clones with two commits on each branch, both kinds of tags, and what must not move."""
    for name, (first, *more) in BRANCHES.items():
        folder = tmp_path / "upstream" / name
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", first)
        for text in ("one", "two"):
            commit(folder, f"{name} {text}")
        for branch in more:
            git(folder, "checkout", "-q", "-b", branch)
            commit(folder, f"{name} {branch}")
        git(folder, "checkout", "-q", first)
        git(folder, "tag", "release/suse-cloud/4")
        git(folder, *IDENTITY, "tag", "-a", "-m", "annotated", "v1.0.0", "HEAD~1")
        for never in ("refs/pull/1/head", "refs/changes/01/1/1", "refs/meta/config"):
            git(folder, "update-ref", never, "HEAD")
    return tmp_path / "upstream"


@pytest.fixture
def gerrit(tmp_path: Path) -> Iterator[FakeGerrit]:
    with serving(tmp_path / "gerrit") as fake:
        yield fake


class Import:
    """`zuul-suse seeds import` on a made-up family."""

    def __init__(
        self, folder: Path, gerrit: FakeGerrit, upstream: Path, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.errors = ""
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        (folder / "seed.yaml").write_text(text)
        (folder / "password").write_text(f"{PASSWORD}\n")
        self._words = [
            *("--from", str(upstream), "--gerrit", gerrit.url, "--user", USER, "--json"),
            *("--password-file", str(folder / "password"), "--seed", str(folder / "seed.yaml")),
        ]

    def start(self, *words: str) -> subprocess.Popen[str]:
        # Whoever runs tests in the background has SIGINT ignored, and a child would inherit that.
        command = ["env", "--default-signal=INT", sys.executable, "-c", "from zuul_suse.cli import main; main()"]
        command += ["seeds", "import"]
        return subprocess.Popen(
            [*command, *self._words, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
        """Run it in this process, which is quicker; what came of each project, by its name."""
        handler = signal.getsignal(signal.SIGTERM)
        output, errors, ended = io.StringIO(), io.StringIO(), 0
        argv = ["zuul-suse", "seeds", "import", *self._words, *words]
        with redirect_stdout(output), redirect_stderr(errors), mock.patch.object(sys, "argv", argv):
            try:
                main()
            except SystemExit as end:
                ended = int(end.code or 0)
            finally:
                signal.signal(signal.SIGTERM, handler)
        return self._told(ended, code, output.getvalue(), errors.getvalue())

    def _told(self, ended: int, code: int, output: str, errors: str) -> dict[str, dict[str, Any]]:
        self.errors = errors
        assert ended == code, f"exit {ended}\n{output}\n{self.errors}"
        assert PASSWORD not in output + self.errors
        return {one["project"]: one for one in json.loads(output)["projects"]} if output else {}

    @property
    def last_line(self) -> str:
        return self.errors.splitlines()[-1]


@pytest.fixture
def run(tmp_path: Path, gerrit: FakeGerrit, upstream: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Import:
    return Import(tmp_path, gerrit, upstream, text, monkeypatch)


def expected(upstream: Path, name: str) -> dict[str, str]:
    """What is to move of an ordinary repository with its own branches."""
    lines = git(upstream / name, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags")
    return dict(line.split(" ") for line in lines.splitlines())


def assert_moved(gerrit: FakeGerrit, upstream: Path, *names: str) -> None:
    for name in names:
        assert gerrit.references(name) == expected(upstream, name)
        assert git(gerrit.bare(name), "symbolic-ref", "HEAD") == f"refs/heads/{BRANCHES[name][0]}"
        assert gerrit.projects[name]["parent"] == "crowbar-acl"


def assert_no_right_is_left(gerrit: FakeGerrit) -> None:
    assert gerrit.groups[GROUP] == set()
    assert {name: gerrit.rights(name) for name in gerrit.projects} == {name: {} for name in gerrit.projects}


def test_all_branches_and_tags_move_and_nothing_else(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    told = run()
    assert_moved(gerrit, upstream, *BRANCHES)
    assert_no_right_is_left(gerrit)
    assert {name: (one["result"], one["pushed"], one["references"]) for name, one in told.items()} == {
        name: ("moved", len(branches) + 2, len(branches) + 2) for name, branches in BRANCHES.items()
    }
    assert "(1 of 5)" in run.errors
    assert "(5 of 5)" in run.errors
    assert "crowbar/crowbar-bootstrap" not in gerrit.projects


def test_the_projects_share_rights(run: Import, gerrit: FakeGerrit) -> None:
    run()
    access = gerrit.projects["crowbar-acl"]["access"]["refs/heads/*"]["permissions"]
    assert access["label-Code-Review"]["rules"] == {"id-crowbar-core": {"action": "ALLOW", "min": -2, "max": 2}}
    assert access["submit"]["rules"] == {"id-crowbar-core": {"action": "ALLOW"}}
    assert access["label-Verified"]["rules"] == {"id-crowbar-ci": {"action": "ALLOW", "min": -1, "max": 1}}
    assert gerrit.groups["crowbar-core"] == {USER}
    assert gerrit.groups["crowbar-ci"] == set(), "who imports does not vote as the CI"
    assert "Verified" in gerrit.projects["crowbar-acl"]["labels"]


def test_a_second_time_nothing_is_pushed_and_no_right_is_given(run: Import, gerrit: FakeGerrit) -> None:
    run()
    gerrit.pushes.clear()
    gerrit.writes.clear()
    told = run()
    assert gerrit.pushes == []
    assert {one["result"] for one in told.values()} == {"unchanged"}
    assert f"{NOVA}: nothing to push, all is there" in run.errors
    assert sorted(gerrit.writes) == ["DELETE groups/seed-import/members/self", "PUT groups/seed-import/members/self"]


def test_what_came_since_is_pushed(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    run()
    gerrit.pushes.clear()
    commit(upstream / NOVA, "three")
    told = run()
    assert gerrit.pushes == [NOVA]
    assert (told[NOVA]["result"], told[NOVA]["pushed"]) == ("moved", 1)
    assert_moved(gerrit, upstream, *BRANCHES)


def test_a_branch_that_went_on_at_the_gerrit_is_left_alone(
    run: Import, gerrit: FakeGerrit, upstream: Path, tmp_path: Path
) -> None:
    run()
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", str(gerrit.bare(NOVA)), str(work)], check=True)
    merged = commit(work, "reviewed there")
    git(work, "push", "-q", "origin", "HEAD")
    commit(upstream / NOVA, "something else")
    gerrit.pushes.clear()
    told = run(code=1)
    assert gerrit.pushes == []
    assert gerrit.references(NOVA)[f"refs/heads/{BRANCHES[NOVA][0]}"] == merged
    assert f"refs/heads/release/stoney/master stands at {merged[:12]} there" in told[NOVA]["reason"]
    assert "somebody changed it after the move" in run.last_line
    assert told[CORE]["result"] == "unchanged", "the other projects are looked after"


def test_an_ordinary_clone_gives_upstreams_branches_and_not_its_owners(
    run: Import, gerrit: FakeGerrit, upstream: Path
) -> None:
    wanted = expected(upstream, CORE)
    mine = upstream.parent / "mine"
    subprocess.run(["git", "clone", "-q", str(upstream / CORE), str(mine)], check=True)
    git(mine, "checkout", "-q", "-b", "my-own-work")
    commit(mine, "not for others")
    shutil.rmtree(upstream / CORE)
    mine.rename(upstream / f"{CORE}.git")
    run("--only", CORE)
    assert gerrit.references(CORE) == wanted
    assert set(gerrit.projects) == {"All-Projects", "crowbar-acl", CORE}


def test_a_url_is_fetched_first(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    run("--from", upstream.as_uri())
    assert_moved(gerrit, upstream, *BRANCHES)
    gerrit.pushes.clear()
    git(upstream / NOVA, "branch", "stable/9.0")
    run("--from", upstream.as_uri())
    assert gerrit.pushes == [NOVA]
    assert_moved(gerrit, upstream, *BRANCHES)


def lose_a_blob(upstream: Path, name: str) -> str:
    """Take an old version of the file out of a clone, as a broken transfer would; returns its object."""
    blob = git(upstream / name, "rev-parse", "HEAD~1:file")
    (upstream / name / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    return blob


def test_an_incomplete_clone_is_named_before_anything_is_pushed(
    run: Import, gerrit: FakeGerrit, upstream: Path
) -> None:
    blob = lose_a_blob(upstream, OPENSTACK)
    run(code=1)
    assert run.last_line == (
        "zuul-suse: nothing was pushed: 1 of 5 clones are incomplete:"
        f" {OPENSTACK} (1 objects are missing: {blob[:12]}); get whole ones, or leave them out by --skip-incomplete"
    )
    assert gerrit.pushes == []
    assert gerrit.writes == []


def test_incomplete_ones_are_left_out_when_that_is_asked_for(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    lose_a_blob(upstream, OPENSTACK)
    (upstream / INIT / ".git" / "objects" / git(upstream / INIT, "rev-parse", "HEAD~1")[:2]).rename(upstream / "lost")
    told = run("--skip-incomplete", code=4)
    results = {name: one["result"] for name, one in told.items()}
    assert results == {INSTALLER: "moved", NOVA: "moved", CORE: "moved", OPENSTACK: "left out", INIT: "left out"}
    assert {OPENSTACK, INIT} & set(gerrit.projects) == set()
    assert_moved(gerrit, upstream, INSTALLER, NOVA, CORE)
    assert_no_right_is_left(gerrit)


def test_a_shallow_clone_is_incomplete(run: Import, upstream: Path) -> None:
    shallow = upstream.parent / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", (upstream / INIT).as_uri(), str(shallow)], check=True)
    shutil.rmtree(upstream / INIT)
    shallow.rename(upstream / INIT)
    run(code=1)
    assert f"{INIT}: incomplete: shallow: its history is cut off at" in run.errors


def test_a_push_that_the_server_refuses_ends_that_project_only(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    gerrit.refuses.add(CORE)
    told = run(code=1)
    assert told[CORE]["result"] == "failed"
    assert "403" in told[CORE]["reason"]
    assert run.last_line.startswith(f"zuul-suse: 1 of 5 projects failed: {CORE} (git push in ")
    assert_no_right_is_left(gerrit)
    assert_moved(gerrit, upstream, *(name for name in BRANCHES if name != CORE))
    gerrit.refuses.clear()
    gerrit.pushes.clear()
    run()
    assert set(gerrit.pushes) == {CORE}
    assert_moved(gerrit, upstream, *BRANCHES)


def after_nova(gerrit: FakeGerrit, *words: str) -> Callable[[str], None]:
    def change(name: str) -> None:
        if name == NOVA:
            git(gerrit.bare(name), *words)

    return change


@pytest.mark.parametrize(
    ("fault", "reference"),
    [
        (["update-ref", "-d", "refs/tags/v1.0.0"], "refs/tags/v1.0.0"),
        (["update-ref", "refs/heads/master", "HEAD~1"], "refs/heads/master"),
    ],
)
def test_a_server_that_has_something_else_than_was_pushed_is_found_out(
    run: Import, gerrit: FakeGerrit, fault: list[str], reference: str
) -> None:
    gerrit.after_push = after_nova(gerrit, *fault)
    told = run(code=1)
    assert told[NOVA]["result"] == "failed"
    assert f"not as in the clone after the push: 1 of 5, first {reference}: " in told[NOVA]["reason"]
    assert {one["result"] for name, one in told.items() if name != NOVA} == {"moved"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_in_a_push_gives_the_right_back(
    run: Import, gerrit: FakeGerrit, upstream: Path, how: signal.Signals
) -> None:
    gerrit.may_push.clear()
    process = run.start("--jobs", "1")
    assert gerrit.in_push.wait(60)
    assert gerrit.rights(INSTALLER), "it was in the middle"
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "zuul-suse: interrupted"
    assert_no_right_is_left(gerrit)
    assert set(gerrit.projects) == {"All-Projects", "crowbar-acl", INSTALLER}, "no other project was begun"
    gerrit.may_push.set()
    run()
    assert_moved(gerrit, upstream, *BRANCHES)


def test_what_a_killed_import_has_left_is_dropped_by_the_next_one(
    run: Import, gerrit: FakeGerrit, upstream: Path
) -> None:
    gerrit.may_push.clear()
    process = run.start("--jobs", "1")
    assert gerrit.in_push.wait(60)
    process.kill()
    process.communicate(timeout=60)
    assert gerrit.rights(INSTALLER)
    assert gerrit.groups[GROUP] == {USER}
    gerrit.change_access(INSTALLER, {"add": {"refs/*": {"permissions": {"read": {"rules": {"id-other": {}}}}}}})
    lose_a_blob(upstream, OPENSTACK)
    gerrit.may_push.set()
    run("--only", OPENSTACK, code=1)  # it ends before it would come to that project
    assert f"{INSTALLER}: the right that an import before had left was dropped" in run.errors
    assert gerrit.groups[GROUP] == set()
    assert gerrit.rights(INSTALLER) == {"permissions": {"read": {"rules": {"id-other": {}}}}}, "others keep theirs"


@pytest.mark.parametrize("step", ["HEAD", "access", "parent"])
def test_a_project_that_was_left_half_done_is_finished(
    run: Import, gerrit: FakeGerrit, upstream: Path, step: str
) -> None:
    """Killed before its HEAD was set, with its right still there, or made by hand below another parent."""
    run()
    if step == "HEAD":
        git(gerrit.bare(NOVA), "symbolic-ref", "HEAD", "refs/heads/master")
    elif step == "access":
        git(gerrit.bare(NOVA), "update-ref", "-d", "refs/heads/master")
        right = {"push": {"rules": {f"id-{GROUP}": {"action": "ALLOW"}}}}
        gerrit.change_access(NOVA, {"add": {"refs/*": {"permissions": right}}})
    else:
        gerrit.projects[NOVA]["parent"] = "All-Projects"
    run()
    assert_moved(gerrit, upstream, *BRANCHES)
    assert_no_right_is_left(gerrit)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--only", "crowbar/nova"], 1, '--only: "crowbar/nova" is no project of the seed (has crowbar/crowbar, '),
        (
            ["--only", "crowbar/crowbar-bootstrap"],
            1,
            "--only: crowbar/crowbar-bootstrap is skipped by the seed: an old",
        ),
        (["--from", "/nowhere"], 1, "/nowhere: no repository crowbar/crowbar in it (looked for crowbar/crowbar"),
        (["--gerrit", "http://127.0.0.1:9"], 1, "Gerrit: GET config/server/version: "),
        (["--user", "stranger"], 1, "Gerrit: GET config/server/version: 401 Unauthorized"),
        (["--password-file", os.devnull], 1, "--password-file /dev/null: empty; it must hold the HTTP password"),
        (["--jobs", "0"], 2, "'--jobs'"),
    ],
)
def test_what_can_be_wrong_is_told_in_one_line(run: Import, words: list[str], code: int, told: str) -> None:
    run(*words, code=code)
    assert told in run.last_line


def test_a_clone_without_the_default_branch_is_told(run: Import, upstream: Path) -> None:
    git(upstream / INIT, "branch", "-m", "master", "main")
    run(code=1)
    assert f'{INIT}: {upstream / INIT} has no branch "master" (has main)' in run.last_line
