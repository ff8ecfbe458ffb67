# SPDX-License-Identifier: Apache-2.0
"""What a developer does: clone, edit, commit, `git review`.

Owns `work/developer/` of the state folder; each clone goes when its change is sent. Called by the demonstration.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zuul_suse.sandbox import SandboxError, gerrit
from zuul_suse.sandbox.repositories import BRANCH, access, destination, git
from zuul_suse.sandbox.state import State
from zuul_suse.seeds.git import QUIET

NAME = "Devon Developer"
EMAIL = f"{gerrit.DEVELOPER}@sandbox.example.com"
AUTHOR = {
    f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in (("NAME", NAME), ("EMAIL", EMAIL))
}


@dataclass(frozen=True)
class Change:
    """A change under review: where it is seen, and how a Depends-On names it."""

    project: str
    number: int
    url: str
    reference: str


def send(state: State, project: str, message: str, edit: Callable[[Path], None], branch: str | None = None) -> Change:
    """Change a project and send it for review with git-review.

    :param message: the commit's; git-review adds a Change-Id.
    :param edit: changes files in the clone.
    :param branch: the one that is changed; None for the sandbox's usual one.
    :raises SandboxError: with git's or git-review's words.
    """
    review = gerrit.developer(state)
    who = review.git_environment()
    with _commit(state, project, message, edit, review.git_address(project), branch or BRANCH, who) as folder:
        _git_review(folder, branch or BRANCH, who)
        commit = git(folder, "rev-parse", "HEAD")
    found = review.get(f"changes/?q=commit:{commit}")
    if not found:
        raise SandboxError(f"git-review sent {commit[:10]} of {project}, but Gerrit has no change for it")
    number = int(found[0]["_number"])
    page = gerrit.change_page(state, project, number)
    return Change(project, number, page, gerrit.change_reference(state, project, number))


def push_directly(state: State, project: str, message: str, edit: Callable[[Path], None]) -> str:
    """Change a project where there is no review; returns the commit that its branch then stands at."""
    who = access(state)
    with _commit(state, project, message, edit, destination(state, project), BRANCH, who) as folder:
        git(folder, "push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}", environment=who)
        return git(folder, "rev-parse", "HEAD")


@contextmanager
def _commit(
    state: State,
    project: str,
    message: str,
    edit: Callable[[Path], None],
    url: str,
    branch: str,
    access: Mapping[str, str],
) -> Iterator[Path]:
    """A developer's clone with the edit committed in it; gone afterwards."""
    folder = state.folder("work", "developer", f"{project.replace('/', '-')}-{time.time_ns()}")
    try:
        git(folder, "clone", "-q", "-b", branch, url, ".", environment=access)
        git(folder, "config", "user.name", NAME)
        git(folder, "config", "user.email", EMAIL)
        git(folder, "remote", "add", "gerrit", url)
        edit(folder)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", message, environment=AUTHOR)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _git_review(folder: Path, branch: str, access: Mapping[str, str]) -> None:
    """Run git-review as a developer would; the answer to its questions is yes."""
    command = [str(Path(sys.executable).parent / "git-review"), "--yes", "--no-rebase", "--remote", "gerrit", branch]
    environment = {**os.environ, **QUIET, **AUTHOR, **access}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).strip().splitlines() if "://" not in line]
        raise SandboxError(f"git review in {folder}: {' / '.join(lines[-3:])}")
