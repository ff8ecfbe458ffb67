#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write /etc/crowbar/repos.yml, where the provisioner's repositories are.

Runs on the admin node, called by the role configure-crowbar-admin. crowbar-core (lib/crowbar/repository.rb) takes
`url`, `priority` and `ask_on_error`, and nothing else, for the repositories of its own list from that file. It is
written as JSON, which is YAML too, for a node has no PyYAML for certain. Addresses may hold passwords and tokens: the
file is root's and, where there is one, the group's of Crowbar's own service, which reads it.
"""

import grp
import json
import os

from ansible.module_utils.basic import AnsibleModule

GROUP = "crowbar"


def registry(platform, arch, repositories):
    """Return the content of repos.yml: where nodes find what."""
    return {platform: {arch: {entry["id"]: {"url": entry["url"]} for entry in repositories}}}


def read(path):
    """Return a file's text, None where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def close(path, text):
    """Write a file, or make one that is there, root's and Crowbar's alone; return whether it was another."""
    changed = read(path) != text
    if changed:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    found = [entry.gr_gid for entry in grp.getgrall() if entry.gr_name == GROUP]
    state = os.stat(path)
    mode, group = (0o640, found[0]) if found and os.geteuid() == 0 else (0o600, state.st_gid)
    if (state.st_mode & 0o777, state.st_gid) != (mode, group):
        os.chmod(path, 0o600)
        os.chown(path, -1, group)
        os.chmod(path, mode)
        changed = True
    return changed


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "platform": {"type": "str", "required": True},
            "arch": {"type": "str", "required": True},
            # Hidden from the system's log and from Ansible's record of the parameters.
            "repositories": {"type": "list", "elements": "dict", "required": True, "no_log": True},
            "dest": {"type": "path", "required": True},
        },
    )
    given = module.params
    text = json.dumps(registry(given["platform"], given["arch"], given.pop("repositories")), indent=2, sort_keys=True)
    # No address is in what this module says, and its other parameters need not be hidden for a word they share.
    module.no_log_values.clear()
    try:
        module.exit_json(changed=close(given["dest"], text + "\n"))
    except OSError as error:
        module.fail_json(msg=f"{given['dest']}: {error.strerror}")


if __name__ == "__main__":
    main()
