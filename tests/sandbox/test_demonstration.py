# SPDX-License-Identifier: Apache-2.0
"""Changes that a seed shows: what its YAML may say, which are chosen, what they edit, how they depend on each other."""

from pathlib import Path
from typing import Any

import pytest

from zuul_suse.sandbox import SandboxError, demo
from zuul_suse.sandbox.demo import _send_shown
from zuul_suse.sandbox.demonstration import read
from zuul_suse.sandbox.developer import Change


def change(name: str, **more: object) -> dict[str, Any]:
    """A change as a seed has it."""
    edits = [{"file": "a/b.txt", "append": "more"}]
    return {"name": name, "project": f"p/{name}", "subject": f"Do {name}", "edits": edits, "vote": 1, **more}


def test_those_on_request_are_shown_when_they_are_named() -> None:
    shown = read({"job": "j", "changes": [change("one"), change("two", **{"on-request": True})]}, "seed")
    assert [c.name for c in shown.chosen([])] == ["one"]
    assert [c.name for c in shown.chosen(["two"])] == ["two"]
    with pytest.raises(SandboxError, match=r'^--change: j shows no "three" \(has one, two\)$'):
        shown.chosen(["three"])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([change("one", vote=2)], r"vote"),
        ([change("one", edits=[])], "edits"),
        ([change("one", edits=[{"file": "a", "append": "x", "remove": True}])], "kind"),
        ([change("one"), change("one")], "one: twice"),
        ([change("one", **{"depends-on": ["two"]}), change("two")], r'depends-on: "two" is no earlier change'),
        ([], "changes"),
    ],
)
def test_a_wrong_one_is_told_in_a_line(changes: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(SandboxError, match=rf"^seeds/x\.yaml: demonstration: .*{fault}") as raised:
        read({"job": "j", "changes": changes}, "seeds/x.yaml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"file": "a/b.txt", "append": "three\n\n"}, {"a/b.txt": "one\ntwo\nthree\n"}),
        ({"file": "a/b.txt", "replace": {"two": "2", "one\n": ""}}, {"a/b.txt": "2\n"}),
        ({"file": "n/new", "write": "x"}, {"a/b.txt": "one\ntwo\n", "n/new": "x"}),
        ({"file": "a/b.txt", "move": "c/d.txt"}, {"c/d.txt": "one\ntwo\n"}),
        ({"file": "a", "move": "z/a"}, {"z/a/b.txt": "one\ntwo\n"}),
        ({"file": "a/b.txt", "remove": True}, {}),
        ({"file": "a", "remove": True}, {}),
    ],
)
def test_edits(tmp_path: Path, edit: dict[str, Any], expected: dict[str, str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("one\ntwo\n")
    (only,) = read({"job": "j", "changes": [change("one", edits=[edit])]}, "seed").changes
    only.edit(tmp_path)
    assert {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == expected


@pytest.mark.parametrize("text", ["three", "o"])
def test_what_upstream_changed_is_named(tmp_path: Path, text: str) -> None:
    """A text that is gone, or that is there twice, would make another change than the one meant."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (only,) = read(
        {"job": "j", "changes": [change("one", edits=[{"file": "a.txt", "replace": {text: "x"}}])]}, "s"
    ).changes
    with pytest.raises(SandboxError, match=r"^p/one: a\.txt: .* times, not once"):
        only.edit(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "one\ntwo\n"
    (gone,) = read({"job": "j", "changes": [change("one", edits=[{"file": "b.txt", "remove": True}])]}, "s").changes
    with pytest.raises(SandboxError, match=r"^p/one: b\.txt: not in this version"):
        gone.edit(tmp_path)


def test_what_a_change_depends_on_is_sent_before_it_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []

    def send(_state: object, project: str, message: str, *_more: object) -> Change:
        messages.append(message)
        return Change(project, len(messages), "http://g/page", f"http://g/{len(messages)}")

    class Sandbox:
        state = None

        class progress:
            say = staticmethod(lambda _text: None)

    monkeypatch.setattr(demo, "send", send)
    needs = {"depends-on": ["one"]}
    shown = read({"job": "j", "changes": [change("one"), change("two", **needs), change("three", **needs)]}, "seed")
    sent: dict[str, Change] = {}
    for one in shown.chosen(["two", "three", "one"]):
        _send_shown(Sandbox(), shown, one, sent)  # type: ignore[arg-type]
    assert messages == ["Do one\n", "Do two\n\nDepends-On: http://g/1", "Do three\n\nDepends-On: http://g/1"]
