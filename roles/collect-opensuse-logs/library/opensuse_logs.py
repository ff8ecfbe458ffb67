#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Collect files and answers of commands from a node, without what is secret in addresses of mirrors.

Runs on a node, called by the role collect-opensuse-logs. zypper's history, its list of repositories and the journal
have the addresses of repositories, and these may have passwords and tokens: what is written into the folder is masked,
and what the repositories themselves tell to be secret is masked wherever it stands. Never fails for what is missing,
can't be read or does not answer: its file says so.
"""

import glob
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.mirror_addresses import masked

URL = re.compile(r"^(?:baseurl|mirrorlist|url|gpgkey)\s*=\s*(\S+)", re.MULTILINE)
FILES = 200


def tail(file, limit):
    """Return the end of an open file as text."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - limit))
    return file.read(limit).decode("utf-8", "replace")


def read(path, limit):
    """Return (the end of a file, what is wrong with it)."""
    try:
        if not os.path.isfile(path):
            return "", "no such file"
        with open(path, "rb") as file:
            return tail(file, limit), ""
    except OSError as error:
        return "", error.strerror or str(error)


def known_urls(folder, limit):
    """Return the addresses of the system's repositories and services."""
    paths = sorted(glob.glob(os.path.join(folder, "repos.d", "*")) + glob.glob(os.path.join(folder, "services.d", "*")))
    return [url for path in paths[:FILES] for url in URL.findall(read(path, limit)[0])]


def answer(argv, timeout, limit):
    """Return what a command prints, and how it ends."""
    with tempfile.TemporaryFile() as out:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=timeout,
                env=dict(os.environ, ZYPP_LOCK_TIMEOUT=str(max(1, timeout // 2))),
            )  # fmt: skip
            end = f"exit {done.returncode}"
        except subprocess.TimeoutExpired:
            end = f"no answer within {timeout} s\nexit 124"
        except OSError as error:
            end = f"{argv[0]}: {error.strerror or error}\nexit 127"
        return f"$ {' '.join(argv)}\n{tail(out, limit)}\n{end}\n"


def texts_below(folder, limit):
    """Return {name: text} of the text files in archives that a command left, such as supportconfig's."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        if not tarfile.is_tarfile(path):
            continue
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".txt") and len(found) < FILES:
                    data = archive.extractfile(member).read(limit)
                    found[os.path.basename(member.name)] = data.decode("utf-8", "replace")
    return found


def collected(given, tmp):
    """Yield (name in the folder, text)."""
    limit = given["limit"]
    for path in given["files"]:
        text, fault = read(path, limit)
        if not fault:
            yield os.path.basename(path) + ".txt", text
    for command in given["commands"]:
        argv = [str(word).replace("{tmp}", tmp) for word in command["argv"]]
        yield command["name"], answer(argv, given["timeout"], limit)
    try:
        for name, text in texts_below(tmp, limit).items():
            yield "supportconfig-" + name, text
    except (OSError, EOFError, tarfile.TarError) as error:
        yield "supportconfig-problem.txt", f"{error}\n"


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "zypp": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "commands": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "int", "required": True},
            "limit": {"type": "int", "required": True},
        },
    )
    given = module.params
    names = []
    tmp = tempfile.mkdtemp(prefix="opensuse-logs-")
    try:
        urls = known_urls(given["zypp"], given["limit"])
        for name, text in collected(given, tmp):
            path = os.path.join(given["folder"], os.path.basename(name))
            with open(path, "w", encoding="utf-8", errors="replace") as file:
                file.write(masked(text, urls))
            os.chmod(path, 0o644)
            names.append(os.path.basename(path))
    except OSError as error:
        module.fail_json(msg=f"{given['folder']}: {error.strerror or error}")
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    module.exit_json(changed=True, files=names)


if __name__ == "__main__":
    main()
