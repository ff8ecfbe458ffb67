# SPDX-License-Identifier: Apache-2.0
"""The summary of plays that Ansible itself ran, written down by Zuul's own callbacks. Skipped where they are not."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.roles.loading import load

if any(importlib.util.find_spec(name) is None for name in ("ansible", "zuul")):
    pytest.skip("Ansible and Zuul are not installed here", allow_module_level=True)

SEEDED = Path(__file__).parents[2] / "seeds" / "config-project" / "roles"
failure_summary = load(SEEDED / "write-failure-summary" / "library" / "failure_summary.py")

COMMAND = "ansible.builtin.command"
FAIL = {COMMAND: "sh -c 'echo 3 tests failed >&2; exit 1'"}
LACKS = {COMMAND: "cat /no/such/log", "ignore_errors": True}
# Host → its tasks, and what the sentence says after the host; each is a play of its own.
CASES: dict[str, tuple[list[dict[str, object]], str]] = {
    "always": (
        [{"block": [{"name": "Copy it", **FAIL}], "always": [{"name": "Look for a log", **LACKS}]}],
        "failed in task [Copy it]: exit 1: 3 tests failed",
    ),
    "before": (
        [{"name": "Try it", **LACKS}, {"name": "Save it", **FAIL}],
        "failed in task [Save it]: exit 1: 3 tests failed",
    ),
    "loop": (
        [{"name": "Make users", COMMAND: "sh -c 'exit {{ item.rc }}'", "loop": [{"name": "b", "rc": 3}]}],
        "failed in task [Make users]: b: exit 3",
    ),
    "twice": (
        [{"block": [{"name": "Run", **FAIL}], "always": [{"name": "Read it", COMMAND: "cat /no/such/report"}]}],
        "failed in task [Run]: exit 1: 3 tests failed",
    ),
    "rescue": (
        [
            {
                "block": [{"name": "Install", **FAIL}],
                "rescue": [{"name": "Say it", "ansible.builtin.fail": {"msg": ["It did", "not work"]}}],
            }
        ],
        "failed in task [Say it]: It did; not work",
    ),
    "include": (
        [{"name": "Take it in", "ansible.builtin.include_role": {"name": "no-such-role"}}],
        "failed in task [Take it in]: the role 'no-such-role' was not found in ",
    ),
    "colour": (
        [{"name": "Run pytest", COMMAND: r"printf '\033[31m== 1 failed ==\033[0m\n'", "failed_when": True}],
        "failed in task [Run pytest]: exit 0: 1 failed",
    ),
    "killed": ([{"name": "Call it", "killed": {}}], "failed in task [Call it]: exit 137: Killed: out of memory"),
    "facts": (
        [{"name": "Ask", "ansible.builtin.gather_facts": {}, "vars": {"ansible_python_interpreter": "/no/python"}}],
        "failed in task [Ask]: ansible.legacy.setup: ",
    ),
}
KILLED = """#!/usr/bin/python
import os, sys
sys.stderr.write("Killed: out of memory\\n")
sys.stderr.flush()
os._exit(137)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build's log folder, written by Zuul's callbacks; one host stays well, so that the next play is run."""
    root = tmp_path_factory.mktemp("build")
    plays = [
        {
            "hosts": f"{host},well",
            "gather_facts": False,
            "tasks": [{"when": "inventory_hostname != 'well'", "block": tasks}],
        }
        for host, (tasks, _) in CASES.items()
    ]
    (root / "plays.yaml").write_text(yaml.safe_dump(plays, sort_keys=False))
    (root / "killed.py").write_text(KILLED)
    found = importlib.util.find_spec("zuul")
    assert found
    assert found.submodule_search_locations
    streams = {"json": ("INFO", "playbook.json"), "stream": ("DEBUG", "job-output.txt")}
    logging = {
        "version": 1,
        "formatters": {"plain": {"format": "%(message)s"}},
        "handlers": {
            name: {"class": "logging.FileHandler", "formatter": "plain", "filename": str(root / file), "level": level}
            for name, (level, file) in streams.items()
        },
        "loggers": {
            f"zuul.executor.ansible.{name}": {"handlers": [name], "level": level}
            for name, (level, _) in streams.items()
        },
    }
    (root / "logging.json").write_text(json.dumps(logging))
    settings = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(found.submodule_search_locations[0]) / "ansible" / "base" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "zuul_json",
        "ANSIBLE_STDOUT_CALLBACK": "zuul_stream",
        "ANSIBLE_HOME": str(root / "ansible"),
        "ANSIBLE_LIBRARY": str(root),
        "ZUUL_JOBDIR": str(root),
        "ZUUL_JOB_LOG_CONFIG": str(root / "logging.json"),
    }
    variables = {
        "ansible_connection": "local",
        "ansible_host": "localhost",
        "ansible_python_interpreter": sys.executable,
        "zuul_console_disabled": True,
    }
    inventory = {"all": {"hosts": dict.fromkeys([*CASES, "well"]), "vars": variables}}
    (root / "inventory.json").write_text(json.dumps(inventory))
    more = {"zuul_execution_phase": "run", "zuul_execution_canonical_name_and_path": "a/run.yaml"}
    (root / "job-output.txt").write_text("2026-11-27 10:00:00.1 | RUN START: [untrusted : a/run.yaml@master]\n")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(root / "inventory.json")]
    done = subprocess.run(
        [*command, "-e", json.dumps(more), str(root / "plays.yaml")],
        env=settings, cwd=root, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (root / "playbook.json").stat().st_size, done.stdout + done.stderr
    (root / "job-output.json").write_text(f"[{(root / 'playbook.json').read_text()}]")
    return root


def sentences(folder: Path, log: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The sentence on each host, where the log is this text."""
    monkeypatch.setattr(failure_summary, "LIMIT", len(CASES))
    (folder / "read").mkdir(exist_ok=True)
    (folder / "read" / "job-output.json").write_text((folder / "job-output.json").read_text())
    (folder / "read" / "job-output.txt").write_text(log)
    found = [str(sentence).split(" ", 2) for sentence in failure_summary.summarise(str(folder / "read"), "j")]
    return {host: words for _, host, words in found}


@pytest.mark.parametrize("host", CASES)
def test_summary(folder: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    said = sentences(folder, (folder / "job-output.txt").read_text(), monkeypatch)
    assert set(said) == set(CASES)
    assert said[host].startswith(CASES[host][1])


def test_the_log_tells_which_failure_was_ignored(folder: Path) -> None:
    """Not the names of the tasks: without it "Copy it" would sound like what is done after a failure."""
    text = (folder / "job-output.txt").read_text()
    assert text.count("ERROR: Ignoring Errors") == 2
