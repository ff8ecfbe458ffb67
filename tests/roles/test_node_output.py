# SPDX-License-Identifier: Apache-2.0
"""What a node leaves, packed within bounds; and packs of hostile nodes, of which only plain files arrive."""

from __future__ import annotations

import os
import socket
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.roles.loading import load

LIBRARY = Path(__file__).parents[2] / "seeds" / "config-project" / "roles" / "fetch-node-output" / "library"
node = load(LIBRARY / "node_output.py")
executor = load(LIBRARY / "taken_output.py")

BOUNDS = {"timeout": 60, "entries": 1000, "depth": 8, "file_size": 1 << 20, "total_size": 1 << 22, "told": 50}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "home" / "zuul-output" / "logs" / "service").mkdir(parents=True)
    (tmp_path / "home" / "zuul-output" / "logs" / "service" / "a.log").write_text("hello")
    return tmp_path / "home" / "zuul-output"


def packed(source: Path, **bounds: int) -> tuple[set[str], list[str]]:
    """What is in the pack, and what was left out."""
    left = node.Left(50)
    path = source.parents[1] / "pack.zip"
    node.pack_of({**BOUNDS, **bounds, "source": str(source), "kinds": ["logs", "docs"]}, str(path), left)
    with zipfile.ZipFile(path) as pack:
        assert pack.testzip() is None
        return set(pack.namelist()), left.lines


