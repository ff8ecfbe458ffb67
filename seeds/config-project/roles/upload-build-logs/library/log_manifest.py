#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write zuul-manifest.json, the list of a build's files that Zuul's web pages draw their log tree from.

Runs on the executor, called by the role upload-build-logs. Owns that one file in the log folder; reads the others'
names, sizes and times. Links are left out: what they point at may not be the build's.
"""

import json
import mimetypes
import os

from ansible.module_utils.basic import AnsibleModule

NAME = "zuul-manifest.json"


def tree(folder):
    """Return a folder's entries, folders first, each as Zuul's web pages expect it."""
    with os.scandir(folder) as entries:
        found = sorted((e for e in entries if not e.is_symlink()), key=lambda e: e.name)
    folders = [
        {"name": e.name, "mimetype": "application/directory", "encoding": None, "children": tree(e.path)}
        for e in found
        if e.is_dir()
    ]
    return folders + [described(e) for e in found if e.is_file()]


def described(entry):
    """Return one file's line of the manifest; a file of unknown kind is a text, as logs are."""
    kind, encoding = mimetypes.guess_type(entry.name)
    state = entry.stat()
    return {
        "name": entry.name,
        "mimetype": kind or "text/plain",
        "encoding": encoding,
        "last_modified": int(state.st_mtime),
        "size": state.st_size,
    }


def opened(path, flags):
    """Open a file, but not by a link: the folder is filled by whoever wrote the change."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def main():
    """Be the Ansible module."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "required": True}})
    root = module.params["root"]
    path = os.path.join(root, NAME)
    try:
        if os.path.islink(root):
            module.fail_json(msg=f"root: {root} is a link, not a folder")
        entries = [e for e in tree(root) if e["name"] != NAME]
        with open(path, "w", encoding="utf-8", opener=opened) as file:
            json.dump({"tree": entries, "index_links": False}, file)
    except OSError as error:
        module.fail_json(msg=f"root: {error}")
    module.exit_json(changed=True, path=path, entries=len(entries))


if __name__ == "__main__":
    main()
