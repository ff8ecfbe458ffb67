#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say in a sentence which task of a build failed, where, and why.

Runs on the executor, called by the role write-failure-summary at the end of a build that did not succeed. It only reads
what Zuul wrote so far: job-output.json has every task of every playbook that came to its end; of one that was cut off
by a time-out, or that Ansible could not even read, only job-output.txt tells, and so it does of failures that were
ignored. Ends with a list of sentences, one per host at most and `LIMIT` in all; the list is empty when neither file
tells of a failure.

Changes and nodes shape every text in these files. So each is read up to a bound, in time that grows with its length
and no faster, and a sentence has no control characters, no colours and no secrets of URLs.
"""

import json
import os
import re
import unicodedata

from ansible.module_utils.basic import AnsibleModule

LIMIT = 3
LENGTH = 240
LABEL = 60
# Of one text, of the end of an output, of each file; and how deep results may lie in results.
TEXT_BYTES = 8 * 1024
OUTPUT_BYTES = 256 * 1024
JSON_BYTES = 64 * 1024 * 1024
LOG_BYTES = 256 * 1024 * 1024
DEPTH = 5
AFTER_RUN = ("post", "cleanup")
# How many banners of the log may lie between those of two tasks that follow each other in the JSON.
LOOKAHEAD = 50

STAMP = r"^\S{1,40} \S{1,40} \| "
TASK_LINE = re.compile(STAMP + r"(?:TASK|LOOP) \[")
IGNORED_LINE = re.compile(STAMP + r"(?P<host>[^ |]+)(?: -> [^ |]+)? \| ERROR: Ignoring Errors$")
START_LINE = re.compile(STAMP + r"(?P<phase>PRE-RUN|RUN|POST-RUN) START: \[\w+ : (?P<playbook>[^\]@]*)")
END_LINE = re.compile(STAMP + r"(?:PRE-RUN|RUN|POST-RUN) END RESULT_(?P<result>\w+):")
ERROR_LINE = re.compile(STAMP + r"(?:ERROR! |\[ERROR\]: )(?P<error>.+)$")

ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
ADDRESS = re.compile(r"://\S+")
PORT = re.compile(r"[^@]*:\d+$")
QUERY = re.compile(r"[?#][^\"'<>]+")
VALUE = re.compile(r"(?i)((?:passw(?:or)?d|token|secret|api[_-]?key)=)[^\s&\"']+")

# Messages that say only that there was a failure: the cause stands beside them.
HOLLOW = re.compile(
    r"(?:Task failed: )?(?:Module failed: )?(?:non-zero return code|MODULE FAILURE.*|.*No start of json char found.*"
    r"|.*See stdout/stderr for the exact error.*"
    r"|Module result deserialization failed.*|The following modules failed to execute:.*|One or more items failed"
    r"|All items completed|Zypper run command failed with return code -?\d+\.)?\s*",
    re.DOTALL,
)
CAUSES = ("reason", "stderr", "stdout", "module_stderr", "module_stdout", "exception")
# Where nothing else tells which of two failures was ignored: what is done after a failure rather sounds like this.
AFTERMATH = re.compile(
    r"(?i)\b(?:collect|copy|gather|fetch|save|store|archive|upload|publish|report|show|dump|print|clean|tidy|tear"
    r"|remove|delete|stop|kill|logs?\b)"
)


def clean(text):
    """Return a text's beginning on one line, without colours and control characters."""
    text = ESCAPES.sub("", str(text)[:TEXT_BYTES])
    kept = (c if not unicodedata.category(c).startswith("C") else " " if c.isspace() else "" for c in text)
    return " ".join("".join(kept).split())


def masked_address(match):
    """Return an address without user and password, which may have an `@` or a slash, and without its query."""
    rest = match[0][len("://") :]
    end = min(at for mark in "/?#" if (at := (rest + mark).find(mark)) >= 0)
    host = rest.rfind("@", 0, end) + 1
    if not host and ":" in rest[:end] and not PORT.match(rest[:end]):
        host = rest.rfind("@") + 1
    user = "***@" if host else ""
    return "://" + user + QUERY.sub(lambda query: query[0][0] + "***", rest[host:], count=1)


def masked(line, cut):
    """Return a line without secrets; one that was `cut` may end in the middle of an address."""
    if cut:
        line = re.sub(r"://\S*$", "://***", line)
    return VALUE.sub(r"\1***", ADDRESS.sub(masked_address, line))


def brief(text, length=LENGTH):
    """Put a message on one line of at most so many characters, so that a comment stays readable."""
    line = masked(clean(text), cut=len(str(text)) > TEXT_BYTES)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def last_lines(text):
    """Return the lines of an output's end, none of them without its beginning."""
    text = text.rstrip()
    first = max(len(text) - OUTPUT_BYTES, 0)
    if first:
        first = text.find("\n", first) + 1 or text.rfind("\n", 0, first) + 1
    return text[first:].splitlines()


