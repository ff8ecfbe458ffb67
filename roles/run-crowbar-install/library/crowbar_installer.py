#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Start Crowbar's installer through its web API and wait until it is done; say the last step when it is not.

Runs on the admin node, called by the role run-crowbar-install. As crowbar-core has it
(crowbar_framework/app/controllers/installer/installers_controller.rb, lib/crowbar/installer.rb): POST
/installer/installer/start.json answers 200 at once, 226 while an installation runs, 410 after one that succeeded, 412
for a bad network.json and 501 on a system that is not SUSE; GET status.json has `steps` (those that are done),
`failed`, `success`, `installing`, `network` and `errorMsg`. The service restarts on the way: an answer that does not
come is asked for again. A failure that was there before the start counts only once an installation was seen to run.

The password comes by the environment, as it does for crowbarctl: a parameter would be in the build's JSON, and one
that is hidden would have Ansible blot out its value, "crowbar", wherever that word is.
"""

import json
import os
import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

PATH = "/installer/installer"
# lib/crowbar/installer.rb; a step is in the list once it is done, so that the one after the last is what went wrong.
STEPS = (
    "pre_sanity_checks",
    "run_services",
    "initial_chef_client",
    "barclamp_install",
    "bootstrap_crowbar_setup",
    "apply_crowbar_config",
    "transition_crowbar",
    "chef_client_daemon",
    "post_sanity_checks",
)
REFUSALS = {412: "network.json is invalid", 501: "system not supported"}


class Api:
    """The two calls, with digest authentication where it is asked for."""

    def __init__(self, url, username, password):
        self.url = url.rstrip("/")
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, self.url, username, password)
        self.opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))

    def call(self, method, name):
        """Return (HTTP status, body); raises OSError where nothing answers."""
        headers = {"Accept": "application/json"}
        data = b"" if method == "POST" else None
        request = urllib.request.Request(f"{self.url}{PATH}/{name}.json", data, headers, method=method)  # noqa: S310
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, ""

    def status(self):
        """Return status.json, None while there is none to be had."""
        try:
            code, body = self.call("GET", "status")
            found = json.loads(body) if code == 200 else None
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def where(status):
    """Say in words how far an installation is."""
    steps = [str(step) for step in (status or {}).get("steps") or []]
    last = steps[-1] if steps else "none"
    following = [step for step in STEPS if step not in steps]
    return f"last step done: {last}, next: {following[0] if following else 'none'}"


def last_words(path):
    """Return the last error of the installer's log, or its last line; an empty string if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        return ""
    errors = [line for line in lines if line.startswith("Error:")]
    return (errors or lines or [""])[-1][:240]


def wait(api, seconds, interval, done):
    """Ask until `done` says so of a status, or the time is over; return the last status that was had."""
    end = time.monotonic() + seconds
    last = None
    while True:
        status = api.status()
        last = status or last
        if status is not None and done(status):
            return status, True
        if time.monotonic() >= end:
            return last, False
        time.sleep(interval)


def start(api, before):
    """Start an installation; return why that can't be, an empty string if it runs."""
    network = before.get("network") or {}
    code, _ = api.call("POST", "start")
    if code in (200, 226):
        return ""
    detail = network.get("msg") if code == 412 else ""
    reason = REFUSALS.get(code, f"HTTP {code}")
    return f"{reason}: {detail}" if detail else reason


def run(api, given):
    """Install; return (status, fault)."""
    before, answered = wait(api, given["service_timeout"], given["interval"], lambda status: True)
    if not answered:
        return None, f"nothing answers at {given['api']}{PATH}/status.json within {given['service_timeout']} s"
    if before.get("success"):
        return before, ""
    refused = start(api, before)
    if refused:
        return before, f"the installer does not start: {refused}"
    stale = bool(before.get("failed"))

    def begun(status):
        return status.get("installing") or status.get("success") or (status.get("failed") and not stale)

    status, seen = wait(api, given["start_timeout"], min(2, given["interval"]), begun)
    if not seen:
        return status, f"the installer did not start within {given['start_timeout']} s; {where(status)}"
    status, ended = wait(api, given["timeout"], given["interval"], lambda status: not status.get("installing"))
    if not ended:
        return status, f"the installer is not done after {given['timeout']} s; {where(status)}"
    if not status.get("success"):
        said = last_words(given["log"]) or status.get("errorMsg") or "it says nothing"
        return status, f"the installer failed; {where(status)}; {said}"
    return status, ""


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "api": {"type": "str", "required": True},
            "username": {"type": "str", "required": True},
            "log": {"type": "path", "required": True},
            "service_timeout": {"type": "int", "required": True},
            "start_timeout": {"type": "int", "required": True},
            "timeout": {"type": "int", "required": True},
            "interval": {"type": "float", "required": True},
        },
    )
    given = module.params
    try:
        status, fault = run(Api(given["api"], given["username"], os.environ.get("CROWBAR_PASSWORD", "")), given)
    except OSError as error:
        status, fault = None, f"{given['api']}{PATH}/start.json: {error}"
    steps = (status or {}).get("steps") or []
    if fault:
        module.fail_json(msg=f"crowbar_installer: {fault}", steps=steps)
    module.exit_json(changed=True, steps=steps)


if __name__ == "__main__":
    main()
