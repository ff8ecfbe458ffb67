#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Leave nothing in a build's log folder but files and folders that its owner can read.

Runs on the executor, called by the role upload-build-logs before the logs are copied to where a web server shows them.
An untrusted play may have left links there, devices, folders that nobody may open, or a link in the folder's own place:
links are removed, not followed, and so are pipes and what is deeper than `depth` folders. Ends with the names of what
was removed.
"""

import os
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
LINES = 100


def tidy(folder, where, depth, removed):
    """Go over an open folder; names of what is removed are added to `removed`."""
    for name in sorted(os.listdir(folder)):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        at = os.path.join(where, name)
        if stat.S_ISREG(mode):
            if not mode & stat.S_IRUSR:
                os.chmod(name, 0o644, dir_fd=folder)
        elif not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=folder)
            removed.append(at)
        else:
            if mode & 0o700 != 0o700:
                os.chmod(name, 0o755, dir_fd=folder)  # noqa: S103 - logs are for all to read
            if depth <= 1:
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
                removed.append(at)
                continue
            below = os.open(name, FOLDER, dir_fd=folder)
            try:
                tidy(below, at, depth - 1, removed)
            finally:
                os.close(below)


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "required": True}, "depth": {"type": "int", "default": 40}}
    )
    given = module.params
    removed = []
    try:
        folder = os.open(given["root"], FOLDER)
        try:
            tidy(folder, "", given["depth"], removed)
        finally:
            os.close(folder)
    except OSError as error:
        module.fail_json(msg=f"root: {given['root']}: {error.strerror}")
    names = ["".join(char if char.isprintable() else "?" for char in name) for name in removed[:LINES]]
    module.exit_json(changed=bool(removed), removed=names, count=len(removed))


if __name__ == "__main__":
    main()
