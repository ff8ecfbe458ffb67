# SPDX-License-Identifier: Apache-2.0
"""Where the data lie that the wheel brings: seeds and image elements. Imports nothing else of this package."""

from importlib import resources
from pathlib import Path


def seed(name: str) -> Path:
    """A file or folder of `seeds/`; the folder itself for an empty name."""
    return _data("seeds") / name


def elements() -> Path:
    """The folder of diskimage-builder elements."""
    return _data("elements")


def _data(name: str) -> Path:
    return Path(str(resources.files("zuul_suse") / "data" / name))
