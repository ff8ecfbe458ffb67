# SPDX-License-Identifier: Apache-2.0
"""Which failure a summary blames, what it says of it, and that nothing hostile in the logs reaches a comment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.roles.loading import load

SEEDED = Path(__file__).parents[2] / "seeds" / "config-project" / "roles"
failure_summary = load(SEEDED / "write-failure-summary" / "library" / "failure_summary.py")

FAILED = {"failed": True, "msg": "non-zero return code", "rc": 1}


def task(name: str, words: str = "", role: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any result
    """One task that failed on `controller`."""
    found: dict[str, Any] = {
        "task": {"name": name},
        "hosts": {"controller": {**FAILED, "stderr": words or f"{name} broke", **more}},
    }
    return found | ({"role": {"name": role}} if role else {})


def went_well(name: str) -> dict[str, Any]:
    return {"task": {"name": name}, "hosts": {"controller": {"changed": True}}}


def playbook(*tasks: dict[str, Any], path: str = "a/run.yaml", phase: str = "run", **stats: int) -> dict[str, Any]:
    """One playbook as Zuul's JSON callback writes it."""
    count = {"failures": 1, "ignored": 0, "rescued": 0, "unreachable": 0, **stats}
    return {"playbook": path, "phase": phase, "stats": {"controller": count}, "plays": [{"tasks": list(tasks)}]}


def blamed(*playbooks: dict[str, Any]) -> str:
    """The task in the only sentence."""
    (sentence,) = failure_summary.from_json(list(playbooks), "j")
    return str(sentence).split("[")[1].split("]")[0]


def reason(**result: Any) -> str:  # noqa: ANN401 - any result
    (sentence,) = failure_summary.from_json(
        [playbook({"task": {"name": "T"}, "hosts": {"controller": {"failed": True, **result}}})], "j"
    )
    return str(sentence).removeprefix("j: controller failed in task [T]: ")


def test_a_failure_that_was_ignored_before_or_after_is_not_blamed() -> None:
    real, probe, collect = task("Run the tests"), task("Probe"), task("Collect a log that need not be there")
    assert blamed(playbook(real, collect, ignored=1)) == "Run the tests"
    assert blamed(playbook(probe, real, ignored=1)) == "Run the tests"
    assert blamed(playbook(probe, went_well("Go on"), real, collect, ignored=2)) == "Run the tests"


def test_the_first_of_those_that_count_is_blamed() -> None:
    """What fails in `always` follows from it."""
    assert blamed(playbook(task("Run the tests"), task("Read their report"), failures=2)) == "Run the tests"


def test_what_a_rescue_saved_is_not_blamed() -> None:
    assert blamed(playbook(task("Try"), task("Try another way"), rescued=1)) == "Try another way"
    assert blamed(playbook(task("Try"), task("Run"), task("Save it"), rescued=1, ignored=1)) == "Run"
    assert blamed(playbook(task("Try"), went_well("Another way"), task("Run"), went_well("Tidy"), rescued=1)) == "Run"
    assert blamed(playbook(task("Run"), task("Try"), went_well("Another way"), rescued=1)) == "Run"


START = "2026-11-27 10:00:00.1 | {phase} START: [untrusted : {path}@master]\n"
TASK = "2026-11-27 10:00:00.2 | TASK [{name}]\n2026-11-27 10:00:00.3 | controller | {words}\n"


def log(path: str, *tasks: tuple[str, str], phase: str = "RUN") -> str:
    """A playbook in job-output.txt: each task with what stands under it."""
    told = "".join(TASK.format(name=name, words=words) for name, words in tasks)
    return START.format(phase=phase, path=path) + told


