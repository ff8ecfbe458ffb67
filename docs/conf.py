# SPDX-License-Identifier: Apache-2.0
"""Sphinx's configuration. `make docs` builds the pages from the installed package, roles/ and the zuul*.d/ folders."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "zuul-suse"
copyright = "the zuul-suse authors, Apache-2.0"
release = version = version_of("zuul-suse")
extensions = ["zuul_sphinx", "driver_reference", "job_family"]
exclude_patterns = ["_build", "bench-table.rst"]
html_theme = "alabaster"
html_theme_options = {"description": "openSUSE nodes from every datacenter you own", "page_width": "1100px"}
nitpicky = True
smartquotes = False
zuul_role_paths = [str(Path(__file__).parents[1] / "seeds" / "config-project" / "roles")]
