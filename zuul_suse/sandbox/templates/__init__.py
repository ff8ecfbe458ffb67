# SPDX-License-Identifier: Apache-2.0
"""The only configuration templates of the project, and how they become files.

Called by each part's `configure`. A name that a template wants and nobody gives is an error, never an empty string.
"""

from pathlib import Path

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("zuul_suse.sandbox", "templates"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701  no HTML: ini and YAML files
)


def render(template: str, target: Path, **values: object) -> bool:
    """Write a file from a template, readable by its owner only.

    :returns: whether the file's content changed.
    """
    text = _ENVIRONMENT.get_template(template).render(**values)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.read_text() == text:
        return False
    target.touch(mode=0o600, exist_ok=True)
    target.write_text(text)
    return True
