#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Run crowbar batch, and say in a line what ended it, or that it did not build all that it should.

Runs on the admin node, called by the role run-crowbar-batch. crowbar-core's bin/crowbar_batch heads each proposal
with "[TIME] BARCLAMP barclamp, 'NAME' proposal:" and aborts with its reason on the error output; a proposal that chef
could not apply is printed whole, as JSON with chef's words in deployment.BARCLAMP.crowbar-failed. There are passwords
in it: what is said goes into a log that only root may read, which collect-crowbar-logs redacts, and never to the
console. Its --timeout is one for a request, and it waits for a proposal without end: the whole run has a time-out of
its own.
"""

import json
import os
import re
import subprocess

from ansible.module_utils.basic import AnsibleModule

HEAD = re.compile(r"^\[\d\d:\d\d:\d\d\] (\S+) barclamp, '([^']*)' proposal:", re.MULTILINE)
SECRET = re.compile(r"(?i)([a-z_-]*(?:passw|secret|token)[a-z_-]*[\"']?\s*(?:[:=]>?|\s)\s*)[\"']?[^\s\"',]+")
LENGTH = 300


def heads(stdout):
    """Return the proposals that were begun, as barclamp.name."""
    return [f"{barclamp}.{name}" for barclamp, name in HEAD.findall(stdout)]


def chef_error(stderr, barclamp):
    """Return what chef said, of the JSON that follows the reason; an empty string if it is not there."""
    start = stderr.find("\n{")
    try:
        deployment = json.loads(stderr[start:])["deployment"][barclamp] if start >= 0 else {}
        return str(deployment.get("crowbar-failed") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def reason_of(stdout, stderr, barclamp):
    """Return why a run ended."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line.strip(" .") for line in stdout.splitlines() if line.strip(" .")]
    first = lines[0] if lines else (said[-1] if said else "it says nothing")
    if first.endswith(":") and len(lines) > 1 and lines[1].startswith("- "):
        first = f"{first} {', '.join(line[2:] for line in lines[1:] if line.startswith('- '))}"
    chef = " ".join(chef_error(stderr, barclamp).split())
    sentence = SECRET.sub(r"\1[redacted]", f"{first.rstrip(':')}: {chef}" if chef else first)
    return sentence if len(sentence) <= LENGTH else sentence[: LENGTH - 1] + "…"


def fault_of(rc, stdout, stderr, timeout, wanted):
    """Return what is wrong, an empty string if nothing is; without an exit code the run was ended."""
    begun = heads(stdout)
    at = f"proposal {begun[-1]}" if begun else "no proposal begun"
    if rc is None:
        return f"not done after {timeout} s, at {at}"
    if rc != 0:
        barclamp = begun[-1].split(".")[0] if begun else ""
        return f"exit {rc} at {at}: {reason_of(stdout, stderr, barclamp)}"
    missing = [name for name in wanted if name not in begun]
    return f"exit 0, but not built: {', '.join(missing)}" if missing else ""


def run(command, log, timeout):
    """Run it into a log; return its exit code, None when its time was over, and what it said."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    errors = log + ".err"
    for path in (log, errors):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with open(log, "w") as out, open(errors, "w") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            rc = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            rc = None
    texts = []
    for path in (log, errors):
        with open(path, encoding="utf-8", errors="replace") as file:
            texts.append(file.read())
    return rc, texts[0], texts[1]


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "scenario": {"type": "path", "required": True},
            "log": {"type": "path", "required": True},
            "exclude": {"type": "list", "elements": "str", "required": True},
            "request_timeout": {"type": "int", "required": True},
            "timeout": {"type": "int", "required": True},
            "wanted": {"type": "list", "elements": "str", "required": True},
        },
    )
    given = module.params
    command = ["crowbar", "batch", *[f"--exclude={name}" for name in given["exclude"]]]
    command += ["--timeout", str(given["request_timeout"]), "build", given["scenario"]]
    try:
        rc, stdout, stderr = run(command, given["log"], given["timeout"])
    except OSError as error:
        module.fail_json(msg=f"crowbar batch: {error}")
    fault = fault_of(rc, stdout, stderr, given["timeout"], given["wanted"])
    if fault:
        module.fail_json(msg=f"crowbar batch: {fault}")
    module.exit_json(changed=True, proposals=heads(stdout))


if __name__ == "__main__":
    main()
