#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lay the checkouts that Zuul prepared over the /opt/dell that Crowbar's packages made.

Runs on the admin node, called by the role write-crowbar-checkout. Of each component go its folders (those of FOLDERS)
to the same places, its barclamps' descriptions into crowbar_framework/barclamps, and crowbar's own scripts into bin,
as the packages' spec files and barclamp_install.rb lay them. What two checkouts own is a fault before anything is
written. What a checkout no longer has stays as the package brought it.
"""

import filecmp
import os
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule

FOLDERS = ("bin", "chef", "crowbar_framework", "doc", "etc", "updates")
SCRIPTS_OF = "crowbar/crowbar"
# In every repository, and nothing of them is run.
SHARED = ("crowbar_framework/spec/spec_helper.rb", "doc/README.md")


def files_below(folder):
    """Return the paths of all files below a folder, without what git keeps."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        found += [os.path.join(place, name) for name in sorted(names)]
    return found


def layout(source, project):
    """Return what a checkout lays as {path below /opt/dell: path of the source}."""
    laid = {}
    for folder in FOLDERS:
        for path in files_below(os.path.join(source, folder)):
            laid[os.path.relpath(path, source)] = path
    for name in sorted(os.listdir(source)):
        if name.endswith(".yml") and not name.startswith("."):
            laid[os.path.join("crowbar_framework", "barclamps", name)] = os.path.join(source, name)
    if project == SCRIPTS_OF:
        for path in files_below(os.path.join(source, "scripts")):
            laid[os.path.join("bin", os.path.relpath(path, os.path.join(source, "scripts")))] = path
    return laid


def sources_of(components, projects, base):
    """Return [(project, folder)] in the order of the components, and the names of those that Zuul did not check out."""
    folders = {entry["name"]: os.path.join(base, entry["src_dir"]) for entry in projects.values()}
    names = [entry["project"] for entry in components]
    if SCRIPTS_OF in folders and SCRIPTS_OF not in names:
        names = [SCRIPTS_OF, *names]
    missing = [name for name in names if name not in folders or not os.path.isdir(folders[name])]
    return [(name, folders[name]) for name in names if name not in missing], missing


def plan(sources):
    """Return everything that is laid, and a sentence for each path that two checkouts own."""
    laid, owner, twice = {}, {}, []
    for project, folder in sources:
        for path, source in layout(folder, project).items():
            if path in owner and path not in SHARED:
                twice.append(f"{path} ({owner[path]}, {project})")
            owner[path] = project
            laid[path] = source
    return laid, twice


def copy(source, target):
    """Copy a file or a link with its mode, unless the same is there; return whether it was copied."""
    if os.path.islink(source):
        if os.path.islink(target) and os.readlink(target) == os.readlink(source):
            return False
    elif os.path.isfile(target) and not os.path.islink(target) and filecmp.cmp(source, target, shallow=False):
        same_mode = stat.S_IMODE(os.stat(source).st_mode) == stat.S_IMODE(os.stat(target).st_mode)
        if same_mode:
            return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy2(source, target, follow_symlinks=False)
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
    laid, twice = plan(sources)
    if twice:
        module.fail_json(msg=f"two checkouts own a path: {'; '.join(twice[:5])}")
    try:
        copied = [path for path, source in sorted(laid.items()) if copy(source, os.path.join(given["target"], path))]
    except OSError as error:
        module.fail_json(msg=f"{given['target']}: {error}")
    folders = [folder for project, folder in sources if project != SCRIPTS_OF]
    module.exit_json(changed=bool(copied), files=len(laid), copied=len(copied), folders=folders)


if __name__ == "__main__":
    main()
