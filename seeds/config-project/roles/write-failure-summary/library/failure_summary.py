#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say in a sentence which task of a build failed, where, and why.

Runs on the executor, called by the role write-failure-summary at the end of a build that did not succeed. It only reads
what Zuul wrote so far: job-output.json has every task of every playbook that came to its end; of one that was cut off
by a time-out, or that Ansible could not even read, only job-output.txt tells. Ends with a list of sentences, one per
host at most and `LIMIT` in all; the list is empty when neither file tells of a failure.
"""

import json
import os
import re

from ansible.module_utils.basic import AnsibleModule

LIMIT = 3
LENGTH = 240
TASK_LINE = re.compile(r"\| TASK \[(?P<task>.*?)\]\s*$")
END_LINE = re.compile(r"\| (?:PRE-RUN|RUN) END RESULT_(?P<result>\w+):")
START_LINE = re.compile(r"\| (?:PRE-RUN|RUN) START: \[\w+ : (?P<playbook>[^\]@]*)")
POST_LINE = re.compile(r"\| POST-RUN START:")
ERROR_LINE = re.compile(r"^\S+ \S+ \| (?:ERROR! |\[ERROR\]: )(?P<error>.+)$")


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
            # Test runners draw lines around their last words, and a shell that traces says what it runs, not why.
            told = [line for line in str(result.get(key) or "").splitlines() if not line.startswith("+")]
            lines = [words for line in told if (words := line.strip(" \t=-*")) and words != "FINISHED"]
            if lines:
                code = f"exit {result['rc']}: " if "rc" in result else ""
                return code + lines[-1]
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
    """Say what failed in the first of these playbooks that failed."""
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
    """Say where a playbook was cut off, or what Ansible said of one that it could not run."""
    playbook, task, error = "", "", ""
    for line in lines:
        if POST_LINE.search(line):
            break
        if at := START_LINE.search(line):
            playbook, task, error = os.path.basename(at["playbook"].strip()), "", ""
        elif at := TASK_LINE.search(line):
            task = at["task"]
        elif at := ERROR_LINE.search(line.rstrip()):
            error = error or at["error"]
        elif at := END_LINE.search(line):
            where = f"task [{task}]" if task else f"playbook {playbook}"
            if at["result"] == "TIMED_OUT":
                return [brief(f"{job}: timed out in {where}")]
            if error:
                return [brief(f"{job}: failed in {where}: {error}")]
    return []


def read_json(path):
    """Return the playbooks that Zuul wrote down so far; none where none came to its end."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return []


def summarise(log_root, job):
    """Read both files of a build's log folder and return the sentences; what comes after the run counts last."""
    try:
        playbooks = read_json(os.path.join(log_root, "job-output.json"))
    except ValueError as error:
        return [f"{job}: job-output.json can't be read: {brief(error)}"]
    with open(os.path.join(log_root, "job-output.txt"), encoding="utf-8", errors="replace") as file:
        text = from_text(file, job)
    return (
        from_json([p for p in playbooks if p.get("phase") != "post"], job)
        or text
        or from_json([p for p in playbooks if p.get("phase") == "post"], job)
    )


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={"log_root": {"type": "path", "required": True}, "job": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    log_root, job = module.params["log_root"], module.params["job"]
    try:
        sentences = summarise(log_root, job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The logs are saved after this: better a build without a summary than one without logs.
        sentences = [brief(f"{job}: what Zuul wrote can't be read: {error!r}")]
    module.exit_json(changed=False, sentences=sentences)


if __name__ == "__main__":
    main()
