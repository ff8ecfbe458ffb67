# SPDX-License-Identifier: Apache-2.0
"""The directive `driver-options`: every configuration key of `driver: suse`, out of the schema that checks it.

Loaded by docs/conf.py. An argument picks one section; without it all are shown, with a heading each.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from zuul_suse.datacenter.kinds import Option
from zuul_suse.nodepool_driver.schema import all_options

TYPES: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    list: "list",
    dict: "map",
}


def type_name(kind: object) -> str:
    """A type of the schema in words; what stands for it is a Python type, a list of one, or a map of two."""
    if isinstance(kind, list):
        return f"list of {' or '.join(type_name(item) for item in kind)}s"
    if isinstance(kind, dict):
        return "; ".join(f"map of {type_name(key)} to {type_name(value)}" for key, value in kind.items())
    return TYPES.get(kind, str(kind))


def entry(option: Option) -> list[str]:
    """One option as reStructuredText."""
    facts = [type_name(option.type)]
    if option.choices:
        facts = [f"one of {', '.join(f'``{choice}``' for choice in option.choices)}"]
    if option.most is not None:
        facts.append(f"{'more than 0' if option.least is None else option.least} to {option.most}")
    if option.required:
        facts.append("required")
    elif option.default is not None:
        default = str(option.default).lower() if isinstance(option.default, bool) else option.default
        facts.append(f"default ``{default}``")
    return [f"``{option.name}`` ({', '.join(facts)})", f"   {option.doc[0].upper()}{option.doc[1:]}.", ""]


class DriverOptions(SphinxDirective):
    """See the module."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for section, found in groupby(all_options(), key=lambda pair: pair[0]):
            lines += [section.capitalize(), "~" * len(section), ""]
            for _, option in found:
                lines += entry(option)
        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(lines, "schema"), self.content_offset, holder, match_titles=True)
        return holder.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("driver-options", DriverOptions)
    return {"version": "1", "parallel_read_safe": True}
