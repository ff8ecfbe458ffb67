# SPDX-License-Identifier: Apache-2.0
"""Families of projects with releases: a seed file, the configuration written from it, the move to a Gerrit.

Owns no process and no file but those that `render` writes. Called by `zuul-suse seeds` and by the sandbox. A family is
a file like `seeds/crowbar.yaml`; `description.py` says what it may hold.
"""


class SeedError(Exception):
    """What went wrong, where, and what to do: one line for the user."""
