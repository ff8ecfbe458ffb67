#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Allocate Crowbar's nodes, give them their aliases and wait until all are ready.

Runs on the admin node, called by the role ensure-crowbar-nodes. As crowbar-core's
crowbar_framework/app/controllers/machines_controller.rb has it: GET /crowbar/machines/1.0 lists `nodes`, each with
name, alias, group and status; POST .../allocate/NAME and .../rename/NAME, with `alias` in the body, answer 200, or
another code with `error`. A status (app/models/node.rb) is ready, pending (discovered and not allocated), unready,
building, unknown or failed. A failure counts when it lasts for some questions: chef may mend it in its next run.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible.module_utils.basic import AnsibleModule

PATH = "/crowbar/machines/1.0"
LASTING = 6


class Refused(Exception):
    """The API says no."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


def reason_of(error):
    """Return why the API refuses: what it says, or the code. The error of a digest that is wrong has no body."""
    try:
        return str(json.loads(error.fp.read().decode("utf-8"))["error"])
    except (AttributeError, ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"


class Api:
    """The three calls, with digest authentication where it is asked for."""

    def __init__(self, url, username, password):
        self.url = url.rstrip("/") + PATH
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, url, username, password)
        self.opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(passwords))

    def call(self, path="", body=None):
        """Return what the API answers; raises Refused, or OSError where nothing answers."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
        try:
            with self.opener.open(request, timeout=60) as answer:
                text = answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            raise Refused(error.code, reason_of(error)) from None
        return text

    def nodes(self):
        """Return {name: node}."""
        return {node["name"]: node for node in json.loads(self.call())["nodes"]}

    def act(self, action, name, body=None):
        """Do something to a node."""
        self.call(f"/{action}/{urllib.parse.quote(name)}", body or {})


class Watch:
    """What was done to the nodes, and how often each was seen to have failed."""

    def __init__(self, api, wanted):
        self.api = api
        self.wanted = wanted
        self.allocated = set()
        self.failures = dict.fromkeys((entry["name"] for entry in wanted), 0)
        self.seen = {}

    def step(self):
        """Look once and do what there is to do; return whether all are ready under their aliases."""
        self.seen = self.api.nodes()
        done = True
        for entry in self.wanted:
            name, node = entry["name"], self.seen.get(entry["name"])
            if node is None:
                done = False
                continue
            if node["status"] == "pending" and name not in self.allocated:
                self.api.act("allocate", name)
                self.allocated.add(name)
            if node.get("alias") != entry["alias"]:
                self.api.act("rename", name, {"alias": entry["alias"]})
                done = False
            failed = node["status"] == "failed"
            self.failures[name] = self.failures[name] + 1 if failed else 0
            done = done and node["status"] == "ready"
        return done

    def failed(self):
        """Return the nodes whose failure lasts."""
        return [entry for entry in self.wanted if self.failures[entry["name"]] >= LASTING]

    def account(self, entries):
        """Say how some nodes are."""
        words = []
        for entry in entries:
            node = self.seen.get(entry["name"])
            words.append(f"{entry['alias']} ({entry['name']}): {node['status'] if node else 'not registered'}")
        return ", ".join(words)

    def unready(self):
        """Return the nodes that are not ready."""
        return [e for e in self.wanted if self.seen.get(e["name"], {}).get("status") != "ready"]


def run(watch, timeout, interval):
    """Wait; return what went wrong, an empty string if nothing did."""
    end = time.monotonic() + timeout
    while True:
        trouble = ""
        try:
            if watch.step():
                return ""
        except Refused as error:
            trouble = f"the API refuses: {error}"
            if error.code in (401, 403):
                return trouble
        except (OSError, ValueError, KeyError) as error:
            trouble = f"the API can't be read: {error}"
        failed = watch.failed()
        if failed:
            return f"failed: {watch.account(failed)}"
        if time.monotonic() >= end:
            break
        time.sleep(interval)
    unready = watch.account(watch.unready()) or "all are, not all under their aliases"
    return f"not ready after {timeout} s: {unready}" + (f"; {trouble}" if trouble else "")


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "api": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "int", "required": True},
            "interval": {"type": "float", "required": True},
        },
    )
    given = module.params
    username, password = os.environ.get("CROWBAR_USERNAME", "crowbar"), os.environ.get("CROWBAR_PASSWORD", "")
    watch = Watch(Api(given["api"], username, password), given["nodes"])
    fault = run(watch, given["timeout"], given["interval"])
    if fault:
        module.fail_json(msg=f"crowbar_nodes: {fault}")
    module.exit_json(changed=bool(watch.allocated), nodes=[watch.seen[e["name"]] for e in given["nodes"]])


if __name__ == "__main__":
    main()
