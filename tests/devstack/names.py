# SPDX-License-Identifier: Apache-2.0
"""Which packages openSUSE is known to have: packages.yaml, read for the tests and for `make devstack-check`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RECORD = Path(__file__).parent / "packages.yaml"


@dataclass(frozen=True)
class Names:
    """What is known of names: each with its source, and those that nothing was found for, with the reason."""

    sources: dict[str, dict[str, Any]]
    known: dict[str, str]
    unconfirmed: dict[str, str]

    def unknown(self, names: set[str]) -> list[str]:
        """Those that the record does not speak of at all."""
        return sorted(names - self.known.keys() - self.unconfirmed.keys())


def recorded() -> Names:
    read = yaml.safe_load(RECORD.read_text(encoding="utf-8"))
    known = {name: source for source, names in read["known"].items() for name in names}
    return Names(read["sources"], known, read["unconfirmed"] or {})
