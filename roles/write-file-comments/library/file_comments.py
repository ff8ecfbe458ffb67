#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Turn a linter's lines into comments for a review, for the files that the change touches.

Runs on a node, called by the role write-file-comments. It takes `path:line:column: text` and `path:line: text`, which
nearly every linter can write, and asks git which files the tip of the branch changed: Gerrit takes no comment on
another file, and Zuul complains of it under the verdict. Ends with a mapping of file to comments, as Zuul wants it.
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

LINE = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:(?P<column>\d+):)?\s*(?P<text>\S.*)$")


def comments(lines, directory, changed, limit):
    """Return {file: [comment]} of the lines that speak of a changed file, `limit` of them at most, none twice."""
    found = {}
    seen = set()
    for line in lines:
        at = LINE.match(line)
        if not at or len(seen) >= limit:
            continue
        path = at["path"]
        if os.path.isabs(path):
            path = os.path.relpath(path, directory)
        path = os.path.normpath(path)
        key = (path, at["line"], at["text"])
        if path not in changed or key in seen:
            continue
        seen.add(key)
        found.setdefault(path, []).append({"line": int(at["line"]), "message": at["text"], "level": "warning"})
    return found


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
    directory = module.params["directory"]
    code, out, err = module.run_command(["git", "-C", directory, "diff", "--name-only", "HEAD^1", "HEAD"])
    if code:
        module.fail_json(msg=f"directory: {directory}: {err.strip() or 'git diff failed'}")
    found = comments(module.params["lines"], directory, set(out.splitlines()), module.params["limit"])
    module.exit_json(changed=False, comments=found)


if __name__ == "__main__":
    main()
