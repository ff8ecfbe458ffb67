# SPDX-License-Identifier: Apache-2.0
"""Where the elements are, and the images that nodepool/nodepool.yaml makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def elements() -> Path:
    return REPOSITORY / "nodepool" / "elements"


@pytest.fixture(scope="session")
def configuration_file() -> Path:
    return REPOSITORY / "nodepool" / "nodepool.yaml"


@pytest.fixture(scope="session")
def configuration(configuration_file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(configuration_file.read_text())
    return loaded


@pytest.fixture(scope="session")
def images(configuration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The images by name, each with what it inherits."""
    given = {image["name"]: image for image in configuration["diskimages"]}
    whole = {}
    for name, image in given.items():
        parent = given.get(image.get("parent", ""), {})
        if not image.get("abstract"):
            environment = parent.get("env-vars", {}) | image.get("env-vars", {})
            whole[name] = {**parent, **image, "env-vars": environment}
    return whole
