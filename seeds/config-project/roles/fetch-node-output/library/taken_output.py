#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Lay the files of a node's pack beside the build's logs: plain files and folders below the build's folder, no more.

Runs on the executor, called by the role fetch-node-output. The pack may be anything, for the node belongs to whoever
wrote the change: its entries' kinds and modes are not looked at, its names are taken apart, its sizes are counted while
they are read. No file takes the place of one that is there, and no link that an earlier play left in the folder is
followed. What was left out, here and on the node, is told in one file. Never fails for what is in a pack.
"""

import calendar
import contextlib
import os
import resource
import time
import zipfile
import zlib

from ansible.module_utils.basic import AnsibleModule

CHUNK = 1 << 20
# What a pack's list of files may take of the executor's memory.
MEMORY = 1 << 30
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
LONGEST, LINES = 200, 1000


class Unfit(Exception):
    """An entry that is left out; its text says why."""


def printable(text):
    """Return a node's words on one line, of bounded length and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in str(text))[: 2 * LONGEST]


def parts_of(name, kinds, depth):
    """Return (kind, the names of an entry's folders, its own); raises Unfit."""
    parts = name.split("/")
    if name.endswith("/") or len(parts) < 2 or parts[0] not in kinds:
        raise Unfit("not in a folder that is fetched")
    if any(part in ("", ".", "..") or not part.isprintable() or len(os.fsencode(part)) > 255 for part in parts):
        raise Unfit("no name for a file here")
    if len(parts) > depth + 1:
        raise Unfit(f"deeper than {depth} folders")
    return parts[0], parts[1:-1], parts[-1]


@contextlib.contextmanager
def opened(root, names):
    """Open a folder below another, and make it if need be; raises OSError where a link or a file is in its place."""
    at = os.open(root, FOLDER)
    try:
        for name in names:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=at)
            below = os.open(name, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


class Taker:
    """Takes a pack's entries within its bounds; `left` grows."""

    def __init__(self, given):
        self.given, self.left = given, []
        self.end = time.monotonic() + given["timeout"]
        self.files = self.size = 0

    def out(self, name, why):
        self.left.append(f"{printable(name)}: {printable(why)}")

    def take(self, path):
        """Take what a pack holds."""
        with zipfile.ZipFile(path) as pack:
            for info in pack.infolist():
                if len(self.left) >= LINES or self.files >= self.given["entries"] or time.monotonic() > self.end:
                    self.out("the rest of the pack", "more than is taken")
                    return
                try:
                    self.entry(pack, info)
                except Unfit as error:
                    self.out(info.filename, error)
                except FileExistsError:
                    self.out(info.filename, "a file of that name is there")
                except OSError as error:
                    self.out(info.filename, error.strerror or error)
                except (
                    zipfile.BadZipFile,
                    zlib.error,
                    EOFError,
                    NotImplementedError,
                    RuntimeError,
                    ValueError,
                ) as error:
                    self.out(info.filename, f"the pack is broken: {error}")

    def entry(self, pack, info):
        """Take one file."""
        kind, folders, name = parts_of(info.filename, self.given["places"], self.given["depth"])
        root, *above = self.given["places"][kind]
        with opened(root, above + folders) as folder:
            file = os.open(name, NEW, 0o644, dir_fd=folder)
            try:
                with open(file, "wb") as target, pack.open(info) as source:
                    self.copy(source, target)
                    os.utime(target.fileno(), (calendar.timegm((*info.date_time, 0, 0, 0)),) * 2)
            except Unfit:
                os.unlink(name, dir_fd=folder)
                raise
        self.files += 1

    def copy(self, source, target):
        """Copy a file within the bounds of the whole."""
        size = 0
        while part := source.read(CHUNK):
            size += len(part)
            self.size += len(part)
            if size > self.given["file_size"] or self.size > self.given["total_size"] or time.monotonic() > self.end:
                raise Unfit("more than is taken")
            target.write(part)


def tell(given, lines, count):
    """Write down what was left out; return the file's name, an empty string if there is nothing to tell."""
    if not lines:
        return ""
    more = [f"and {count - len(lines)} more"] if count > len(lines) else []
    *folders, name = given["report"]
    with opened(given["root"], folders) as folder:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        with open(os.open(name, NEW, 0o644, dir_fd=folder), "w", encoding="utf-8", errors="replace") as file:
            file.write("".join(f"{line}\n" for line in lines + more))
    return "/".join(given["report"])


def main():
    """Be the Ansible module."""
    sizes = ("timeout", "entries", "depth", "file_size", "total_size", "told", "left_out_count")
    module = AnsibleModule(
        argument_spec={
            "pack": {"type": "path", "required": True},
            "root": {"type": "path", "required": True},
            "places": {"type": "dict", "required": True},
            "report": {"type": "list", "elements": "str", "required": True},
            "left_out": {"type": "list", "elements": "str", "required": True},
            **{name: {"type": "int", "required": True} for name in sizes},
        },
    )
    given = module.params
    given["places"] = {kind: [given["root"], *names] for kind, names in given["places"].items()}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    taker = Taker(given)
    taker.left = [printable(line) for line in given["left_out"][: given["told"]]]
    before = len(taker.left)
    try:
        if given["pack"]:
            taker.take(given["pack"])
    except (OSError, zipfile.BadZipFile, MemoryError, ValueError, NotImplementedError) as error:
        taker.out("the pack", f"can't be read: {error or type(error).__name__}")
    count = max(given["left_out_count"], before) + len(taker.left) - before
    try:
        report = tell(given, taker.left, count)
    except OSError as error:
        module.fail_json(msg=f"{given['root']}/{'/'.join(given['report'])}: {error.strerror}")
    module.exit_json(changed=True, files=taker.files, left_out=taker.left[:3], left_out_count=count, report=report)


if __name__ == "__main__":
    main()
