# SPDX-License-Identifier: Apache-2.0
"""The move of clones as they are found: odd names, odd shapes, somebody else's, hostile and broken ones.

The command itself, as in test_move. Whatever one clone is like, the other projects move.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from zuul_suse.seeds import SeedError, clone, move
from zuul_suse.seeds.description import Project

from .fake_gerrit import FakeGerrit, git
from .test_move import (
    BRANCHES,
    CORE,
    INIT,
    NOVA,
    Import,
    assert_moved,
    assert_no_right_is_left,
    commit,
    gerrit,
    lose_a_blob,
    run,
    upstream,
)

__all__ = ["gerrit", "run", "upstream"]

OTHERS = [name for name in BRANCHES if name != INIT]


def references(folder: Path) -> dict[bytes, bytes]:
    """All branches and tags, byte by byte."""
    words = ["git", "-C", str(folder), "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"]
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    lines = subprocess.run(words, capture_output=True, check=True, env=environment).stdout.splitlines()
    return dict(line.split(b" ") for line in lines)  # type: ignore[misc]


def fill(folder: Path, lines: str) -> None:
    """Add references by packing them, which takes any number and any name."""
    with open(folder / ".git" / "packed-refs", "ab") as packed:
        packed.write(lines.encode("latin-1"))


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


# What a clone may be like and move as any other: name → what is done to it.


def a_file_with_a_latin_1_name(folder: Path) -> None:
    for name in (b"caf\xe9", b"two\nlines", b'"quoted"'):
        (folder / os.fsdecode(name)).write_bytes(name)  # one blob has one name in git's list
    commit(folder, "odd names")


def references_with_latin_1_names(folder: Path) -> None:
    fill(folder, f"{head(folder)} refs/heads/caf\xe9\n{head(folder)} refs/tags/caf\xe9\n")


def references_with_odd_names(folder: Path) -> None:
    names = (
        "heads/-rf",
        "heads/HEAD",
        "heads/@",
        "heads/a;b$(touch${IFS}x)",
        'heads/"',
        "heads/\xc3\xbc",
        "tags/-x",
        "tags/main",
    )
    for name in names:
        fill(folder, f"{head(folder)} refs/{name}\n")


def more_tags_than_a_command_line_takes(folder: Path) -> None:
    """1200 names of 2000 characters: as much as 22000 usual ones, whose push takes git minutes."""
    path = "/".join(["long" * 49] * 10)
    fill(folder, "".join(f"{head(folder)} refs/tags/{path}/{number}\n" for number in range(1200)))


def somebody_elses(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)


def hostile(folder: Path) -> None:
    """Hooks and a configuration that run a command, and send what is pushed elsewhere."""
    command = f"touch {folder.parents[1]}/it-ran"
    hooks = folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-checkout", "push-to-checkout", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\n{command}\n")
        (hooks / name).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
        "credential.helper",
        "core.gitProxy",
    ):
        git(folder, "config", key, f"!{command}" if key == "credential.helper" else command)
    git(folder, "config", "http.proxy", "http://127.0.0.1:9")
    git(folder, "config", "url.http://127.0.0.1:9/.insteadOf", "http://127.0.0.1")
    git(folder, "config", "transfer.hideRefs", "refs/tags")
    (folder / "more").write_text(f"[core]\n\tfsmonitor = {command}\n")
    git(folder, "config", "include.path", str(folder / "more"))


def with_borrowed_objects(folder: Path) -> None:
    aside = folder.parents[1] / "aside"
    folder.rename(aside)
    subprocess.run(["git", "clone", "-q", "--mirror", "--shared", str(aside), str(folder)], check=True)
    git(folder, "update-ref", "-d", "refs/pull/1/head")


def a_linked_work_tree(folder: Path) -> None:
    aside = folder.parents[1] / "aside"
    folder.rename(aside)
    git(aside, "worktree", "add", "-q", "--detach", str(folder))


def a_submodule(folder: Path) -> None:
    aside = folder.parents[1] / "modules"
    (folder / ".git").rename(aside)
    (folder / ".git").write_text("gitdir: ../../modules\n")


def with_a_detached_head(folder: Path) -> None:
    git(folder, "checkout", "-q", "--detach", "HEAD~1")


def with_a_symbolic_branch(folder: Path) -> None:
    git(folder, "symbolic-ref", "refs/heads/alias", "refs/heads/master")
    git(folder, "symbolic-ref", "refs/heads/nowhere", "refs/heads/none")


def with_rubbish_beside_it(folder: Path) -> None:
    """What a file manager, a killed git and an old commit graph leave."""
    (folder / ".git" / "refs" / "heads" / ".DS_Store").write_text("x")
    (folder / ".git" / "refs" / "heads" / "master.lock").write_text("")
    (folder / ".git" / "objects" / "info" / "commit-graph").write_bytes(b"CGPH\x01\x01\x03\x00" + bytes(2000))


def packed(folder: Path) -> None:
    git(folder, "gc", "-q")
    git(folder, "repack", "-q", "-a", "-d", "--write-bitmap-index")


MOVE = [
    a_file_with_a_latin_1_name,
    references_with_latin_1_names,
    references_with_odd_names,
    more_tags_than_a_command_line_takes,
    somebody_elses,
    hostile,
    with_borrowed_objects,
    a_linked_work_tree,
    a_submodule,
    with_a_detached_head,
    with_a_symbolic_branch,
    with_rubbish_beside_it,
    packed,
]


@pytest.mark.parametrize("like", MOVE, ids=lambda like: like.__name__)
def test_a_clone_moves_as_it_is(
    run: Import, gerrit: FakeGerrit, upstream: Path, tmp_path: Path, like: Callable[[Path], None]
) -> None:
    like(upstream / INIT)
    wanted = references(upstream / INIT)
    assert len(wanted) >= 3
    if like is references_with_odd_names:
        assert len(wanted) == 11, "git takes them all for references"
    told = run()
    assert {one["result"] for one in told.values()} == {"moved"}
    assert references(gerrit.bare(INIT)) == wanted
    assert_moved(gerrit, upstream, *OTHERS)
    assert_no_right_is_left(gerrit)
    assert not (upstream / "it-ran").exists()
    gerrit.pushes.clear()
    run()
    assert gerrit.pushes == []


def test_what_was_pushed_of_many_tags_is_not_pushed_again(
    run: Import, gerrit: FakeGerrit, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that ends in the middle leaves whole batches; the next run goes on behind them."""
    monkeypatch.setattr(move, "BATCH", 100)
    fill(upstream / INIT, "".join(f"{head(upstream / INIT)} refs/tags/{number}\n" for number in range(500)))
    gerrit.after_push = lambda name: gerrit.refuses.add(name) if len(gerrit.pushes) == 4 else None
    told = run("--only", INIT, code=1)
    assert "403" in told[INIT]["reason"]
    assert len(references(gerrit.bare(INIT))) == 1 + 3 * 100
    gerrit.refuses.clear()
    told = run("--only", INIT)
    assert told[INIT]["pushed"] == 3 + 500 - 301
    assert references(gerrit.bare(INIT)) == references(upstream / INIT)


