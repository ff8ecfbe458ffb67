#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say in a sentence what ended a devstack job: the phase of stack.sh and its last words, or the tests that failed.

Runs on the node, called by the role write-devstack-summary. Only reads: stack.sh's log and the list of its phases, and
what stestr knows of the last run. Ends with a list of sentences, empty where neither tells of a failure.
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

LENGTH = 240
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ (\|( |$))?")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TRACE = re.compile(r"^\++ \S+:\S+:\d+")
TRAP = re.compile(r"^\++ \S*stack\.sh:exit_trap:\d+")
END = "Error on exit"
# What stack.sh says when it cleans up; there is no trace before it where devstack's `die` ended the run.
CLEANING = "exit_trap: "


def lines_of(path):
    """Return a log's lines without times and colours; none if there is no such log."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [COLOUR.sub("", STAMP.sub("", line.rstrip())) for line in file]
    except FileNotFoundError:
        return []


def last_words(log):
    """Return what stack.sh printed last before it gave up, its own trace left out; None if it did not give up."""
    if END not in log:
        return None
    end = len(log) - 1 - log[::-1].index(END)
    trap = next((number for number, line in enumerate(log[:end]) if TRAP.match(line)), end)
    lines = [line.strip() for line in log[:trap] if not TRACE.match(line)]
    said = [line for line in lines if line and not line.startswith(CLEANING)]
    return said[-1] if said else "nothing"


def of_stack(base_dir):
    """Say where stack.sh ended, if it did."""
    said = last_words(lines_of(os.path.join(base_dir, "logs", "devstacklog.txt")))
    if said is None:
        return []
    phases = [line for line in lines_of(os.path.join(base_dir, "logs", "devstacklog.txt.summary")) if line.strip()]
    where = f' in "{phases[-1].strip()}"' if phases else ""
    sentence = f"stack.sh ended{where}: {said}"
    return [sentence if len(sentence) <= LENGTH else sentence[: LENGTH - 1].rstrip() + "…"]


def of_tests(names, limit):
    """Name the tests that failed, without their ids and tags."""
    failed = sorted({re.sub(r"\[.*\]$", "", name.strip()) for name in names if name.strip()})
    if not failed:
        return []
    many = f"{len(failed)} tests" if len(failed) > 1 else "1 test"
    more = f" and {len(failed) - limit} more" if len(failed) > limit else ""
    return [f"{many} failed: {', '.join(failed[:limit])}{more}"]


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "base_dir": {"type": "path", "required": True},
            "stestr": {"type": "path", "required": True},
            "limit": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    base_dir, stestr = module.params["base_dir"], module.params["stestr"]
    try:
        sentences = of_stack(base_dir)
    except OSError as error:
        module.fail_json(msg=f"base_dir: {error}")
    tempest = os.path.join(base_dir, "tempest")
    if not sentences and os.path.isdir(os.path.join(tempest, ".stestr")) and os.access(stestr, os.X_OK):
        _, listed, _ = module.run_command([stestr, "failing", "--list"], cwd=tempest)
        sentences = of_tests(listed.splitlines(), module.params["limit"])
    module.exit_json(changed=False, sentences=sentences)


if __name__ == "__main__":
    main()
