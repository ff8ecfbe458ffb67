#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Collect logs, configuration and answers of commands from a node of Crowbar's, without the secrets in them.

Runs on every node, called by the role collect-crowbar-logs. Owns its folder; nothing is written there that was not
redacted, and what can't be, such as a file that is no text, is left out. Never fails for what is missing, can't be
read or does not answer: such things are told in the folder's problems.txt. Everything is read twice: first to learn
the secrets, then to take them out.
"""

import bz2
import gzip
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.crowbar_redaction import Redactor

PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ARCHIVES = (".txz", ".tbz", ".tgz", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz")
NOT_TAKEN = (".pem", ".key", ".p12", "htdigest", "htdigest-clients", "id_rsa", "id_ed25519", "secrets.yml")


def tail(file, size, limit):
    """Return the last part of an open file; size is not known of one that is packed."""
    if size is not None and size > limit:
        file.seek(size - limit)
    data = b""
    while True:
        part = file.read(1 << 20)
        if not part:
            return data
        data = (data + part)[-limit:]


def text_of(path, limit):
    """Return (name without a packed one's suffix, text); raises OSError or ValueError where there is none."""
    base, suffix = os.path.splitext(path)
    if suffix in PACKED:
        with PACKED[suffix](path, "rb") as file:
            data = tail(file, None, limit)
    else:
        base = path
        with open(path, "rb") as file:
            data = tail(file, os.fstat(file.fileno()).st_size, limit)
    if b"\0" in data:
        raise ValueError("no text")
    return base, data.decode("utf-8", "replace")


def files_below(path):
    """Return the files of a path, links left out: a link may lead anywhere."""
    if os.path.isfile(path) and not os.path.islink(path):
        return [path]
    found = []
    for place, folders, names in os.walk(path):
        folders.sort()
        found += [os.path.join(place, name) for name in sorted(names)]
    return [name for name in found if os.path.isfile(name) and not os.path.islink(name)]


class Commands:
    """Asks commands until the time for all of them is over."""

    def __init__(self, timeout, total, tmp):
        self.timeout = timeout
        self.end = time.monotonic() + total
        self.tmp = tmp

    def ask(self, argv):
        """Return (exit code or what became of it, output, errors)."""
        left = min(self.timeout, self.end - time.monotonic())
        if left <= 0:
            return "not asked: no time left", "", ""
        argv = [word.replace("{tmp}", self.tmp) for word in argv]
        try:
            done = subprocess.run(  # noqa: UP022 - capture_output is newer than Python 3.6
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=left
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {left:.0f} s", "", ""
        except OSError as error:
            return error.strerror or str(error), "", ""
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def answers(self, command):
        """Return [(file's name, text, problem)] of one command, or of one for each line that another prints."""
        if not command.get("each"):
            return [self.answer(command["name"], command["argv"])]
        rc, out, err = self.ask(command["each"])
        if rc != 0:
            return [(None, "", f"{' '.join(command['each'])}: {rc}: {err.strip()[-200:]}")]
        found = []
        for item in [line.split()[0] for line in out.splitlines() if line.split()]:
            argv = [word.replace("{}", item) for word in command["argv"]]
            found.append(self.answer(command["name"].replace("{}", item.replace("/", "_")), argv))
        return found

    def answer(self, name, argv):
        rc, out, err = self.ask(argv)
        problem = f"{' '.join(argv)}: {rc}: {err.strip()[-200:]}" if rc != 0 else ""
        return name, out, problem


def collected(given, tmp):
    """Return ({name in the folder: path or text that was had}, problems)."""
    found, problems = {}, []
    commands = Commands(given["timeout"], given["total_timeout"], tmp)
    for command in given["commands"]:
        for name, text, problem in commands.answers(command):
            if name and text:
                path = os.path.join(tmp, "answers", name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                found[name] = path
            if problem:
                problems.append(problem)
    for wanted in given["paths"]:
        below = os.path.join(given["root"], wanted.lstrip("/"))
        paths = files_below(below)
        if not paths:
            problems.append(f"{wanted}: nothing there")
        for path in paths:
            found[os.path.relpath(path, given["root"])] = path
    return found, problems


def unpacked(tmp):
    """Return {name: path} of what is in archives that a command left; supportconfig's are full of configuration."""
    found = {}
    for path in files_below(tmp):
        if not path.endswith(ARCHIVES):
            continue
        target = os.path.join(tmp, "archives", os.path.basename(path).split(".")[0])
        os.makedirs(target, exist_ok=True)
        with tarfile.open(path) as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".", "..")]
                if not member.isfile() or not parts:
                    continue
                place = os.path.join(target, *parts)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with archive.extractfile(member) as source, open(place, "wb") as file:
                    shutil.copyfileobj(source, file)
                found[os.path.relpath(place, os.path.join(tmp, "archives"))] = place
    return found


def write(folder, name, text):
    """Write one file that all may read."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)


def collect(given, tmp, redactor):
    """Fill the folder; return (how many files there are, problems)."""
    found, problems = collected(given, tmp)
    try:
        found.update(unpacked(tmp))
    except (OSError, tarfile.TarError) as error:
        problems.append(f"an archive: {error}")
    taken = {}
    for name, path in found.items():
        if os.path.basename(name).endswith(NOT_TAKEN):
            problems.append(f"{name}: not taken: a key, or nothing but secrets")
            continue
        try:
            base, text = text_of(path, given["limit"])
        except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
            problems.append(f"{name}: {error}")
            continue
        redactor.learn(text)
        # A rotated log that was unpacked must not take the place of another.
        taken[name if base == path else os.path.splitext(name)[0] + ".unpacked"] = path
    for name, path in taken.items():
        try:
            write(given["folder"], name, redactor.clean(text_of(path, given["limit"])[1]))
        except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
            problems.append(f"{name}: {error}")
    write(given["folder"], "problems.txt", redactor.clean("".join(f"{line}\n" for line in problems)))
    return len(taken), problems


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "folder": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str", "required": True},
            "commands": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "int", "required": True},
            "total_timeout": {"type": "int", "required": True},
            "limit": {"type": "int", "required": True},
        },
    )
    given = module.params
    secrets = json.loads(os.environ.get("CROWBAR_SECRETS") or "[]")
    tmp = tempfile.mkdtemp(prefix="crowbar-logs-")
    try:
        count, problems = collect(given, tmp, Redactor([str(secret) for secret in secrets]))
    except OSError as error:
        module.fail_json(msg=f"crowbar_logs: {given['folder']}: {error}")
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    module.exit_json(changed=True, files=count, problems=len(problems))


if __name__ == "__main__":
    main()
