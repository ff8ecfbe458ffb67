#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Fill in a scenario of crowbar batch: values for its ##placeholders##, the job's nodes for its @@aliases@@.

Runs on the admin node, called by the role run-crowbar-batch. A scenario is text here, for it is YAML only once
crowbar batch (crowbar-core's bin/crowbar_batch) has put nodes in the place of the aliases. A placeholder without a
value would silently be a comment, an alias without a node would end the batch late: both are named before anything is
built. What is wrong in a proposal that is excluded does not matter. Values come by the environment: passwords are
among them, and a parameter would be in the build's JSON.
"""

import json
import os
import re

from ansible.module_utils.basic import AnsibleModule

PLACEHOLDER = re.compile(r"##([A-Za-z][A-Za-z0-9_]*)##")
ALIAS = re.compile(r"@@([^ @]+)@@")
PROPOSAL = re.compile(r"^ *- barclamp: *['\"]?([A-Za-z0-9_]+)['\"]? *$")
NAME = re.compile(r"^ +name: *['\"]?([^'\" ]+)['\"]? *$")


def filled(text, values, aliases):
    """Return a scenario with values in it, and the job's names for its own."""
    text = PLACEHOLDER.sub(lambda found: str(values.get(found.group(1), found.group(0))), text)
    return ALIAS.sub(lambda found: f"@@{aliases.get(found.group(1), found.group(1))}@@", text)


def blocks_of(text):
    """Return [(barclamp, proposal's name, lines)] of a scenario's proposals; what is before them has no barclamp."""
    blocks = [["", "default", []]]
    for line in text.splitlines():
        found = PROPOSAL.match(line)
        if found:
            blocks.append([found.group(1), "default", []])
        elif len(blocks[-1][2]) == 1 and NAME.match(line):
            blocks[-1][1] = NAME.match(line).group(1)
        blocks[-1][2].append(line)
    return blocks


def excluded(block, exclude):
    """Tell whether crowbar batch leaves a proposal out."""
    return block[0] in exclude or f"{block[0]}.{block[1]}" in exclude


def judged(text, nodes, exclude):
    """Return the proposals of a filled scenario that are built, and a sentence for each fault in them."""
    proposals, faults = [], []
    for block in blocks_of(text):
        if excluded(block, exclude):
            continue
        if block[0]:
            proposals.append(f"{block[0]}.{block[1]}")
        body = "\n".join(block[2])
        where = f"proposal {block[0]}" if block[0] else "before the proposals"
        faults += [f"{where}: no value for ##{name}##" for name in sorted(set(PLACEHOLDER.findall(body)))]
        unknown = sorted(set(ALIAS.findall(body)) - set(nodes))
        faults += [f"{where}: no node @@{name}@@ (has {', '.join(nodes)})" for name in unknown]
    return proposals, faults


def write(path, text):
    """Write a file that only root may read, for passwords are in it; return whether it changed."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return True


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "aliases": {"type": "dict", "required": True},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "exclude": {"type": "list", "elements": "str", "required": True},
        },
    )
    given = module.params
    try:
        with open(given["src"], encoding="utf-8") as file:
            text = filled(file.read(), json.loads(os.environ["CROWBAR_SCENARIO_VALUES"]), given["aliases"])
    except OSError as error:
        module.fail_json(msg=f"crowbar_scenario: {given['src']}: {error.strerror or error}")
    proposals, faults = judged(text, given["nodes"], given["exclude"])
    if faults:
        module.fail_json(msg=f"crowbar_scenario: {os.path.basename(given['src'])}: {'; '.join(faults)}")
    if not proposals:
        module.fail_json(msg=f"crowbar_scenario: {os.path.basename(given['src'])}: no proposal is left to build")
    module.exit_json(changed=write(given["dest"], text), proposals=proposals)


if __name__ == "__main__":
    main()
