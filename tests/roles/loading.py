# SPDX-License-Identifier: Apache-2.0
"""Load a role's Python by itself: the node that runs these tests has no Ansible, so names stand for it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

SHARED = [str(path) for path in sorted((Path(__file__).parents[2] / "roles").glob("*/module_utils"))]


def load(path: Path, **more: ModuleType) -> ModuleType:
    """Load a file; what it imports of Ansible is empty, a role's own, or one of `more`, by its name there."""
    basic = ModuleType("ansible.module_utils.basic")
    basic.AnsibleModule = None  # type: ignore[attr-defined]
    utils = "ansible.module_utils"
    package = ModuleType(utils)
    package.__path__ = SHARED
    stand_ins = {"ansible": ModuleType("ansible"), utils: package, f"{utils}.basic": basic}
    stand_ins |= {f"{utils}.{name}": module for name, module in more.items()}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, stand_ins):
        spec.loader.exec_module(loaded)
    return loaded