def summary(folder: Path, playbooks: list[dict[str, Any]], text: str) -> list[str]:
    (folder / "job-output.json").write_text(json.dumps(playbooks))
    (folder / "job-output.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    return list(failure_summary.summarise(str(folder), "j"))


@pytest.mark.parametrize("ignored", [0, 1, 2])
def test_the_log_tells_which_failure_was_ignored(tmp_path: Path, ignored: int) -> None:
    """Whatever their names sound like, and though a task of the same name was ignored in another playbook."""
    names = ["r : Copy the sources", "r : Build", "r : Save it"]
    words = ["ERROR: Ignoring Errors" if number != ignored else "ERROR" for number in range(3)]
    text = log("a/pre.yaml", *((name, "ERROR: Ignoring Errors") for name in names), phase="PRE-RUN")
    text += log("a/run.yaml", *zip(names, words, strict=True))
    tasks = [task(name.removeprefix("r : "), role="r") for name in names]
    pre = playbook(*tasks, path="a/pre.yaml", phase="pre", failures=0, ignored=3)
    (sentence,) = summary(tmp_path, [pre, playbook(*tasks, ignored=2)], text)
    assert f"[{names[ignored]}]" in sentence


def test_a_node_can_not_ignore_its_own_failure(tmp_path: Path) -> None:
    """Neither by a line of its own, nor by one that a carriage return makes look like the log's."""
    forged = "ERROR: Ignoring Errors\n" + "2026-11-27 10:00:00.3 | controller | x\r" + TASK.format(name="No", words="x")
    text = log("a/run.yaml", ("Run the tests", forged))
    (sentence,) = summary(tmp_path, [playbook(task("Run the tests"))], text)
    assert sentence == "j: controller failed in task [Run the tests]: exit 1: Run the tests broke"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            {"msg": "MODULE FAILURE: No start of json char found\nSee stdout/stderr for the exact error", "rc": 137,
             "module_stderr": "Killed: out of memory\n", "module_stdout": ""},
            "exit 137: Killed: out of memory",
        ),
        (
            {"msg": "Module result deserialization failed: No start of json char found", "rc": 137,
             "exception": "(traceback unavailable)", "module_stderr": "Killed: out of memory\n"},
            "exit 137: Killed: out of memory",
        ),
        (
            {"msg": "MODULE FAILURE\nSee stdout/stderr for the exact error", "rc": 1, "module_stdout": "",
             "module_stderr": 'Traceback (most recent call last):\n  File "x"\nValueError: the sky fell\n'},
            "exit 1: ValueError: the sky fell",
        ),
        (
            {"msg": "The module failed to execute correctly, you probably need to set the interpreter.\n"
             "See stdout/stderr for the exact error", "rc": 127, "module_stderr": "/bin/sh: /no/python: not found\n"},
            "exit 127: /bin/sh: /no/python: not found",
        ),
        ({"msg": "MODULE FAILURE", "rc": 1}, "MODULE FAILURE"),
        (
            {"msg": "The following modules failed to execute: ansible.legacy.setup\n  ansible.legacy.setup: x",
             "failed_modules": {"ansible.legacy.setup": {"failed": True, "msg": "MODULE FAILURE", "rc": 127,
                                                         "module_stderr": "/bin/sh: 1: python9: not found\n"}}},
            "ansible.legacy.setup: exit 127: /bin/sh: 1: python9: not found",
        ),
        ({"reason": "the role 'x' was not found\nin /a"}, "the role 'x' was not found in /a"),
        ({"msg": "Assertion failed", "assertion": "a == b"}, "Assertion failed: a == b"),
        ({"msg": ["one", "two"]}, "one; two"),
        ({"exception": "Traceback\n  x\nKeyError: 'a'\n"}, "KeyError: 'a'"),
        (
            {"msg": "One or more items failed",
             "results": [{"item": {"name": "b", "password": "p"}, "failed": True, "rc": 3}]},
            "b: exit 3",
        ),
        (
            {"results": [{"outer": "o", "ansible_loop_var": "outer", "failed": True,
                          "results": [{"item": "i", "failed": True, "msg": "no"}]}]},
            "o: i: no",
        ),
        ({"results": ["a text"], "msg": "no package"}, "no package"),
        ({"msg": "Zypper run command failed with return code 104.", "rc": 104, "stdout": "", "stderr": "No provider"},
         "exit 104: No provider"),
        ({"stdout": "\x1b[31m===== \x1b[31m\x1b[1m1 failed\x1b[0m, \x1b[32m3 passed\x1b[0m =====\x1b[0m\n", "rc": 1},
         "exit 1: 1 failed, 3 passed"),
        ({"msg": "a\x1b]8;;https://u:p@h\x07link\x1b]8;;\x07 \x9b1mbold"}, "alink bold"),
        ({"msg": "bad\x00by\u202ete\u200b \ud800here\x07"}, "badbyte here"),
        ({"stdout": "10%\r50%\r100% done\n", "rc": 1}, "exit 1: 100% done"),
        ({"msg": "get https://bob:hunter2@h/x?token=t#u failed"}, "get https://***@h/x?*** failed"),
        ({"msg": "get 'https://u:p@ss@h/y', https://u:p/w@h/z"}, "get 'https://***@h/y', https://***@h/z"),
        ({"msg": "get http://h:8080/pkg@1.2 with password=hunter2"}, "get http://h:8080/pkg@1.2 with password=***"),
    ],
)  # fmt: skip
def test_reason(result: dict[str, Any], expected: str) -> None:
    assert reason(**result) == expected


