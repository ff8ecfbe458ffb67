#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Pack what a node left for its build into one zip file, and tell what was left out.

Runs on a node, called by the role fetch-node-output. Follows links to files, and links to folders but for those that
lead upwards or into the kernel's own file systems; as root none that leads elsewhere. Packs nothing but files that can
be read, each under a name that any system takes. Time, number, depth and sizes are bounded: what does not fit is left
out, what is behind links first. Never fails for what it finds. A file may grow, shrink or go while it is read.

A zip file, since an entry need not tell its size before it is written, and holds neither links nor devices.
"""

import calendar
import errno
import os
import shutil
import stat
import time
import zipfile

from ansible.module_utils.basic import AnsibleModule

CHUNK = 1 << 20
# The kernel's, which have no end or do something when they are read.
KERNELS = ("/dev", "/proc", "/sys")
# Left free on the disk that the pack is written to.
RESERVE = 16 << 20
LONGEST = 200
FIRST, LAST = calendar.timegm((1980, 1, 1, 0, 0, 0)), calendar.timegm((2107, 12, 31, 0, 0, 0))


def safe(name):
    """Return a file's name without control characters and bytes that are no UTF-8: those become %0A."""
    found = []
    for char in name:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            found.append(f"%{code - 0xDC00:02X}")
        elif char.isprintable() and char != "\\":
            found.append(char)
        else:
            found.append("".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass")))
    return "".join(found)


def size_words(size):
    """Return a size as people write it."""
    return f"{size / (1 << 20):.0f} MiB" if size >= 10 << 20 else f"{size} bytes"


class Left:
    """What was left out: some by name, all by number."""

    def __init__(self, limit):
        self.limit, self.lines, self.count = limit, [], 0

    def out(self, name, why):
        self.count += 1
        if len(self.lines) < self.limit:
            self.lines.append(f"{name[-LONGEST:]}: {why}")


class Pack:
    """The zip file that is written, within its bounds."""

    def __init__(self, path, given, left):
        self.path, self.given, self.left = path, given, left
        self.end = time.monotonic() + given["timeout"]
        self.entries, self.files, self.size = 0, 0, 0
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True)

    def over(self):
        """Return why nothing more is taken, an empty string while there is room and time."""
        if time.monotonic() > self.end:
            return f"the time is over ({self.given['timeout']} s)"
        if self.entries >= self.given["entries"]:
            return f"there are more than {self.given['entries']} files and folders"
        return ""

    def add(self, path, name):
        """Take a file in, or tell why not."""
        try:
            why = self.over()
            # Before it is opened: to open a device may do something.
            state = None if why else os.stat(path)
            why = why or self.unfit(state)
            if why:
                self.left.out(name, why)
                return
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OSError(errno.EINVAL, "no file any more")
                self.write(file, name, state)
        except OSError as error:
            self.left.out(name, error.strerror or str(error))

    def unfit(self, state):
        """Return why a file is not taken, an empty string if it is."""
        if not stat.S_ISREG(state.st_mode):
            return "neither a file nor a folder"
        if state.st_size > self.given["file_size"]:
            return f"{size_words(state.st_size)}, more than {size_words(self.given['file_size'])}"
        if state.st_size > self.given["total_size"] - self.size:
            return f"{size_words(state.st_size)}, all in all more than {size_words(self.given['total_size'])}"
        if state.st_size > shutil.disk_usage(os.path.dirname(self.path)).free - RESERVE:
            return f"{size_words(state.st_size)}, no room on the node's disk"
        return ""

    def write(self, file, name, state):
        """Copy an open file into the pack, as much of it as it had at first."""
        info = zipfile.ZipInfo(name, time.gmtime(min(max(state.st_mtime, FIRST), LAST))[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        rest = state.st_size
        self.entries += 1
        self.files += 1
        with self.zip.open(info, "w", force_zip64=True) as entry:
            while rest > 0:
                part = file.read(min(CHUNK, rest))
                if not part:
                    break
                entry.write(part)
                rest -= len(part)
                self.size += len(part)
                if time.monotonic() > self.end:
                    self.left.out(name, f"cut off, the time is over ({self.given['timeout']} s)")
                    break


class Walk:
    """Goes over a folder: what is in it first, then what its links lead to."""

    def __init__(self, pack, depth, left):
        self.pack, self.depth, self.left = pack, depth, left
        self.linked = []

    def folder(self, path, name, above):
        """Take a folder's files and folders; `above` are those it is in, by device and inode."""
        try:
            state = os.stat(path)
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.left.out(name, error.strerror or str(error))
            return
        self.pack.entries += 1
        above = [*above, (state.st_dev, state.st_ino)]
        folders = []
        for entry in entries:
            at = f"{name}/{safe(entry.name)}"
            if entry.is_symlink() and len(self.linked) >= self.pack.given["entries"]:
                self.left.out(at, f"there are more than {self.pack.given['entries']} links")
            elif entry.is_symlink():
                self.linked.append((entry.path, at, above))
            elif entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, at))
            else:
                self.pack.add(entry.path, at)
        for place, at in folders:
            self.deeper(place, at, above)

    def deeper(self, path, name, above):
        """Take a folder that is in another."""
        if len(above) > self.depth:
            self.left.out(name, f"deeper than {self.depth} folders")
        elif self.pack.over():
            self.left.out(name, self.pack.over())
        else:
            self.folder(path, name, above)

    def links(self):
        """Take what links lead to, those behind links too."""
        while self.linked:
            path, name, above = self.linked.pop(0)
            try:
                state, real = os.stat(path), os.path.realpath(path)
            except OSError as error:
                self.left.out(name, f"a link: {error.strerror or error}")
                continue
            why = self.unfollowed(state, real, above)
            if why:
                self.left.out(name, why)
            elif stat.S_ISDIR(state.st_mode):
                self.deeper(path, name, above)
            else:
                self.pack.add(path, name)

    def unfollowed(self, state, real, above):
        """Return why a link is not followed, an empty string if it is."""
        here = os.path.realpath(self.pack.given["source"]) + "/"
        if (state.st_dev, state.st_ino) in above or here.startswith(real.rstrip("/") + "/"):
            return "a link to a folder that it is in"
        if (real + "/").startswith(tuple(place + "/" for place in KERNELS)):
            return "a link to the kernel's files"
        # Root could read what the job's user may not.
        if os.geteuid() == 0 and not (real + "/").startswith(here):
            return "a link to elsewhere, which is not followed as root"
        return ""


