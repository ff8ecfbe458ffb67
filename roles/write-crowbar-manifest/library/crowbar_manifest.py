#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Write down which commit of each project is checked out, and which changes a build is for.

Runs on the node, called by the role write-crowbar-manifest. Owns the file it is told to write. The sha is asked of the
checkout itself: what Zuul says of a project is what it prepared, not what lies there.
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

CHANGE = ("project", "branch", "change", "patchset", "change_url", "newrev")


def sha_of(run, folder):
    """Return the commit that is checked out, or None; the checkout may belong to another user."""
    code, said, _ = run(["git", "-c", "safe.directory=*", "-C", folder, "rev-parse", "--verify", "HEAD"])
    return said.strip() if code == 0 else None


def change_of(item):
    """Return what tells a change apart."""
    kept = {key: item[key] for key in CHANGE if key in item}
    if isinstance(kept.get("project"), dict):
        kept["project"] = kept["project"].get("name")
    return kept


def manifest(run, projects, items, root):
    """Return the manifest, and the projects that have no commit."""
    entries, missing = [], []
    for project in sorted(projects, key=lambda p: p["name"]):
        folder = os.path.join(root, project["src_dir"])
        sha = sha_of(run, folder) if os.path.isdir(folder) else None
        if sha is None:
            missing.append(f"{project['name']}: no git checkout at {folder}")
        entries.append({"name": project["name"], "branch": project.get("checkout"), "sha": sha})
    return {"projects": entries, "changes": [change_of(item) for item in items]}, missing


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "projects": {"type": "list", "elements": "dict", "required": True},
            "items": {"type": "list", "elements": "dict", "required": True},
            "root": {"type": "path", "required": True},
            "path": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    content, missing = manifest(module.run_command, given["projects"], given["items"], given["root"])
    if missing:
        module.fail_json(msg="; ".join(missing))
    if not content["projects"]:
        module.fail_json(msg="projects: none, so there is nothing that was tested")
    if not module.check_mode:
        with open(given["path"], "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
    module.exit_json(changed=True, **content)


if __name__ == "__main__":
    main()
