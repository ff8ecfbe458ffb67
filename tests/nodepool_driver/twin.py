# SPDX-License-Identifier: Apache-2.0
"""The other end of a fake datacenter that lives in a launcher: see `zuul_suse.datacenter.fake`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Twin:
    """Sees, adds and takes away servers, and has the datacenter fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "servers").mkdir(parents=True)

    def servers(self) -> dict[str, dict[str, Any]]:
        found = {}
        for path in (self.folder / "servers").glob("*.json"):
            try:
                found[path.stem] = json.loads(path.read_text())
            except FileNotFoundError:  # it went meanwhile
                continue
        return found

    def add(self, server_id: str, **metadata: str) -> None:
        (self.folder / "servers" / f"{server_id}.json").write_text(json.dumps({"metadata": metadata}))

    def remove(self, server_id: str) -> None:
        (self.folder / "servers" / f"{server_id}.json").unlink()

    def fault(self, fault: str) -> None:
        (self.folder / "fault").write_text(fault)
