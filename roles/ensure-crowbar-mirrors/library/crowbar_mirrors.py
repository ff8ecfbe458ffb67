#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ask an operator's mirrors for every repository and image that a release of Crowbar wants, and name what is missing.

Runs on the node that will use them, called by the role ensure-crowbar-mirrors. Only reads: of a repository its
repodata/repomd.xml or, on a medium of SLES 12, its content file; of an image its headers. Ends with the lists that
configure-crowbar-admin lays out, or with one line that names each missing variable, its address and the release.
"""

import base64
import http.client
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import quote, unquote, urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.mirror_addresses import OWN_OPTIONS, below, halves, masked, secrets_of, shown

VARIABLE = "crowbar_urls"
INDEXES = ("repodata/repomd.xml", "content")
REMOTE = ("http", "https", "ftp")
SCHEMES = ("http://", "https://", "ftp://", "dir:", "file:", "/")
CREDENTIALS = "/etc/zypp/credentials.d"


def local_path(url):
    """Return the path that an address names on this machine, None for one that is elsewhere."""
    if url.startswith("/"):
        return url
    found = re.match(r"(?:dir|file):(?://(?:localhost)?(?=/))?(/.*)", halves(url)[0], re.IGNORECASE)
    return unquote(found.group(1)) if found else None


def user_of(netloc, options):
    """Return (user, password) for an address, None for neither: its own, else those of zypper's file of credentials."""
    user, at, _ = netloc.rpartition("@")
    if at:
        name, _, password = user.partition(":")
        return unquote(name), unquote(password)
    if "credentials" not in options:
        return None
    with open(os.path.join(CREDENTIALS, unquote(options["credentials"])), encoding="utf-8") as file:
        pairs = dict(line.split("=", 1) for line in file.read().splitlines() if "=" in line)
    pairs = {key.strip(): value.strip() for key, value in pairs.items()}
    return pairs.get("username", ""), pairs.get("password", "")


def request_for(url):
    """Return (request, TLS context or None) as zypper asks: its own options stay here, the rest of the query goes.

    Raises ValueError for an address that is malformed, OSError without the credentials that it names.
    """
    parts = urlsplit(url)
    words = [word for word in parts.query.split("&") if word]
    options = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    sent = "&".join(word for word in words if word.partition("=")[0] not in OWN_OPTIONS)
    user = user_of(parts.netloc, options)
    host = parts.netloc.rpartition("@")[2]
    if not parts.hostname:
        raise ValueError("no host in it")
    parts.port  # noqa: B018 - raises ValueError for one that is no number
    if parts.scheme == "ftp":
        host = parts.netloc
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    request = urllib.request.Request(f"{parts.scheme}://{host}{path}{'?' + sent if sent else ''}")  # noqa: S310
    if user and parts.scheme != "ftp":
        # Not passed on to another host by a redirection.
        word = base64.b64encode(":".join(user).encode("utf-8")).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {word}")
    unchecked = parts.scheme == "https" and options.get("ssl_verify") in ("no", "0", "false")
    return request, ssl._create_unverified_context() if unchecked else None  # noqa: S323 - the operator's own word


def ask(url, timeout):
    """Return why a file can't be read, an empty string if it can."""
    path = local_path(url)
    if path is not None:
        return "" if os.path.isfile(path) else "no such file"
    try:
        request, context = request_for(url)
        # Its body is left where it is: the answer to a GET is what zypper gets, and not every mirror knows HEAD.
        with urllib.request.urlopen(request, timeout=timeout, context=context):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        fault = error.reason
    except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
        fault = error
    if isinstance(fault, socket.timeout):
        return f"no answer within {timeout} s"
    return " ".join(masked(str(fault), [url]).split())[:200] or type(fault).__name__


def fault_of(url, is_image, timeout):
    """Return why a repository or an image can't be used, an empty string if it can."""
    if local_path(url) is None and scheme_of(url) not in REMOTE:
        return f"no address (known: {', '.join(SCHEMES)})"
    if is_image:
        return ask(url, timeout)
    first = ask(below(url, INDEXES[0]), timeout)
    return f"{INDEXES[0]}: {first}" if first and ask(below(url, INDEXES[1]), timeout) else ""


def scheme_of(url):
    """Return the scheme of an address with a host, in lower case."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    return found.group(1).lower() if found else ""


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
            found.append(f"{variable} ({shown(url)}) can't be read: {fault}")
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
            # Hidden from the system's log and from Ansible's record of the parameters.
            "urls": {"type": "dict", "required": True, "no_log": True},
            "features": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "required": True},
            "retries": {"type": "int", "required": True},
            "delay": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    urls = {str(name): str(url or "") for name, url in given.pop("urls").items()}
    # Ansible would hide whole addresses; a sentence names the mirror, and hides what is secret.
    module.no_log_values.clear()
    for url in urls.values():
        module.no_log_values.update(secrets_of(url))
    wished = wishes(given["wanted"], given["features"])
    problems = []
    for attempt in range(given["retries"] + 1):
        problems = problems_of(given["release"], wished, urls, given["timeout"])
        # A variable that is not set stays so.
        if not any("can't be read" in problem for problem in problems) or attempt == given["retries"]:
            break
        time.sleep(given["delay"])
    if problems:
        problems += misspelt(given["release"], given["wanted"], urls)
        module.fail_json(msg=f"{'; '.join(problems)}; wanted by release {given['release']}")
    entries = [dict(entry, id=name) for name, entry in wished]
    module.exit_json(
        changed=False,
        platform=given["wanted"]["platform"],
        images=[entry for entry in entries if entry["image"]],
        repositories=[entry for entry in entries if not entry["image"]],
    )


if __name__ == "__main__":
    main()
