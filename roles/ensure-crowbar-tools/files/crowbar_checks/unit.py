# SPDX-License-Identifier: Apache-2.0
"""What can be said of one project without any other: syntax, templates, data bags, its own rspec tests."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import programs
from .findings import Found, Verdict, entries_of, weigh

SUFFIXES = {".rb", ".rake", ".ru", ".gemspec"}
NAMES = {"Gemfile", "Rakefile", "Guardfile"}
SHEBANG = re.compile(rb"^#!.*\bruby\b")
# A generator's template: its placeholders are not Ruby.
MODEL = b"BC-MODEL=="
DATABAGS = "chef/data_bags/crowbar"
EXAMPLES = re.compile(r"^(\d+) examples?, (\d+) failures?(?:, \d+ pending)?(?:, (\d+) errors? occurred)?", re.MULTILINE)
FAILED = re.compile(r"^rspec (\S+) # (.+)$", re.MULTILINE)
RSPEC_SECONDS = 900


@dataclass(frozen=True)
class Project:
    """The project under test."""

    name: str
    checkout: Path

    def path(self, file: str | Path) -> str:
        """Return a file's path in the project."""
        return str(Path(file).relative_to(self.checkout))


def is_ruby(file: Path) -> bool:
    """Whether a file is a Ruby program, by its name or its first line."""
    if file.suffix in SUFFIXES or file.name in NAMES:
        return True
    if file.suffix:
        return False
    with file.open("rb") as content:
        return bool(SHEBANG.match(content.readline(200)))


def check_syntax(project: Project, found: Found) -> None:
    """Parse every Ruby file and every ERB template."""
    found.checks |= {"syntax", "erb"}
    files = sorted(
        f for f in project.checkout.rglob("*") if f.is_file() and not f.is_symlink() and ".git" not in f.parts
    )
    templates = [str(f) for f in files if f.suffix == ".erb"]
    ruby = [str(f) for f in files if f.suffix != ".erb" and is_ruby(f)]
    wrong = programs.run("syntax", {"ruby": ruby, "erb": templates})
    models = 0
    for path, fault in sorted(wrong.items()):
        if MODEL in Path(path).read_bytes():
            models += 1
            continue
        found.add("erb" if path.endswith(".erb") else "syntax", project.name, project.path(path), fault)
    found.count("Ruby files", len(ruby))
    found.count("ERB templates", len(templates))
    found.count("templates of new barclamps, which are not Ruby yet (not checked)", models)


def check_databags(project: Project, validator: Path, found: Found) -> None:
    """Run Crowbar's own crowbar-validate-databags."""
    folder = project.checkout / DATABAGS
    if not folder.is_dir():
        found.notes.append(f"databags: not run, {project.name} has no {DATABAGS}")
        return
    if not (validator / "lib").is_dir():
        raise programs.ProgramError(f"databags: no checkout of crowbar-validate-databags at {validator}")
    found.checks.add("databags")
    said = programs.run("databags", None, str(validator), str(folder))
    for line in said["said"]:
        where, _, fault = line.replace(f"{folder}/", "").partition(": ")
        if not (folder / where).exists():
            where, fault = "", line.replace(f"{folder}/", "")
        found.add("databags", project.name, f"{DATABAGS}/{where}".rstrip("/"), fault)
    if said["worst"] != 0 and not said["said"]:
        found.add("databags", project.name, DATABAGS, f"crowbar-validate-databags ends with {said['worst']}")
    found.count("schemas validated", len(list(folder.glob("*.schema"))))


def check_rspec(project: Project, runs: bool, found: Found) -> None:
    """Run the project's rspec; where its tests are known to run here, not to run is a fault."""
    if not any((project.checkout / "spec").glob("**/*_spec.rb")):
        found.notes.append(f"rspec: not run, {project.name} has no spec/**/*_spec.rb")
        return
    try:
        done = subprocess.run(
            ["rspec", "--no-color"],
            cwd=project.checkout,
            capture_output=True,
            text=True,
            timeout=RSPEC_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise programs.ProgramError(f"rspec: {error}") from error
    ended = EXAMPLES.search(done.stdout)
    examples, failures, errors = (int(n or 0) for n in ended.groups()) if ended else (0, 0, 0)
    if not runs and (examples == 0 or errors):
        words = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "Error" in line]
        found.notes.append(f"rspec: did not run: {words[0] if words else 'no examples'}")
        return
    found.checks.add("rspec")
    for place, what in FAILED.findall(done.stdout):
        found.add("rspec", project.name, place.partition(":")[0].lstrip("./"), what)
    if (done.returncode != 0 and not failures) or examples == 0:
        found.add("rspec", project.name, "spec", f"exit {done.returncode}, {examples} examples, {errors} errors")
    found.count("rspec examples", examples)


def run(project: Project, validator: Path, known: dict[str, Any]) -> tuple[Found, Verdict]:
    """Run them all and weigh what they find."""
    found = Found()
    check_syntax(project, found)
    check_databags(project, validator, found)
    check_rspec(project, project.name in (known.get("rspec") or []), found)
    return found, weigh(found, entries_of(known.get("unit") or []), {project.name})