# What can't move: name → what is done to it; returns what is told.


def history_hidden_by_replace(folder: Path) -> str:
    blob = lose_a_blob(folder.parents[1], INIT)
    other = subprocess.run(
        ["git", "-C", str(folder), "hash-object", "-w", "--stdin"],
        input="x",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    git(folder, "update-ref", f"refs/replace/{blob}", other)
    return f"1 objects are missing: {blob[:12]}"


def history_hidden_by_grafts(folder: Path) -> str:
    lost = git(folder, "rev-parse", "HEAD~1")
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "grafts").write_text(f"{head(folder)}\n")
    git(folder, "tag", "-d", "v1.0.0")
    (folder / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    return "git rev-list in "


def a_partial_clone(folder: Path) -> str:
    aside = folder.parents[1] / "aside"
    folder.rename(aside)
    git(aside, "config", "uploadpack.allowFilter", "true")
    words = ["git", "clone", "-q", "--bare", "--filter=blob:none", aside.as_uri(), str(folder)]
    subprocess.run(words, check=True)
    git(folder, "config", "remote.origin.uploadpack", f"touch {folder.parents[1]}/it-ran; git-upload-pack")
    return "objects are missing: "


def shallow(folder: Path) -> str:
    aside = folder.parents[1] / "aside"
    folder.rename(aside)
    subprocess.run(["git", "clone", "-q", "--depth", "1", aside.as_uri(), str(folder)], check=True)
    return "shallow: its history is cut off at "


def an_empty_repository(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.mkdir()
    git(folder, "init", "-q")
    return 'has no branch "master" (has none)'


def a_folder_that_is_gone(folder: Path) -> str:
    shutil.rmtree(folder)
    return f"no repository {INIT} in it"


def no_repository(folder: Path) -> str:
    shutil.rmtree(folder / ".git" / "objects")
    return "can't be read ("


def a_reference_without_content(folder: Path) -> str:
    (folder / ".git" / "refs" / "heads" / "empty").write_text("")
    return "refs/heads/empty is broken"


def a_reference_to_what_is_gone(folder: Path) -> str:
    fill(folder, f"{'1' * 40} refs/tags/gone\n")
    return "git rev-list in "


def a_reference_that_is_a_link(folder: Path) -> str:
    (folder / ".git" / "refs" / "heads" / "out").symlink_to("/etc/hostname")
    return "heads/out: a link in the place of a reference"


def a_reference_that_is_a_pipe(folder: Path) -> str:
    os.mkfifo(folder / ".git" / "refs" / "heads" / "pipe")
    return "heads/pipe: no file"


def endless_packed_references(folder: Path) -> str:
    with open(folder / ".git" / "packed-refs", "wb") as packed:
        packed.truncate(2**28 + 1)
    return f"packed-refs: over {2**28} bytes"


def a_work_tree_that_leads_nowhere(folder: Path) -> str:
    shutil.rmtree(folder / ".git")
    (folder / ".git").write_text("gitdir: /nowhere\n")
    return "can't be read ("


STAY = [
    history_hidden_by_replace,
    history_hidden_by_grafts,
    a_partial_clone,
    shallow,
    an_empty_repository,
    a_folder_that_is_gone,
    no_repository,
    a_reference_without_content,
    a_reference_to_what_is_gone,
    a_reference_that_is_a_link,
    a_reference_that_is_a_pipe,
    endless_packed_references,
    a_work_tree_that_leads_nowhere,
]


@pytest.mark.parametrize("like", STAY, ids=lambda like: like.__name__)
def test_a_clone_that_cant_move_is_told_and_the_others_move(
    run: Import, gerrit: FakeGerrit, upstream: Path, like: Callable[[Path], str]
) -> None:
    told = like(upstream / INIT)
    run(code=1)
    assert run.last_line.startswith(f"zuul-suse: nothing was pushed: 1 of 5 clones are incomplete: {INIT} (")
    assert told in run.last_line
    assert gerrit.pushes == []
    outcomes = run("--skip-incomplete", code=4)
    assert {name for name, one in outcomes.items() if one["result"] == "moved"} == set(OTHERS)
    assert told in outcomes[INIT]["reason"]
    assert_moved(gerrit, upstream, *OTHERS)
    assert INIT not in gerrit.projects
    assert not (upstream / "it-ran").exists()


def test_an_object_that_is_broken_ends_its_project_only(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    """It is there, so it is not missed; only what reads it finds out."""
    blob = git(upstream / CORE, "rev-parse", "HEAD~1:file")
    path = upstream / CORE / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"no zlib")
    told = run(code=1)
    assert told[CORE]["result"] == "failed"
    assert {one["result"] for name, one in told.items() if name != CORE} == {"moved"}
    assert_no_right_is_left(gerrit)


def test_callers_git_variables_and_configuration_have_no_say(
    run: Import, gerrit: FakeGerrit, upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text('[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://127.0.0.1\n')
    variables = {
        "GIT_DIR": str(upstream / NOVA / ".git"),
        "GIT_OBJECT_DIRECTORY": "/nowhere",
        "GIT_WORK_TREE": "/",
        "GIT_NAMESPACE": "other",
        "GIT_CONFIG_PARAMETERS": "'http.proxy=http://127.0.0.1:9'",
        "GIT_TEMPLATE_DIR": "/nowhere",
        "HOME": str(tmp_path),
    }
    with monkeypatch.context() as patch:  # not for the server, which is in this process
        for name, value in variables.items():
            patch.setenv(name, value)
        process = run.start()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_moved(gerrit, upstream, *BRANCHES)


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1", "C.UTF-8"])
def test_any_locale_will_do(
    run: Import, gerrit: FakeGerrit, upstream: Path, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    references_with_latin_1_names(upstream / INIT)
    fill(upstream / INIT, f"{head(upstream / INIT)} refs/heads/\xc3\xbc\n")
    for name, value in {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    process = run.start("--only", INIT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert '"moved"' in output
    assert references(gerrit.bare(INIT)) == references(upstream / INIT)


def test_a_name_that_is_told_can_be_printed(run: Import, gerrit: FakeGerrit, upstream: Path) -> None:
    """The names in a fault are a stranger's: no byte that a terminal obeys."""
    git(upstream / INIT, "branch", "-m", "master", "main")
    fill(upstream / INIT, f"{head(upstream / INIT)} refs/heads/caf\xe9\xc2\x9b31m\n")
    told = run("--skip-incomplete", code=4)
    assert told[INIT]["reason"].endswith(
        'has no branch "master" (has caf\\xe9\\x9b31m, main); its default branch moves at least'
    )


def test_a_project_below_another_has_a_view_of_its_own(tmp_path: Path) -> None:
    folders = []
    for name in ("a", "a/objects"):
        (tmp_path / "clones" / name).mkdir(parents=True)
        git(tmp_path / "clones" / name, "init", "-q", "-b", "master")
        commit(tmp_path / "clones" / name, name)
        project = Project(name, None, "master", ("master",), None)
        folders.append(clone.obtain(str(tmp_path / "clones"), project, tmp_path / "work").folder)
    assert not folders[1].is_relative_to(folders[0])
    with pytest.raises(SeedError, match="no repository b in it"):
        clone.obtain(str(tmp_path / "clones"), Project("b", None, "master", ("master",), None), tmp_path / "work")


def test_nothing_is_written_to_a_clone(run: Import, upstream: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in upstream.rglob("*") if path.is_file()}

    before = content()
    run()
    assert content() == before
