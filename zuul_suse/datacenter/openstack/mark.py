# SPDX-License-Identifier: Apache-2.0
"""The mark by which what is ours is known where there is no metadata: in the description of floating IPs and servers.

Nova forgets the metadata of a server that was deleted, but not its description. Pure; called where things are made,
and where it is looked for what was left behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

KEYS = ("nodepool_provider_name", "nodepool_node_id")  # servers whose metadata has both are Nodepool's
_MARK = "zuul-suse:"
_LONGEST = 255  # characters of a description


def mark_of(server_id: str, metadata: Mapping[str, str]) -> str | None:
    """A description that proves whose it is; None if it would be longer than services keep, for half a mark is none.

    A server's own has no id yet.
    """
    named = [server_id, *(metadata.get(key, "") for key in KEYS)]
    mark = _MARK + json.dumps(named, separators=(",", ":"), ensure_ascii=False)
    return mark if len(mark) <= _LONGEST else None


def read_mark(description: str | None) -> tuple[str, dict[str, str]] | None:
    """The server and its metadata; None if this is no mark of ours."""
    if description is None or not description.startswith(_MARK):
        return None
    try:
        server_id, *values = json.loads(description.removeprefix(_MARK))
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(server_id, str) or len(values) != len(KEYS) or not all(isinstance(v, str) for v in values):
        return None
    return server_id, dict(zip(KEYS, values, strict=True))