def last_words(text):
    """Return the last line of an output that says something."""
    # Test runners draw lines around their last words, and a shell that traces says what it runs, not why.
    for line in reversed(last_lines(str(text or ""))):
        words = clean(line).strip(" \t=-*")
        if words and not words.startswith("+") and words not in ("FINISHED", "(traceback unavailable)"):
            return words
    return ""


def message(result):
    """Return what a module says itself, which need not be a text."""
    msg = result.get("msg") or ""
    if isinstance(msg, (list, tuple)):
        return "; ".join(str(part) for part in msg)
    if msg == "Assertion failed" and result.get("assertion"):
        return f"{msg}: {result['assertion']}"
    return str(msg)


def of_parts(result, depth):
    """Return why the first part failed of a task that has several: items of a loop, modules that gather facts."""
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            label = item.get(item.get("ansible_loop_var") or "item")
            label = label.get("name") if isinstance(label, dict) else label
            said = reason(item, depth + 1)
            return f"{brief(label, LABEL)}: {said}" if isinstance(label, (str, int)) else said
    modules = result.get("failed_modules")
    for name, failure in sorted(modules.items()) if isinstance(modules, dict) else []:
        if isinstance(failure, dict) and (said := reason(failure, depth + 1)):
            return f"{name}: {said}"
    return ""


def reason(result, depth=0):
    """Return why a task failed on a host: the failed item's own words where the task is a loop."""
    if depth < DEPTH and (said := of_parts(result, depth)):
        return said
    said = message(result)
    if not HOLLOW.fullmatch(said[:TEXT_BYTES]):
        return said
    code = f"exit {result['rc']}" if "rc" in result else ""
    for key in CAUSES:
        # An include's reason begins with what matters; an output ends with it.
        if words := clean(result.get(key) or "") if key == "reason" else last_words(result.get(key)):
            return f"{code}: {words}" if code else words
    return code if code and "non-zero return code" in said else said or code


def is_failure(result):
    return bool(result.get("failed") or result.get("unreachable"))


def failed_hosts(playbook):
    """Return the hosts on which a playbook ended badly; a failure that was ignored or rescued is none."""
    stats = playbook.get("stats") or {}
    return [host for host, count in sorted(stats.items()) if count.get("failures") or count.get("unreachable")]


def tasks_of(playbook):
    return [task for play in playbook.get("plays") or [] for task in play.get("tasks") or []]


def full_name(task):
    """Return a task's name as the log has it: `role : name`."""
    name, role = task["task"].get("name") or "", (task.get("role") or {}).get("name") or ""
    return f"{role} : {name}" if role else name


def ignored_in_log(playbook, banners):
    """Return (number of the task, host) of each failure of which the log says that it was ignored.

    :param banners: [name, hosts with an ignored failure] of each task of this playbook in the log.
    """
    found, at = set(), 0
    for number, task in enumerate(tasks_of(playbook)):
        name = " ".join(full_name(task).split())
        for place in range(at, min(at + LOOKAHEAD, len(banners))):
            banner, hosts = banners[place]
            if banner.startswith(name):
                found |= {(number, host) for host in hosts}
                at = place + 1
                break
    return found


def the_failure(playbook, host, ignored):
    """Return (task, result) of the failure that ended a playbook for a host, or None.

    Neither those that were ignored, nor those that were rescued, nor what failed in `always` for want of what the
    failure left undone. Zuul counts the first two and marks none.
    """
    count = {key: value for key, value in playbook["stats"][host].items() if isinstance(value, int)}
    results = [
        (number, task, result)
        for number, task in enumerate(tasks_of(playbook))
        if isinstance(result := (task.get("hosts") or {}).get(host), dict)
    ]
    failures = [at for at, (_, _, result) in enumerate(results) if is_failure(result)]

    def doubt(at):
        number, task, _ = results[at]
        told = (number, host) in ignored
        sounds = AFTERMATH.search(str(task["task"].get("name")))
        return (0, at) if told else (1, -at) if sounds else (2, at)

    def doubt_of_rescue(at):
        # A rescue runs after what it saves, and mostly begins well.
        follower = results[at + 1][2] if at + 1 < len(results) else None
        return (2 if follower is None else 1 if is_failure(follower) else 0, at)

    for key, order in (("ignored", doubt), ("rescued", doubt_of_rescue)):
        spare = min(max(count.get(key, 0), 0), len(failures) - 1)
        dropped = set(sorted(failures, key=order)[: max(spare, 0)])
        failures = [at for at in failures if at not in dropped]
    return results[failures[0]][1:] if failures else None


