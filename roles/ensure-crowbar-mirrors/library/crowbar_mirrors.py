#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ask an operator's mirrors for every repository and image that a release of Crowbar wants, and name what is missing.

Runs on the node that will use them, called by the role ensure-crowbar-mirrors. Only reads: of a repository its
repodata/repomd.xml or, on a medium of SLES 12, its content file; of an image its headers. Ends with the lists that
configure-crowbar-admin lays out, or with one line that names each missing variable, its address and the release.
"""

import os
import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

VARIABLE = "crowbar_urls"
INDEXES = ("repodata/repomd.xml", "content")
SCHEMES = ("http://", "https://", "ftp://", "dir:", "file:", "/")


def local_path(url):
    """Return the folder that an address names on this machine, None for one that is elsewhere."""
    for prefix in ("dir://", "file://", "dir:", "file:"):
        if url.startswith(prefix):
            return url[len(prefix) :]
    return url if url.startswith("/") else None


def ask(url, timeout):
    """Return why a file can't be read, an empty string if it can."""
    path = local_path(url)
    if path is not None:
        return "" if os.path.isfile(path) else "no such file"
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme was looked at
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:
        return str(error)


def fault_of(url, is_image, timeout):
    """Return why a repository or an image can't be used, an empty string if it can."""
    if not url.startswith(SCHEMES):
        return f"no address (known: {', '.join(SCHEMES)})"
    if is_image:
        return ask(url, timeout)
    faults = [ask(f"{url.rstrip('/')}/{index}", timeout) for index in INDEXES]
    return "" if "" in faults else f"{INDEXES[0]}: {faults[0]}"


def wishes(wanted, features):
    """Return all that a release wants as (id, entry), its images first, without features that are not asked for."""
    images = [(name, {"folder": folder, "image": True}) for name, folder in wanted["images"].items()]
    repositories = [
        (name, {"name": entry["name"], "image": False})
        for name, entry in wanted["repositories"].items()
        if "feature" not in entry or entry["feature"] in features
    ]
    return images + repositories


def problems_of(release, wished, urls, timeout):
    """Return a sentence for each that is missing."""
    found = []
    for name, entry in wished:
        variable = f"{VARIABLE}.{release}.{name}"
        url = str(urls.get(name) or "")
        if not url:
            found.append(f"{variable} is not set")
            continue
        fault = fault_of(url, entry["image"], timeout)
        if fault:
            found.append(f"{variable} ({url}) can't be read: {fault}")
    return found


def misspelt(release, wanted, urls):
    """Return a sentence for each address that no release's list knows, beside what is missing most likely its cause."""
    known = set(wanted["images"]) | set(wanted["repositories"])
    return [f"{VARIABLE}.{release}.{name} is set and nothing knows it" for name in sorted(set(urls) - known)]


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "wanted": {"type": "dict", "required": True},
            "urls": {"type": "dict", "required": True},
            "features": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "required": True},
            "retries": {"type": "int", "required": True},
            "delay": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    wished = wishes(given["wanted"], given["features"])
    problems = []
    for attempt in range(given["retries"] + 1):
        problems = problems_of(given["release"], wished, given["urls"], given["timeout"])
        # A variable that is not set stays so.
        if not any("can't be read" in problem for problem in problems) or attempt == given["retries"]:
            break
        time.sleep(given["delay"])
    if problems:
        problems += misspelt(given["release"], given["wanted"], given["urls"])
        module.fail_json(msg=f"{'; '.join(problems)}; wanted by release {given['release']}")
    entries = [dict(entry, id=name, url=given["urls"][name]) for name, entry in wished]
    module.exit_json(
        changed=False,
        platform=given["wanted"]["platform"],
        images=[entry for entry in entries if entry["image"]],
        repositories=[entry for entry in entries if not entry["image"]],
    )


if __name__ == "__main__":
    main()
