# SPDX-License-Identifier: Apache-2.0
"""What upstream's tree asks of a distribution, read from its text: branches per function, and literal package names.

Used by `make devstack-check`, which compares the branches with those recorded in branches.yaml: a new one may be one
that openSUSE has to take or to leave. Only names are recorded, no code of upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

RECORD = Path(__file__).parent / "branches.yaml"
FILES = ("stack.sh", "unstack.sh", "clean.sh", "stackrc", "functions", "functions-common", "inc/*", "lib/**/*",
         "tools/*.sh")  # fmt: skip
QUESTION = re.compile(
    r"\b(is_ubuntu|is_fedora|is_openeuler|is_suse|exit_distro_not_supported|os_VENDOR|os_PACKAGE|os_RELEASE|DISTRO)\b"
)
OPENING = re.compile(r"^(?:function\s+([\w-]+)|([\w-]+)\s*\(\))")
INSTALL = re.compile(r"\binstall_package\s+([^|&;)#]+)")
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*", re.IGNORECASE)
TOP = "(top)"
# Functions that install for a distribution of their own, or to build what openSUSE has packages of.
NOT_OURS = ("_neutron_ovs_base_install_ubuntu_dkms", "_install_epel", "prepare_for_ovs_compilation",
            "neutron_plugin_install_agent_packages", "install_database_postgresql")  # fmt: skip

Branches = dict[str, dict[str, str]]


def lines(tree: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each line of code with its file and its function."""
    found = sorted(
        {path for pattern in FILES for path in tree.glob(pattern) if path.is_file() and path.suffix != ".md"}
    )
    for path in found:
        function = TOP
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        for line in text.splitlines():
            if line.lstrip().startswith("#"):
                continue
            if opening := OPENING.match(line):
                function = opening[1] or opening[2]
            yield str(path.relative_to(tree)), function, line
            if line.startswith("}"):
                function = TOP


def branches(tree: Path) -> Branches:
    """Return what each function asks, in the order in which it does."""
    found: Branches = {}
    for file, function, line in lines(tree):
        for question in QUESTION.findall(line):
            functions = found.setdefault(file, {})
            functions[function] = f"{functions.get(function, '')} {question}".strip()
    return found


def drift(recorded: Branches, now: Branches) -> list[str]:
    """Name every function whose branches are other than recorded."""
    flat = [
        {(f, name): asked for f, names in side.items() for name, asked in names.items()} for side in (recorded, now)
    ]
    before, after = flat
    return [
        f"{file}: {function}: recorded {before.get((file, function), 'nothing')!r}, "
        f"now {after.get((file, function), 'nothing')!r}"
        for file, function in sorted(before.keys() | after.keys())
        if before.get((file, function)) != after.get((file, function))
    ]


def recorded() -> Branches:
    return yaml.safe_load(RECORD.read_text(encoding="utf-8"))["branches"]


def record(tree: Path, commit: str) -> None:
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n---\n# What upstream's devstack asks of a distribution, per function: "
        "names only.\n# Written by `python -m tests.devstack --record DIR`, compared by `make devstack-check`.\n"
    )
    text = yaml.safe_dump({"devstack": commit, "branches": branches(tree)}, width=100)
    RECORD.write_text(head + text, encoding="utf-8")


def literal_packages(tree: Path) -> set[str]:
    """Packages that upstream's functions name outside of its branches for other distributions."""
    found: set[str] = set()
    stack: list[bool] = []  # of each open `if`: whether the branch is another distribution's
    for _, function, line in lines(tree):
        word = line.split()[0] if line.split() else ""
        others = bool(re.search(r"\bDISTRO\b|(?<!! )is_ubuntu|(?<!! )is_openeuler|aarch64", line))
        if word == "if" and not line.rstrip().endswith("fi"):
            stack.append(others)
        elif word in ("elif", "else") and stack:
            stack[-1] = others
        elif word == "fi" and stack:
            stack.pop()
        if any(stack) or function in NOT_OURS or line.startswith("function"):
            continue
        for arguments in INSTALL.findall(line):
            if arguments.startswith("$("):  # a list, see upstream's files/rpms
                continue
            found |= {name for name in arguments.replace('"', " ").split() if NAME.fullmatch(name)}
    return found
