# SPDX-License-Identifier: Apache-2.0
"""What of a component's checkout goes where below /opt/dell, for a deployment and for the bundle alike.

The one definition of it: the module crowbar_checkout imports it, and ensure-crowbar-tools has it by a link among the
checks. Standard library only, and Python 3.4, which SLES 12 has: no f-strings.

The layout is barclamp_install.rb's (`bc_install_layout_1_app`): `bin`, `chef` and `crowbar_framework` of each
component, its `updates`, and its barclamps' YAML as `crowbar_framework/barclamps/NAME.yml`; `doc` and `etc` as the
packages do; the installer's own scripts in `bin`. Files and folders whose name begins with a dot stay behind, and so
does YAML that describes no barclamp (a CI's, say). Until Cloud 5 a barclamp's YAML is called crowbar.yml and bears the
barclamp's name only inside. A link stands for what it leads to, which must be in the checkout.
"""

import os
import re

FOLDERS = ("bin", "chef", "crowbar_framework", "doc", "etc", "updates")
INSTALLER = "barclamp_install.rb"
BARCLAMPS = os.path.join("crowbar_framework", "barclamps")
LARGEST = 1 << 20  # bytes of a barclamp's description
MOST = 100000  # files of a checkout; Crowbar's largest has 3000
DESCRIPTION = re.compile(r"^[\"']?barclamp[\"']?[ \t]*:(.*(?:\n(?:[ \t#].*)?)*)", re.MULTILINE)  # to the next key
NAME = re.compile(r"(?:^|[{,\s])name:[ \t]*[\"']?([A-Za-z0-9_.-]+)")


def layout(checkout):
    """Return what a checkout lays.

    :returns: {path below /opt/dell: path of a file}, [(path in the checkout, fault)] of what can't be laid, and the
        names of YAML files that describe no barclamp.
    :raises ValueError: more files than any checkout has.
    """
    laid, faults, others, looked_at = {}, [], [], []
    walks = [(folder, folder) for folder in FOLDERS]
    if os.path.exists(os.path.join(checkout, "scripts", INSTALLER)):
        walks.append(("scripts", "bin"))
    for folder, target in walks:
        for path in _below(checkout, folder, faults, looked_at):
            laid[os.path.join(target, os.path.relpath(path, folder))] = os.path.join(checkout, path)
    for name in sorted(os.listdir(checkout)):
        path = os.path.join(checkout, name)
        if not name.endswith(".yml") or name.startswith(".") or os.path.isdir(path):
            continue
        fault = _fault_of(checkout, name)
        barclamp = None if fault else barclamp_of(path)
        if fault:
            faults.append((name, fault))
        elif barclamp is None:
            others.append(name)
        else:
            # With several barclamps in one project crowbar.yml is one of them, that of the barclamp crowbar.
            target = (barclamp or "crowbar") + ".yml" if name == "crowbar.yml" else name
            laid[os.path.join(BARCLAMPS, target)] = path
    return laid, faults, others


def barclamp_of(path):
    """Return the name of the barclamp that a YAML file describes, "" where it gives none; None: it describes none."""
    with open(path, "rb") as file:
        text = file.read(LARGEST).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    found = DESCRIPTION.search(text)
    if not found:
        return None
    name = NAME.search(found.group(1))
    return name.group(1) if name else ""


def _below(checkout, folder, faults, looked_at, above=()):
    """List the files below a folder of a checkout, by their paths in it; `above` are the real folders that it is in."""
    top = os.path.join(checkout, folder)
    if not os.path.isdir(top):
        return []
    fault = _fault_of(checkout, folder)
    real = os.path.realpath(top)
    if not fault and real in above:
        fault = "a link to {}, a folder that it is in".format(os.readlink(top))
    if fault:
        faults.append((folder, fault))
        return []
    found = []
    for name in sorted(os.listdir(top), key=lambda name: (os.path.isdir(os.path.join(top, name)), name)):
        path = os.path.join(folder, name)
        looked_at.append(None)
        if len(looked_at) > MOST:  # folders that are links, each to one with several of them
            raise ValueError("{}: over {} files".format(checkout, MOST))
        if name.startswith("."):
            continue
        if os.path.isdir(os.path.join(checkout, path)):
            found += _below(checkout, path, faults, looked_at, above + (real,))
        else:
            fault = _fault_of(checkout, path)
            if fault:
                faults.append((path, fault))
            else:
                found.append(path)
    return found


def _fault_of(checkout, path):
    """Tell why a path is no file or folder of the checkout; None if it is."""
    full = os.path.join(checkout, path)
    if not os.path.exists(full):
        return "a link to {}, which is not there".format(os.readlink(full))
    if not os.path.realpath(full).startswith(os.path.realpath(checkout) + os.sep):
        return "a link to {}, which is not in the checkout".format(os.readlink(full))
    if not os.path.isdir(full) and not os.path.isfile(full):
        return "neither a file nor a folder"
    return None
