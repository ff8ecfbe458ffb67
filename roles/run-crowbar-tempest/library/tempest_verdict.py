#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say whether tempest's tests ran and passed, from what its test runner remembers of the last run.

Runs on the node with tempest, called by the role run-crowbar-tempest: once before the tests, to count the runs, and
once after. tempest ends with 0 when it ran no test at all. What counts is the last run as stestr knows it (`stestr
last`: "Ran: N tests", " - Passed: N"), or testr where tempest is older ("Ran N tests", "FAILED (id=0, failures=N,
skips=N)"); `failing --list` names those that failed. A run that all of its tests skipped tested nothing and fails
too. `next-stream` in the runner's folder counts its runs: where it did not move, what the runner remembers is of
another time.
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

RUNNERS = (("stestr", ".stestr"), ("testr", ".testrepository"))
STESTR = {
    "ran": re.compile(r"^Ran: (\d+) tests?", re.MULTILINE),
    "passed": re.compile(r"^ - Passed: (\d+)", re.MULTILINE),
    "skipped": re.compile(r"^ - Skipped: (\d+)", re.MULTILINE),
    "failed": re.compile(r"^ - Failed: (\d+)", re.MULTILINE),
}
TESTR_RAN = re.compile(r"^Ran (\d+)(?: \([^)]*\))? tests?", re.MULTILINE)
TESTR_END = re.compile(r"^(?:PASSED|FAILED) \(([^)]*)\)", re.MULTILINE)


def counts_of(text):
    """Return {ran, passed, skipped, failed} of the last run; all are 0 where there was none."""
    if STESTR["ran"].search(text):
        return {name: int((regex.search(text) or [0, 0])[1]) for name, regex in STESTR.items()}
    ran, end = TESTR_RAN.search(text), TESTR_END.search(text)
    if not ran or not end:
        return {"ran": 0, "passed": 0, "skipped": 0, "failed": 0}
    pairs = dict(pair.split("=") for pair in re.findall(r"\w+=\d+", end.group(1)))
    found = {"ran": int(ran.group(1)), "skipped": int(pairs.get("skips", 0)), "failed": int(pairs.get("failures", 0))}
    found["passed"] = found["ran"] - found["skipped"] - found["failed"]
    return found


def runner_of(folder):
    """Return the test runner of a workspace and how many runs it has seen."""
    for name, repository in RUNNERS:
        try:
            with open(os.path.join(folder, repository, "next-stream"), encoding="utf-8") as file:
                return name, int(file.read().strip() or 0)
        except (FileNotFoundError, ValueError):
            continue
    return "stestr" if os.path.exists(os.path.join(folder, ".stestr.conf")) else "testr", 0


def names_of(text, limit):
    """Return the names of some tests, without their ids and tags, and how many more there are."""
    names = sorted({re.sub(r"\[.*\]$", "", line.strip()) for line in text.splitlines() if "." in line})
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def fault_of(rc, counts, names, said, timeout):
    """Return what is wrong, an empty string if nothing is."""
    summary = f"ran {counts['ran']}: {counts['passed']} passed, {counts['skipped']} skipped, {counts['failed']} failed"
    if rc == 124:
        return f"not done after {timeout} s"
    if counts["failed"]:
        return f"{summary}: {names or 'the runner does not name them'}"
    if rc != 0:
        return f"exit {rc}: {said or 'it says nothing'}"
    if counts["passed"] == 0:
        return f"no test was run: {summary}"
    return ""


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "before": {"type": "int"},
            "rc": {"type": "int", "default": 0},
            "said": {"type": "str", "default": ""},
            "folder": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 0},
            "limit": {"type": "int", "default": 5},
        },
    )
    given = module.params
    runner, runs = runner_of(given["folder"])
    if given["before"] is None:
        module.exit_json(changed=False, runs=runs)
    last = ""
    if runs > given["before"]:
        _, last, _ = module.run_command([runner, "last"], cwd=given["folder"])
    counts = counts_of(last)
    names = ""
    if counts["failed"]:
        _, failing, _ = module.run_command([runner, "failing", "--list"], cwd=given["folder"])
        names = names_of(failing, given["limit"])
    fault = fault_of(given["rc"], counts, names, given["said"], given["timeout"])
    if fault:
        module.fail_json(msg=f"tempest: {fault}", counts=counts)
    module.exit_json(changed=False, counts=counts)


if __name__ == "__main__":
    main()
