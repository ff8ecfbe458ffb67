# SPDX-License-Identifier: Apache-2.0
"""Whether each schema of a tree is one, the template proposal beside it satisfies it, and the migrations lead to it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from . import programs
from .findings import Found
from .tree import Tree

NUMBER = re.compile(r"^(\d+)")
TEMPLATE = re.compile(r"^(?:bc-)?template-(.+)\.schema$")


def check_migrations(tree: Tree, folder: Path, revision: object, found: Found) -> None:
    """Check one barclamp's migrations: each number once, and none beyond the revision of its template."""
    files = sorted(folder.glob("*.rb"))
    numbers = {file: int(at[1]) for file in files for at in [NUMBER.match(file.name)] if at}
    for number, times in Counter(numbers.values()).items():
        if times > 1:
            last = max(file for file in numbers if numbers[file] == number)
            found.add("migrations", *tree.whose(last), f"migration {number} of {folder.name} is there {times} times")
    for file in files:
        if file not in numbers:
            found.add("migrations", *tree.whose(file), "a migration's name begins with a number")
        elif isinstance(revision, int) and numbers[file] > revision:
            fault = f"migration {numbers[file]} is beyond schema-revision {revision} of the template: it never runs"
            found.add("migrations", *tree.whose(file), fault)
    found.count("migrations", len(files))


def check(tree: Tree, found: Found) -> None:
    """Check all of a tree."""
    found.checks |= {"schemas", "migrations"}
    folder = tree.root / "chef" / "data_bags" / "crowbar"
    schemas = [str(f) for f in sorted(folder.glob("*.schema"))]
    revisions: dict[str, object] = {}
    for path, said in programs.run("schemas", schemas, str(tree.root)).items():
        file = Path(path)
        for fault in said["schema"]:
            found.add("schemas", *tree.whose(file), f"no schema: {fault}")
        template = file.with_suffix(".json")
        for fault in said["template"]:
            where = tree.whose(template if template.exists() else file)
            found.add("schemas", *where, f"the template does not satisfy its schema: {fault}")
        named = TEMPLATE.match(file.name)
        if named:
            revisions[named[1]] = said["revision"]
    for migrations in sorted(f for f in (folder / "migrate").glob("*") if f.is_dir()):
        if any(migrations.glob("*.rb")):
            check_migrations(tree, migrations, revisions.get(migrations.name), found)
    found.count("schemas", len(schemas))
