#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say in a sentence which task of a build failed, where, and why.

Runs on the executor, called by the role write-failure-summary at the end of a build that did not succeed. It only reads
what Zuul wrote so far: job-output.json has every task of every playbook that came to its end, job-output.txt has
also those of a playbook that was cut off by a time-out. Ends with a list of sentences, one per host at most and
`LIMIT` in all; the list is empty when neither file tells of a failure.
"""

import json
import os
import re

from ansible.module_utils.basic import AnsibleModule

LIMIT = 3
LENGTH = 240
TASK_LINE = re.compile(r"\| TASK \[(?P<task>.*?)\]\s*$")
CUT_OFF = re.compile(r"\| (?:RUN|POST-RUN|PRE-RUN) END RESULT_TIMED_OUT: \[(?P<playbook>[^\]]*)\]")


def brief(text):
    """Put a message on one line of at most LENGTH characters, so that a comment stays readable."""
    line = " ".join(str(text).split())
    return line if len(line) <= LENGTH else line[: LENGTH - 1].rstrip() + "…"


def reason(result):
    """Return why a task failed on a host: the failed item's own words where the task is a loop."""
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            label = item.get("item")
            said = reason(item)
            return f"{label}: {said}" if isinstance(label, (str, int)) else said
    said = result.get("msg") or ""
    if said in ("", "non-zero return code", "MODULE FAILURE"):
        for key in ("stderr", "stdout", "module_stderr", "module_stdout"):
            lines = [line for line in str(result.get(key) or "").splitlines() if line.strip()]
            if lines:
                code = f"exit {result['rc']}: " if "rc" in result else ""
                return code + lines[-1].strip()
        if "rc" in result:
            return f"exit {result['rc']}"
    return said


def failed_hosts(playbook):
    """Return the hosts on which a playbook ended badly; a failure that was ignored or rescued is none."""
    stats = playbook.get("stats") or {}
    return [host for host, count in sorted(stats.items()) if count.get("failures") or count.get("unreachable")]


def last_failure(playbook, host):
    """Return (task's name, result) of the last task that failed on a host, or None."""
    found = None
    for play in playbook.get("plays") or []:
        for task in play.get("tasks") or []:
            result = (task.get("hosts") or {}).get(host) or {}
            if result.get("failed") or result.get("unreachable"):
                role = os.path.basename((task.get("role") or {}).get("name") or "")
                name = task["task"].get("name") or result.get("action") or "unnamed"
                found = (f"{role} : {name}" if role else name, result)
    return found


def from_json(playbooks, job):
    """Say what failed in the playbooks that came to their end; the first phase that failed is the one that counts."""
    for playbook in playbooks:
        sentences = []
        for host in failed_hosts(playbook):
            failure = last_failure(playbook, host)
            if not failure:
                continue
            task, result = failure
            what = "is unreachable in" if result.get("unreachable") else "failed in"
            phase = {"pre": "pre-run ", "post": "post-run "}.get(playbook.get("phase"), "")
            sentences.append(brief(f"{job}: {host} {what} {phase}task [{task}]: {reason(result) or 'no reason given'}"))
        if sentences:
            return sentences[:LIMIT]
    return []


def from_text(lines, job):
    """Say which task was running when a playbook was cut off."""
    task = None
    for line in lines:
        if at := TASK_LINE.search(line):
            task = at["task"]
        elif task and CUT_OFF.search(line):
            return [brief(f"{job}: timed out in task [{task}]")]
    return []


def summarise(log_root, job):
    """Read both files of a build's log folder and return the sentences."""
    sentences = []
    try:
        with open(os.path.join(log_root, "job-output.json"), encoding="utf-8") as file:
            sentences = from_json(json.load(file), job)
    except FileNotFoundError:
        pass  # nothing came to its end
    except ValueError as error:
        sentences = [f"{job}: job-output.json can't be read: {brief(error)}"]
    if not sentences:
        with open(os.path.join(log_root, "job-output.txt"), encoding="utf-8", errors="replace") as file:
            sentences = from_text(file, job)
    return sentences


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={"log_root": {"type": "path", "required": True}, "job": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    try:
        sentences = summarise(module.params["log_root"], module.params["job"])
    except OSError as error:
        module.fail_json(msg=f"log_root: {error}")
    module.exit_json(changed=False, sentences=sentences)


if __name__ == "__main__":
    main()