def roomiest(folders):
    """Return the folder with the most room for a pack; raises OSError without any."""
    found = [(shutil.disk_usage(path).free, path) for path in folders if os.access(path, os.W_OK | os.X_OK)]
    if not found:
        raise OSError(errno.ENOSPC, f"no folder to write a pack to ({', '.join(folders)})")
    # The first one if it will do: another may be memory.
    return found[0][1] if found[0][0] > 1 << 30 else max(found)[1]


def pack_of(given, path, left):
    """Pack the folders of `source` that are known."""
    pack = Pack(path, given, left)
    walk = Walk(pack, given["depth"], left)
    try:
        above = os.stat(given["source"])
        for kind in given["kinds"]:
            place = os.path.join(given["source"], kind)
            chain = [(above.st_dev, above.st_ino)]
            if os.path.islink(place):
                walk.linked.append((place, kind, chain))
            elif os.path.isdir(place):
                walk.folder(place, kind, chain)
        walk.links()
    finally:
        pack.zip.close()
    return pack


def main():
    """Be the Ansible module."""
    sizes = ("timeout", "entries", "depth", "file_size", "total_size", "told")
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "path", "required": True},
            "kinds": {"type": "list", "elements": "str", "required": True},
            "folders": {"type": "list", "elements": "path", "required": True},
            "name": {"type": "str", "required": True},
            **{name: {"type": "int", "required": True} for name in sizes},
        },
    )
    given = module.params
    if not os.path.isdir(given["source"]):
        module.exit_json(changed=False, path="", files=0, left_out=[], left_out_count=0)
    left = Left(given["told"])
    try:
        path = os.path.join(roomiest(given["folders"]), given["name"])
        if os.path.lexists(path):
            os.unlink(path)
        pack = pack_of(given, path, left)
    except (OSError, zipfile.BadZipFile) as error:
        module.fail_json(msg=f"{given['source']}: can't be packed: {error}")
    module.exit_json(
        changed=True, path=path, files=pack.files, size=pack.size, left_out=left.lines, left_out_count=left.count
    )


if __name__ == "__main__":
    main()