def test_links_are_followed_but_not_upwards(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs, elsewhere = source / "logs", source.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.log").touch()
    links = {"self": ".", "up": "..", "root": "/", "side": "service", "kernel": "/proc/self", "cpu": "/proc/cpuinfo",
             "null": "/dev/null", "out": str(elsewhere), "file": "service/a.log", "gone": "/no/such"}  # fmt: skip
    for name, target in links.items():
        (logs / name).symlink_to(target)
    (logs / "service" / "ring").symlink_to("../out/ring")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    names, left = packed(source)
    assert names == {"logs/service/a.log", "logs/side/a.log", "logs/file", "logs/out/b.log"}
    assert {line.split(":")[0] for line in left} == {
        *(f"logs/{name}" for name in ("self", "up", "root", "kernel", "cpu", "null", "gone")),
        "logs/service/ring", "logs/side/ring",
    }  # fmt: skip


def test_root_reads_nothing_behind_a_link_to_elsewhere(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "logs" / "shadow").symlink_to("/etc/passwd")
    (source / "docs").symlink_to("/etc")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    names, left = packed(source)
    assert names == {"logs/service/a.log"}
    assert sorted(left) == [
        "docs: a link to elsewhere, which is not followed as root",
        "logs/shadow: a link to elsewhere, which is not followed as root",
    ]


def test_links_among_each_other_have_an_end(source: Path) -> None:
    """Ten folders with ten links each to the next one: 10 to the tenth folders."""
    for number in range(10):
        folder = source / "logs" / f"f{number}"
        folder.mkdir()
        (folder / "log").touch()
        for link in range(10):
            (folder / f"l{link}").symlink_to(f"../f{(number + 1) % 10}")
    names, left = packed(source, depth=30)
    assert {f"logs/f{number}/log" for number in range(10)} <= names
    assert len(names) <= BOUNDS["entries"]
    assert any("there are more than 1000" in line for line in left)


@pytest.mark.parametrize(
    ("bound", "value", "why"),
    [
        ("file_size", 10, "big: 100 bytes, more than 10 bytes"),
        ("total_size", 50, "big: 100 bytes, all in all more than 50 bytes"),
        ("depth", 2, "sub: deeper than 2 folders"),
        ("timeout", -1, "the time is over (-1 s)"),
        ("entries", 4, "there are more than 4 files and folders"),
    ],
)
def test_what_does_not_fit_is_left_out_and_the_rest_comes(source: Path, bound: str, value: int, why: str) -> None:
    (source / "logs" / "big").write_bytes(b"x" * 100)
    (source / "logs" / "service" / "sub").mkdir()
    (source / "logs" / "service" / "sub" / "c.log").touch()
    names, left = packed(source, **{bound: value})
    assert any(why in line for line in left), left
    assert names < packed(source)[0]
    assert ("logs/service/a.log" in names) == (bound != "timeout")


def test_a_file_without_blocks_and_a_disk_that_is_full(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (source / "logs" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert packed(source)[1] == ["logs/sparse: 1048576 MiB, more than 1048576 bytes"]
    monkeypatch.setattr(node.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    names, left = packed(source)
    assert names == set()
    assert "logs/service/a.log: 5 bytes, no room on the node's disk" in left


def test_what_is_no_file_is_not_opened(source: Path) -> None:
    os.mkfifo(source / "logs" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "logs" / "socket"))
        (source / "logs" / "to-the-pipe").symlink_to("pipe")
        names, left = packed(source)
    assert names == {"logs/service/a.log"}
    assert left == [f"logs/{name}: neither a file nor a folder" for name in ("pipe", "socket", "to-the-pipe")]


def test_a_file_that_changes_while_it_is_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stat'ed as longer, and as shorter, than it then is; and one is gone."""
    real = os.stat
    for name, size in (("longer", 3), ("shorter", 5000)):
        (source / "logs" / name).write_bytes(b"x" * 100)

        def lying(path: str | Path, *, _name: str = name, _size: int = size) -> os.stat_result:
            found = real(path)
            if str(path).endswith(_name):
                return os.stat_result((*found[:6], _size, *found[7:]))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", lying)
            assert f"logs/{name}" in packed(source)[0]


def test_names_are_ones_that_any_system_takes(source: Path) -> None:
    for name in (b"bad\xff", b"two\nlines", b"-rf", b"a b", "größe".encode(), b"back\\slash", "\u202eevil".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(source / "logs"), name))).touch()
    names, _ = packed(source)
    assert names == {f"logs/{name}" for name in (
        "service/a.log", "bad%FF", "two%0Alines", "-rf", "a b", "größe", "back%5Cslash", "%E2%80%AEevil",
    )}  # fmt: skip


def taken(tmp_path: Path, pack: Path, *, left_out: list[str] | None = None, **bounds: int) -> tuple[Any, Path]:
    """Take a pack into a build's log folder."""
    root = tmp_path / "executor" / "logs"
    root.mkdir(parents=True, exist_ok=True)
    places = {"logs": [str(root)], "docs": [str(root), "docs"]}
    given = {**BOUNDS, **bounds, "root": str(root), "places": places, "report": ["zuul-info", "left-out.n.txt"]}
    taker = executor.Taker(given)
    taker.left += left_out or []
    taker.take(str(pack))
    executor.tell(given, taker.left, len(taker.left))
    return taker, root


def entries(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}


def hostile(path: Path, names: dict[str, int]) -> Path:
    """A pack with entries of these names and Unix modes."""
    with zipfile.ZipFile(path, "w") as pack:
        for name, mode in names.items():
            info = zipfile.ZipInfo("x" * len(name))
            info.filename = name
            info.external_attr = mode << 16
            pack.writestr(info, "/etc/passwd")
    return path


def test_what_arrives_is_plain_files_below_the_folder(tmp_path: Path) -> None:
    names = ["../evil", "/etc/evil", "logs/../../evil", "logs/./evil", "logs//evil", "evil", "other/evil", "logs/evil/",
             "logs/new\nline", "logs/" + "d/" * 9 + "evil", "logs/" + "n" * 256]  # fmt: skip
    modes = {
        "logs/link": stat.S_IFLNK | 0o777,
        "logs/device": stat.S_IFBLK | 0o666,
        "logs/setuid": stat.S_IFREG | 0o6777,
    }
    pack = hostile(tmp_path / "pack.zip", {**dict.fromkeys(names, stat.S_IFREG | 0o644), **modes})
    taker, root = taken(tmp_path, pack)
    assert entries(root) == {"link", "device", "setuid", "zuul-info/left-out.n.txt"}
    assert len(taker.left) == len(names)
    for name in ("link", "device", "setuid"):
        state = (root / name).lstat()
        assert stat.S_ISREG(state.st_mode)
        assert not state.st_mode & 0o7133
    told = (root / "zuul-info" / "left-out.n.txt").read_text()
    assert len(told.splitlines()) == len(names)
    assert not list(tmp_path.rglob("evil"))


def test_nothing_of_the_builds_is_replaced_and_no_link_is_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "executor" / "logs", tmp_path / "outside"
    root.mkdir(parents=True)
    outside.mkdir()
    (root / "job-output.txt").write_text("Zuul's")
    (root / "folder").symlink_to(outside)
    (root / "dangling").symlink_to(outside / "made")
    (root / "zuul-info").mkdir()
    (root / "zuul-info" / "left-out.n.txt").symlink_to(outside / "report")
    names = ("logs/job-output.txt", "logs/folder/x", "logs/dangling", "logs/job-output.txt/x")
    taker, _ = taken(tmp_path, hostile(tmp_path / "pack.zip", dict.fromkeys(names, 0)))
    assert len(taker.left) == len(names)
    assert (root / "job-output.txt").read_text() == "Zuul's"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("bounds", [{"file_size": 1 << 16}, {"total_size": 1 << 17}, {"entries": 5}, {"timeout": -1}])
def test_the_executor_keeps_the_bounds_itself(tmp_path: Path, bounds: dict[str, int]) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for number in range(20):
            pack.writestr(f"logs/{number}", b"\0" * (1 << 17))
    taker, root = taken(tmp_path, path, **bounds)
    assert taker.left
    assert sum((root / name).stat().st_size for name in entries(root)) <= (1 << 20) + 4000
    assert len(entries(root)) <= 6


def test_a_broken_pack_brings_what_it_can(tmp_path: Path) -> None:
    path = hostile(tmp_path / "pack.zip", {"logs/a": 0, "logs/b": 0})
    data = bytearray(path.read_bytes())
    data[data.index(b"/etc/passwd")] ^= 0xFF
    path.write_bytes(data)
    taker, root = taken(tmp_path, path)
    assert (root / "b").read_text() == "/etc/passwd"
    assert taker.left[0].startswith("logs/a: the pack is broken: ")


def test_what_a_node_tells_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    assert executor.printable("a\x1b[31m\nb" + "x" * 9999).startswith("a?[31m?bxx")
    assert len(executor.printable("x" * 9999)) == 2 * executor.LONGEST
