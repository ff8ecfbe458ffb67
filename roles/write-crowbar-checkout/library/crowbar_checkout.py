#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lay the checkouts that Zuul prepared over the /opt/dell that Crowbar's packages made.

Runs on the admin node, called by the role write-crowbar-checkout. What goes where says crowbar_layout. What two
checkouts own, and a link that leads nowhere or out of its checkout, is a fault before anything is written. What a
checkout no longer has stays as the package brought it.
"""

import filecmp
import os
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.crowbar_layout import layout

SCRIPTS_OF = "crowbar/crowbar"
# In every repository, and nothing of them is run.
SHARED = ("crowbar_framework/spec/spec_helper.rb", "doc/README.md")


def sources_of(components, projects, base):
    """Return [(project, folder)] in the order of the components, and the names of those that Zuul did not check out."""
    folders = {entry["name"]: os.path.join(base, entry["src_dir"]) for entry in projects.values()}
    names = [entry["project"] for entry in components]
    if SCRIPTS_OF in folders and SCRIPTS_OF not in names:
        names = [SCRIPTS_OF, *names]
    missing = [name for name in names if name not in folders or not os.path.isdir(folders[name])]
    return [(name, folders[name]) for name in names if name not in missing], missing


def plan(sources):
    """Return everything that is laid, and a sentence for each path that two checkouts own or that can't be laid."""
    laid, owner, wrong = {}, {}, []
    for project, folder in sources:
        of_this, faults, _ = layout(folder)
        wrong += [f"{project}: {path}: {fault}" for path, fault in faults]
        for path, source in of_this.items():
            if path in owner and path not in SHARED:
                wrong.append(f"two checkouts own a path: {path} ({owner[path]}, {project})")
            owner[path] = project
            laid[path] = source
    return laid, wrong


def copy(source, target):
    """Copy a file, or what a link leads to, with its mode, unless the same is there; return whether it was copied."""
    if os.path.isfile(target) and not os.path.islink(target) and filecmp.cmp(source, target, shallow=False):
        same_mode = stat.S_IMODE(os.stat(source).st_mode) == stat.S_IMODE(os.stat(target).st_mode)
        if same_mode:
            return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy2(source, target)
    return True


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "components": {"type": "list", "elements": "dict", "required": True},
            "projects": {"type": "dict", "required": True},
            "base": {"type": "path", "required": True},
            "target": {"type": "path", "required": True},
        },
    )
    given = module.params
    if not given["components"]:
        module.fail_json(msg="crowbar_components: empty: no component to lay (a release's variant of the job sets it)")
    sources, missing = sources_of(given["components"], given["projects"], given["base"])
    if missing:
        has = ", ".join(sorted(entry["name"] for entry in given["projects"].values()))
        module.fail_json(msg=f"crowbar_components: not among the build's projects: {', '.join(missing)} (has {has})")
    try:
        laid, wrong = plan(sources)
        if wrong:
            module.fail_json(msg="; ".join(wrong[:5]))
        copied = [path for path, source in sorted(laid.items()) if copy(source, os.path.join(given["target"], path))]
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{given['target']}: {error}")
    folders = [folder for project, folder in sources if project != SCRIPTS_OF]
    module.exit_json(changed=bool(copied), files=len(laid), copied=len(copied), folders=folders)


if __name__ == "__main__":
    main()
