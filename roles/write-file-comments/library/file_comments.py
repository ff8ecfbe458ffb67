#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Turn a linter's lines into comments for a review, for the files that the change touches.

Runs on a node, called by the role write-file-comments. It takes `path:line:column: text` and `path:line: text`, which
nearly every linter can write, and asks git which files the tip of the branch changed: Gerrit takes no comment on
another file, and Zuul complains of it under the verdict. Ends with a mapping of file, from the repository's root, to
comments, as Zuul wants it. A name that is no UTF-8 can't be sent: such a file gets no comment.
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

AT = re.compile(r":(?P<line>\d{1,9}):(?:\d+:)?[ \t]*")
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Gerrit refuses the whole review for one comment that is too long.
LONGEST = 1000


def said(line, prefix, directory, changed):
    """Return (file, line, text) of a linter's line, None if it speaks of no changed file; a name may have a colon."""
    for at in AT.finditer(line):
        path = line[: at.start()]
        if os.path.isabs(path):
            path = os.path.relpath(path, directory)
        path = os.path.normpath(os.path.join(prefix, path))
        text = "".join(char if char.isprintable() else " " for char in line[at.end() :]).strip()
        if path in changed and text and int(at["line"]) > 0:
            return path, int(at["line"]), text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return None


def comments(lines, directory, changed, limit, prefix=""):
    """Return {file: [comment]} of the lines that speak of a changed file, `limit` of them at most, none twice."""
    found = {}
    seen = set()
    for line in lines:
        entry = said(COLOUR.sub("", line), prefix, directory, changed) if len(seen) < limit else None
        if entry is None or entry in seen:
            continue
        seen.add(entry)
        path, number, text = entry
        found.setdefault(path, []).append({"line": number, "message": text, "level": "warning"})
    return found


def git(module, directory, *words):
    """Return (exit code, output as bytes, errors); names come as they are, whatever the user's configuration is."""
    command = ["git", "-C", directory, "-c", "diff.relative=false", *words]
    code, out, err = module.run_command(command, encoding=None)
    return code, out, err.decode("utf-8", "replace").strip()


def changed_files(module, directory):
    """Return (where in the repository a folder is, the files that the tip changed and has); ends the module if need be.

    Compared with the tip's first parent: of a merge that is what it brought. A first commit has none, and brought all.
    """
    code, out, err = git(module, directory, "rev-parse", "--show-prefix", "--verify", "HEAD^{commit}")
    if code:
        module.fail_json(msg=f"directory: {directory}: {err or 'no commit'}")
    prefix = out.split(b"\n")[0]
    code, parents, err = git(module, directory, "rev-list", "--parents", "--max-count=1", "HEAD")
    base = "HEAD^1"
    if not code and len(parents.split()) == 1:
        code, tree, err = git(module, directory, "hash-object", "-t", "tree", os.devnull)
        base = tree.decode("ascii", "replace").strip()
    if not code:
        code, out, err = git(
            module, directory, "diff", "--name-only", "--no-renames", "--diff-filter=d", "-z", base, "HEAD"
        )
    if code:
        module.fail_json(msg=f"directory: {directory}: {err or 'git diff failed'}")
    return prefix.decode("utf-8", "surrogateescape"), {name for name in map(text_of, out.split(b"\0")) if name}


def text_of(name):
    """Return a file's name as text, an empty string for one that is no UTF-8."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def main():
    """Be the Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "lines": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "limit": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    given = module.params
    prefix, changed = changed_files(module, given["directory"])
    found = comments(given["lines"], given["directory"], changed, given["limit"], prefix)
    module.exit_json(changed=False, comments=found)


if __name__ == "__main__":
    main()
