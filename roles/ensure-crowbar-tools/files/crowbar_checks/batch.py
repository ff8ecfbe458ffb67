# SPDX-License-Identifier: Apache-2.0
"""Build scenarios with the tree's own crowbar_batch, against an API that has no machines behind it.

Only scenarios whose proposals satisfy their schemas are built: the others are told of already. A build that fails is a
fault of the tree: of crowbar_batch itself, of the libraries that it takes from the framework, or of a scenario's order.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from . import programs
from .api import Server
from .findings import Found
from .scenarios import DOMAIN
from .tree import Tree

PROGRAM = "bin/crowbar_batch"
ALIAS = re.compile(r"@@([^ @]+)@@")
SECONDS = 300


def last_words(text: str) -> str:
    """Return what a failed build said last."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return said[-1] if said else "no word"


def build(tree: Tree, server: Server, scenario: Path) -> str | None:
    """Build one scenario; return the fault, if there is one."""
    text = scenario.read_text(encoding="utf-8")
    server.api.begin(sorted(set(ALIAS.findall(text))))
    command = ["ruby", "-Eutf-8:utf-8", str(programs.RUBY / "batch.rb"), str(tree.root / PROGRAM)]
    command += ["--hostname", "127.0.0.1", "--port", str(server.port), "--timeout", "60", "build", str(scenario)]
    settings = {
        **os.environ,
        "CROWBAR_USERNAME": "crowbar",
        "CROWBAR_PASSWORD": "crowbar",
        "CROWBAR_KEY": "crowbar:crowbar",
        "LANG": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            command,
            env=settings,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"crowbar_batch did not end within {SECONDS} s"
    if done.returncode != 0:
        return f"crowbar_batch, exit {done.returncode}: {last_words(done.stderr or done.stdout)}"
    if not server.api.committed:
        return "crowbar_batch committed no proposal"
    return None


def check(tree: Tree, scenarios: list[tuple[Path, str, str]], found: Found) -> None:
    """Build all of them."""
    program = tree.root / PROGRAM
    if not program.exists():
        found.notes.append(f"batch: not run, the tree has no {PROGRAM}")
        return
    found.checks.add("batch")
    standins = programs.run("standins", None)
    if standins:
        found.notes.append(f"batch: stand-ins take the place of {', '.join(standins)}")
    committed = 0
    with Server(tree.root, DOMAIN) as server:
        for file, project, path in scenarios:
            fault = build(tree, server, file)
            committed += len(server.api.committed)
            if fault:
                found.add("batch", project, path, fault)
    found.count("scenarios built with crowbar_batch", len(scenarios))
    found.count("proposals that it committed", committed)
