#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write /etc/crowbar/repos.yml, and say what zypper is to use on the admin node itself.

Runs on the admin node, called by the role configure-crowbar-admin. crowbar-core (lib/crowbar/repository.rb) takes
`url`, `priority` and `ask_on_error`, and nothing else, for the repositories of its own list from that file. It is
written as JSON, which is YAML too, for a node has no PyYAML for certain.
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule


def registry(platform, arch, repositories):
    """Return the content of repos.yml: where nodes find what."""
    return {platform: {arch: {entry["id"]: {"url": entry["url"]} for entry in repositories}}}


def zypper_repositories(images, repositories, tftpboot, gpg_check):
    """Return the list for ensure-zypper-repos: the medium with Crowbar on it, and the repositories."""
    media = [(entry["id"], f"dir:{tftpboot}/{entry['folder']}") for entry in images if entry["folder"] != "install"]
    named = media + [(entry["name"], entry["url"]) for entry in repositories]
    return [{"name": name, "url": url, "gpg_check": gpg_check} for name, url in named]


def read(path):
    """Return a file's text, None where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "platform": {"type": "str", "required": True},
            "arch": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "dict", "required": True},
            "repositories": {"type": "list", "elements": "dict", "required": True},
            "tftpboot": {"type": "path", "required": True},
            "gpg_check": {"type": "bool", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    content = registry(given["platform"], given["arch"], given["repositories"])
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    changed = read(given["dest"]) != text
    if changed and not module.check_mode:
        os.makedirs(os.path.dirname(given["dest"]), exist_ok=True)
        with open(given["dest"], "w", encoding="utf-8") as file:
            file.write(text)
    found = zypper_repositories(given["images"], given["repositories"], given["tftpboot"], given["gpg_check"])
    module.exit_json(changed=changed, zypper=found)


if __name__ == "__main__":
    main()
