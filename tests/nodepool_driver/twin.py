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
        for shelf in ("servers", "belongings"):
            (folder / shelf).mkdir(parents=True)

    def servers(self) -> dict[str, dict[str, Any]]:
        return self._shelf("servers")

    def images(self) -> dict[str, dict[str, Any]]:
        return self._shelf("images")

    def _shelf(self, name: str) -> dict[str, dict[str, Any]]:
        found = {}
        for path in (self.folder / name).glob("*.json"):
            try:
                found[path.stem] = json.loads(path.read_text())
            except FileNotFoundError:  # it went meanwhile
                continue
        return found

    def add(self, server_id: str, **metadata: str) -> None:
        (self.folder / "servers" / f"{server_id}.json").write_text(json.dumps({"metadata": metadata}))

    def add_belonging(self, kind: str, belonging_id: str, **metadata: str) -> None:
        record = {"kind": kind, "metadata": metadata}
        (self.folder / "belongings" / f"{belonging_id}.json").write_text(json.dumps(record))

    def belongings(self) -> set[str]:
        return {path.stem for path in (self.folder / "belongings").glob("*.json")}

    def remove(self, server_id: str) -> None:
        (self.folder / "servers" / f"{server_id}.json").unlink()

    def fault(self, fault: str) -> None:
        (self.folder / "fault").write_text(fault)
