#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write /etc/crowbar/network.json: crowbar-core's template with a site's changes, as network-json-validator takes it.

Runs on the admin node, called by the role configure-crowbar-admin. What the validator refuses is not left behind: the
file appears only when it is valid. crowbar's scripts/network-json-validator prints one line and ends with 1 for a
fault.
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule


def merged(old, changes):
    """Return a structure with changes in it: objects are merged, everything else is replaced."""
    if not isinstance(old, dict) or not isinstance(changes, dict):
        return changes
    return {**old, **{key: merged(old.get(key), value) for key, value in changes.items()}}


def network_of(template, changes):
    """Return the content of network.json; changes are those of its attributes.network."""
    return merged(template, {"attributes": {"network": changes}})


def load(path):
    """Return a file's JSON, None where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def refusal(module, validator, address, path):
    """Return what the validator has against a file, an empty string if nothing."""
    rc, out, err = module.run_command([validator, "--admin-ip", address, path])
    lines = [line.strip() for line in (out + "\n" + err).splitlines() if line.strip()]
    if rc == 0:
        return ""
    return lines[0] if lines else f"exit {rc}"


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "template": {"type": "path", "required": True},
            "changes": {"type": "dict", "required": True},
            "validator": {"type": "path", "required": True},
            "address": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
    )
    given = module.params
    for name in ("template", "validator"):
        if not os.path.isfile(given[name]):
            module.fail_json(msg=f"{name}: {given[name]} is not there: is the package with it installed?")
    try:
        content = network_of(load(given["template"]), given["changes"])
        old = load(given["dest"])
    except ValueError as error:
        module.fail_json(msg=f"network.json: {error}")
    tried = given["dest"] + ".new"
    os.makedirs(os.path.dirname(tried), exist_ok=True)
    with open(os.open(tried, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)
    fault = refusal(module, given["validator"], given["address"], tried)
    if fault:
        os.unlink(tried)
        module.fail_json(msg=f"crowbar_network: network-json-validator refuses it: {fault}")
    os.chmod(tried, 0o644)
    os.replace(tried, given["dest"])
    module.exit_json(changed=old != content)


if __name__ == "__main__":
    main()