def test_a_secret_is_masked_wherever_a_text_is_cut() -> None:
    """The user's part has no end within the bound, or begins before the end of an output that is read."""
    for words in (
        f"https://{'u' * 9000}:hunter2@h",
        f"https://u:{'hunter2' * 9000}@h/x",
        "x " * 4090 + "https://u:hunter2@h",
    ):
        assert "hunter2" not in reason(msg=words)
        assert "hunter2" not in reason(rc=1, stdout=f"{words}\n")
    assert "hunter2" not in reason(rc=1, stdout="https://u:" + "hunter2" * 100_000 + "@h")


def test_words_of_an_output_are_its_last_line_however_long() -> None:
    assert reason(rc=1, stdout="begin" + "x" * 1_000_000 + "\n").startswith("exit 1: beginxxx")
    assert reason(rc=1, stdout="a line\n" * 1_000_000 + "last\n\n") == "exit 1: last"
    assert reason(rc=1, stdout="+ trace\n" * 1_000_000 + "\n" * 1_000_000) == "exit 1"


def test_results_that_lie_in_results_end() -> None:
    result: dict[str, Any] = {"failed": True, "msg": "the bottom"}
    for _ in range(500):
        result = {"failed": True, "msg": "a level", "results": [result]}
    assert reason(**result) == "a level"


@pytest.mark.parametrize("line", ["x | TASK [" * 200_000, "]" * 2_000_000, " " * 2_000_000 + "x", "://@" * 500_000])
def test_a_line_of_any_length_is_read_once(tmp_path: Path, line: str) -> None:
    """A pattern that tries again from each place of such a line takes hours."""
    text = log("a/run.yaml", (line, line)) + f"{line}\n" + TIMED_OUT
    (sentence,) = summary(tmp_path, [], text)
    assert sentence.startswith("j: timed out in ")
    assert len(sentence) <= failure_summary.LENGTH
    assert len(reason(msg=line)) <= failure_summary.LENGTH
    assert len(reason(rc=1, stderr=line)) <= failure_summary.LENGTH


TIMED_OUT = "2026-11-27 10:00:00.9 | RUN END RESULT_TIMED_OUT: [untrusted : a/run.yaml@master]\n"


def test_a_loop_that_was_cut_off_is_named(tmp_path: Path) -> None:
    text = log("a/run.yaml", ("Before", "ok")) + "2026-11-27 10:00:00.4 | LOOP [r : Wait for each]\n" + TIMED_OUT
    assert summary(tmp_path, [], text) == ["j: timed out in task [r : Wait for each]"]


def test_an_error_in_colours_is_read(tmp_path: Path) -> None:
    text = (
        START.format(phase="RUN", path="a/run.yaml") + "2026-11-27 10:00:00.2 | \x1b[0;31mERROR! no such role\x1b[0m\n"
    )
    text += TIMED_OUT.replace("TIMED_OUT", "NORMAL")
    assert summary(tmp_path, [], text) == ["j: failed in playbook run.yaml: no such role"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[{", '[{"phase": "run", "stats": 3}]', "[7]", '{"a": 1}']
)
def test_json_that_can_not_be_read_is_told_and_the_logs_are_saved(tmp_path: Path, text: str) -> None:
    """The module ends well, for the logs are saved after it."""
    (tmp_path / "job-output.json").write_text(text)
    said: list[str] = []

    class Module:
        params = {"log_root": str(tmp_path), "job": "j"}  # noqa: RUF012 - as Ansible's

        def __init__(self, **_: object) -> None: ...

        def exit_json(self, changed: bool, sentences: list[str]) -> None:
            assert not changed
            said.extend(sentences)

    failure_summary.AnsibleModule = Module
    failure_summary.main()
    (sentence,) = said
    assert "can't be read" in sentence


def test_too_much_json_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_summary, "JSON_BYTES", 1024 * 1024)
    (tmp_path / "job-output.json").write_text("[" + " " * 1024 * 1024 + "]")
    assert failure_summary.summarise(str(tmp_path), "j") == ["j: job-output.json can't be read: more than 1 MiB"]


def test_a_sentence_can_be_written_as_utf8() -> None:
    for words in (reason(msg="caf\udce9"), reason(rc=1, stdout="\udcdf end")):
        words.encode("utf-8")