def sentence(playbook, host, task, result, job):
    """Say of a task that it failed on a host, and why."""
    role = os.path.basename((task.get("role") or {}).get("name") or "")
    name = task["task"].get("name") or result.get("action") or "unnamed"
    what = "is unreachable in" if result.get("unreachable") else "failed in"
    phase = {"pre": "pre-run ", "post": "post-run "}.get(playbook.get("phase"), "")
    title = brief(f"{role} : {name}" if role else name, LENGTH // 2)
    return brief(f"{job}: {host} {what} {phase}task [{title}]: {reason(result) or 'no reason given'}")


def from_json(playbooks, job, log=None):
    """Say what failed in the first of these playbooks that failed."""
    for playbook in playbooks:
        banners = log.banners_of(playbook.get("playbook")) if log else []
        hosts = failed_hosts(playbook)[: 4 * LIMIT]
        ignored = ignored_in_log(playbook, banners) if hosts and banners else set()
        failures = [(host, the_failure(playbook, host, ignored)) for host in hosts]
        sentences = [sentence(playbook, host, *failure, job) for host, failure in failures if failure]
        if sentences:
            return sentences[:LIMIT]
    return []


class Log:
    """What job-output.txt tells, taken line by line.

    `cut_off`: where a playbook before post-run was cut off, or what Ansible said of one that it could not run; empty
    where there was none.
    """

    def __init__(self):
        self.cut_off = ""
        self._post = False
        self._playbook, self._task, self._error = "", "", ""
        self._banners = []
        self._runs = {}

    def banners_of(self, playbook):
        """Return [name, hosts with an ignored failure] of each task of a playbook's next run that is not asked yet."""
        runs = self._runs.get(playbook)
        return runs.pop(0) if runs else []

    def take(self, line):
        if at := START_LINE.match(line):
            name = at["playbook"].strip()
            self._post = self._post or at["phase"] == "POST-RUN"
            self._playbook, self._task, self._error = os.path.basename(name), "", ""
            self._banners = []
            self._runs.setdefault(name, []).append(self._banners)
        elif at := TASK_LINE.match(line):
            self._task = " ".join(line[at.end() :].rstrip("]").split())
            self._banners.append([self._task, []])
        elif self._banners and (at := IGNORED_LINE.match(line)):
            self._banners[-1][1].append(at["host"])
        elif at := ERROR_LINE.match(line):
            self._error = self._error or at["error"]
        elif (at := END_LINE.match(line)) and not self.cut_off and not self._post:
            self._end(at["result"])

    def _end(self, result):
        where = f"task [{self._task}]" if self._task else f"playbook {self._playbook}"
        if result == "TIMED_OUT":
            self.cut_off = f"timed out in {where}"
        elif self._error:
            self.cut_off = f"failed in {where}: {self._error}"


def read_log(path):
    """Return what the log tells; of a long line its beginning, and nothing where there is no log."""
    log, size, begins = Log(), 0, True
    try:
        with open(path, "rb") as file:
            while size < LOG_BYTES and (piece := file.readline(TEXT_BYTES)):
                size += len(piece)
                if begins:
                    log.take(ESCAPES.sub("", piece.decode("utf-8", "replace")).rstrip())
                begins = piece.endswith(b"\n")
    except FileNotFoundError:
        pass
    return log


def read_json(path):
    """Return the playbooks that Zuul wrote down so far; none where none came to its end.

    :raises ValueError: no JSON, or too much of it.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(JSON_BYTES + 1)
    except FileNotFoundError:
        return []
    if len(text) > JSON_BYTES:
        raise ValueError(f"more than {JSON_BYTES // 1024**2} MiB")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def summarise(log_root, job):
    """Read both files of a build's log folder and return the sentences; what comes after the run counts last."""
    log = read_log(os.path.join(log_root, "job-output.txt"))
    text = [brief(f"{job}: {log.cut_off}")] if log.cut_off else []
    try:
        playbooks = read_json(os.path.join(log_root, "job-output.json"))
    except ValueError as error:
        return text or [brief(f"{job}: job-output.json can't be read: {error}")]
    return (
        from_json([p for p in playbooks if p.get("phase") not in AFTER_RUN], job, log)
        or text
        or from_json([p for p in playbooks if p.get("phase") in AFTER_RUN], job, log)
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
    except Exception as error:
        # The logs are saved after this: better a build without a summary than one without logs.
        sentences = [brief(f"{job}: what Zuul wrote can't be read: {error!r}")]
    module.exit_json(changed=False, sentences=sentences)


if __name__ == "__main__":
    main()
