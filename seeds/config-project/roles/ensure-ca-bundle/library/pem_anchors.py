#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lay certificates into a folder of trust anchors, one file each.

Runs on a node, called by the role ensure-ca-bundle. Owns the files `<prefix>-<fingerprint><suffix>` in the folder:
one that is not wanted any more is removed, one that was changed is written anew, every other file is left alone. Ends
when the folder agrees; building the system's own bundle from it is the caller's next step.
"""

import hashlib
import os

from ansible.module_utils.basic import AnsibleModule


def marked(certificates):
    """Return {fingerprint: certificate}."""
    return {hashlib.sha256(text.encode()).hexdigest()[:16]: text for text in certificates}


def same(path, text):
    """Tell whether a file has this text."""
    with open(path, "rb") as file:
        return file.read(len(text) + 1) == text.encode()


def lay(certificates, directory, prefix, suffix, dry_run=False):
    """Make the folder's own files those of `certificates`; return the names written and removed."""
    wanted = {f"{prefix}-{mark}{suffix}": text for mark, text in certificates.items()}
    if not dry_run:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    there = {
        name
        for name in (os.listdir(directory) if os.path.isdir(directory) else [])
        if name.startswith(prefix + "-") and name.endswith(suffix)
    }
    written = sorted(
        name for name in wanted if name not in there or not same(os.path.join(directory, name), wanted[name])
    )
    removed = sorted(there - set(wanted))
    if not dry_run:
        for name in written:
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(wanted[name])
            os.chmod(path, 0o644)
        for name in removed:
            os.unlink(os.path.join(directory, name))
    return written, removed


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "certificates": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "prefix": {"type": "str", "required": True},
            "suffix": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    certificates = marked(given["certificates"])
    written, removed = lay(certificates, given["directory"], given["prefix"], given["suffix"], module.check_mode)
    module.exit_json(changed=bool(written or removed), written=written, removed=removed, total=len(certificates))


if __name__ == "__main__":
    main()
