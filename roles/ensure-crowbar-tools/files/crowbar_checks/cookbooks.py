# SPDX-License-Identifier: Apache-2.0
"""Whether every cookbook and recipe that is asked for is in the tree, whoever brings it.

Reads metadata.rb (`depends`), `include_recipe`, `cookbook "x"` of templates and files, and run lists of chef's roles.
What a recipe puts together at run time ("nova::#{backend}") can't be read here; how often that is so is counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .findings import Found
from .tree import Tree

DEPENDS = re.compile(r"""^\s*depends[\s(]+["']([^"']+)["']""", re.MULTILINE)
DEPENDS_EACH = re.compile(r"%w[\[({<]([^\])}>]*)[\])}>]\.each\s+(?:do|\{)\s*\|(\w+)\|\s*depends[\s(]+\2\b")
NAME = re.compile(r"""^\s*name[\s(]+["']([^"']+)["']""", re.MULTILINE)
INCLUDE = re.compile(r"""^(?!\s*#).*?\binclude_recipe[\s(]+(["'])(.*?)\1""", re.MULTILINE)
FROM_COOKBOOK = re.compile(r"""^\s+cookbook[\s(]+["']([\w-]+)["']""", re.MULTILINE)
RUN_LIST = re.compile(r"recipe\[([\w-]+)(?:::([\w-]+))?\]")
FOLDERS = ("recipes", "definitions", "libraries", "providers", "resources")


@dataclass
class Cookbook:
    """One cookbook: what it has, and each thing that it asks for with the file that asks."""

    name: str
    owner: str
    recipes: set[str] = field(default_factory=set)
    depends: list[tuple[Path, str]] = field(default_factory=list)
    includes: list[tuple[Path, str]] = field(default_factory=list)
    borrows: list[tuple[Path, str]] = field(default_factory=list)
    unreadable: int = 0


def text_of(file: Path) -> str:
    """Read a file of any encoding."""
    return file.read_text(encoding="utf-8", errors="replace")


def read_code(book: Cookbook, file: Path) -> None:
    """Take what a Ruby file of a cookbook asks for."""
    text = text_of(file)
    for _, name in INCLUDE.findall(text):
        if "#{" in name:
            book.unreadable += 1
        else:
            book.includes.append((file, name if not name.startswith("::") else book.name + name))
    book.borrows += [(file, name) for name in FROM_COOKBOOK.findall(text)]


def read_cookbook(tree: Tree, folder: Path) -> Cookbook:
    """Read one cookbook's folder."""
    metadata = folder / "metadata.rb"
    text = text_of(metadata) if metadata.exists() else ""
    named = NAME.search(text)
    first = metadata if metadata.exists() else next(f for f in sorted(folder.rglob("*")) if f.is_file())
    book = Cookbook(named[1] if named else folder.name, tree.whose(first)[0])
    book.depends = [(metadata, name) for name in DEPENDS.findall(text)]
    for names, _ in DEPENDS_EACH.findall(text):
        book.depends += [(metadata, name) for name in names.split()]
    book.recipes = {file.stem for file in folder.glob("recipes/*.rb")}
    for place in FOLDERS:
        for file in sorted(folder.glob(f"{place}/**/*.rb")):
            read_code(book, file)
    return book


def read_cookbooks(tree: Tree) -> dict[str, Cookbook]:
    """Read every cookbook of a tree, by its name."""
    folders = sorted(f for f in (tree.root / "chef" / "cookbooks").glob("*") if f.is_dir())
    books = [read_cookbook(tree, folder) for folder in folders if any(f.is_file() for f in folder.rglob("*"))]
    return {book.name: book for book in books}


def missing_recipe(books: dict[str, Cookbook], wanted: str) -> str | None:
    """Say what is missing for `cookbook::recipe`, if anything is."""
    name, _, recipe = wanted.partition("::")
    if name not in books:
        return f"cookbook {name} is in no project"
    if (recipe or "default") not in books[name].recipes:
        return f"cookbook {name} ({books[name].owner}) has no recipe {recipe or 'default'}"
    return None


def check_book(tree: Tree, books: dict[str, Cookbook], book: Cookbook, found: Found) -> None:
    """Check what one cookbook asks for."""
    for file, name in book.depends:
        if name not in books:
            found.add("cookbooks", *tree.whose(file), f"depends on {name}, which is in no project")
    for file, wanted in book.includes:
        fault = missing_recipe(books, wanted)
        if fault:
            found.add("cookbooks", *tree.whose(file), f"includes {wanted}: {fault}")
    for file, name in book.borrows:
        if name not in books:
            found.add("cookbooks", *tree.whose(file), f"takes a file of cookbook {name}, which is in no project")


def check_roles(tree: Tree, books: dict[str, Cookbook], found: Found) -> None:
    """Check the run lists of chef's roles."""
    roles = sorted((tree.root / "chef" / "roles").glob("*.rb"))
    for file in roles:
        for name, recipe in RUN_LIST.findall(text_of(file)):
            fault = missing_recipe(books, f"{name}::{recipe}" if recipe else name)
            if fault:
                found.add("cookbooks", *tree.whose(file), f"runs {name}{'::' * bool(recipe)}{recipe}: {fault}")
    found.count("chef roles", len(roles))


def check(tree: Tree, found: Found) -> None:
    """Check the closure of a tree's cookbooks."""
    found.checks.add("cookbooks")
    books = read_cookbooks(tree)
    for book in books.values():
        check_book(tree, books, book, found)
    check_roles(tree, books, found)
    pairs = {(b.name, n) for b in books.values() for _, n in b.depends if n in books and books[n].owner != b.owner}
    found.count("cookbooks", len(books))
    found.count("cookbook dependencies", len({(b.name, n) for b in books.values() for _, n in b.depends}))
    found.count("of them from one project to another", len(pairs))
    found.count("recipes included", sum(len(b.includes) for b in books.values()))
    found.count("recipes included by a name made at run time (not checked)", sum(b.unreadable for b in books.values()))
