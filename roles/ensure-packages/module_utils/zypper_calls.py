# SPDX-License-Identifier: Apache-2.0
"""How modules call zypper: it waits for its lock, and what it has to tell is no failure.

Used by modules of the roles ensure-packages and ensure-zypper-repos on a node. What zypper prints leaves this file only
without the secrets of addresses.
"""

import re

from ansible.module_utils.mirror_addresses import masked

# zypper(8), EXIT CODES: what was asked for is done. 104 (no such package) and 105 (a signal) are failures.
DONE = {
    0: "",
    100: "updates are available",
    101: "security updates are available",
    102: "the system wants a restart",
    103: "zypper itself was updated and wants to be called again",
    106: "repositories were skipped",
    107: "a package is installed, but its script failed",
}
SKIPPED = re.compile(r"^(?:Warning: )?Skipping repository '([^']+)' because", re.MULTILINE)
SCRIPT = re.compile(r"^.*scriptlet failed.*$", re.MULTILINE)
# What says why zypper failed, the best word first.
WHY = ("No provider of", "Problem:", "locked by", "Permission denied|privileges")


class Zypper:
    """zypper on the system below a folder; `urls` are the addresses whose secrets it may print."""

    def __init__(self, module, root, lock_timeout, urls=()):
        self.module = module
        self.command = ["zypper", "--root", root, "--non-interactive"]
        self.environment = {"ZYPP_LOCK_TIMEOUT": str(lock_timeout), "LC_ALL": "C"}
        self.urls = urls

    def run(self, *words):
        """Return (exit code, what zypper printed, its errors first); ends the module if there is no zypper."""
        code, out, err = self.module.run_command(self.command + list(words), environ_update=self.environment)
        return code, masked(err + "\n" + out, self.urls)


def lines_of(text):
    """Return the lines that have words in them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def skipped(text):
    """Return the names of the repositories that zypper went on without."""
    return sorted(set(SKIPPED.findall(text)))


def reason(text, causes=WHY):
    """Return the line that says why zypper failed, else its first one."""
    lines = lines_of(text)
    found = [line for cause in causes for line in lines if re.search(cause, line)] + lines
    return (found or ["zypper prints nothing"])[0]


def told(code, text):
    """Return sentences on what zypper did beside what was asked for, none where there is nothing to tell."""
    details = skipped(text) + [line.strip() for line in SCRIPT.findall(text)][:3]
    if not DONE[code] and not details:
        return []
    return [f"zypper ends with {code}{': ' if DONE[code] else ''}{DONE[code]}: {', '.join(details)}".rstrip(": ")]
