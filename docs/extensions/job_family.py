# SPDX-License-Identifier: Apache-2.0
"""The directive `job-family`: the jobs and project templates of one of this repository's folders of Zuul configuration.

zuul-sphinx reads `zuul.d` alone, in which a tenant finds what it gets unasked. Loaded by docs/conf.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from zuul_sphinx.zuul import ZuulDirective

ROOT = Path(__file__).parents[2]


class JobFamily(ZuulDirective):  # type: ignore[misc]
    """See the module; the argument is the folder's name."""

    required_arguments = 1
    has_content = False
    zuul_layout: Any = None  # in place of the property that reads zuul.d

    def run(self) -> list[nodes.Node]:
        folder = ROOT / self.arguments[0]
        if not folder.is_dir():
            raise self.error(f"job-family: no folder {folder.name} (has {', '.join(families())})")
        self.state.document.settings.env.note_dependency(str(folder))
        self.zuul_layout = self.parse_zuul_d(str(folder))
        lines: list[str] = []
        for name in dict.fromkeys(job["name"] for job in self.zuul_layout.jobs):
            lines += self.generate_zuul_job_content(name)
        for name in dict.fromkeys(template.name for template in self.zuul_layout.project_templates):
            lines += self.generate_zuul_project_template_content(name)
        self.state_machine.insert_input(lines, folder.name)
        return []


def families() -> list[str]:
    """The folders that the directive knows."""
    return sorted(path.name for path in ROOT.glob("zuul*.d") if path.is_dir())


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("job-family", JobFamily)
    return {"version": "1", "parallel_read_safe": True}
