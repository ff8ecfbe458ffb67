# SPDX-License-Identifier: Apache-2.0
"""The move of a family's projects to a Gerrit, with all branches and tags.

Owns the order of things. Called by `zuul-suse seeds import` and by the sandbox. Every step first looks whether it is
done, so that a second run pushes nothing and one that was killed at any point goes on. What ends a run in between,
a fault or an interrupt, still gives the import's right back; after a kill the next run does.
"""

import concurrent.futures
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from zuul_suse.seeds import SeedError, access, clone, git
from zuul_suse.seeds.access import ImportRight, Sharing
from zuul_suse.seeds.clone import BRANCHES, TAGS, Clone
from zuul_suse.seeds.description import Family, Project
from zuul_suse.seeds.gerrit import Gerrit, project_path

MOVED, UNCHANGED, LEFT_OUT, FAILED = "moved", "unchanged", "left out", "failed"
NAMED_FAULTS = 3  # of several faults, so many stand in the last line; each was told when it came
BATCH = 5000  # references in one push: of a larger number, what went stays when the connection breaks
# What can go wrong with one project; anything else is a fault of this program.
FAULTS = (SeedError, OSError, ValueError)


Item = TypeVar("Item")
Result = TypeVar("Result")


class Teller(Protocol):
    """Says how it goes."""

    def say(self, text: str) -> None:
        """One line."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """A step that may take long."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked of an import."""

    base: str
    work: Path
    sharing: Sharing
    only: Sequence[str] = ()
    skip_incomplete: bool = False
    jobs: int = 2


@dataclass(frozen=True)
class Outcome:
    """What came of one project; `pushed` of its `references` were not there before."""

    project: str
    result: str
    references: int = 0
    pushed: int = 0
    seconds: float = 0.0
    reason: str | None = None


def move(family: Family, gerrit: Gerrit, wishes: Wishes, teller: Teller) -> list[Outcome]:
    """Move the projects, and return what came of each, in the seed's order.

    :raises SeedError: clones are not there or not whole, before anything is pushed; or the server refuses something
        that all projects need.
    """
    projects = chosen(family, wishes.only)
    version = gerrit.get("config/server/version")
    teller.say(f"{gerrit.url}: Gerrit {version}, as {gerrit.user}; {len(projects)} projects from {wishes.base}")
    for name in access.drop_left_over(gerrit, [project.name for project in family.taken]):
        teller.say(f"{name}: the right that an import before had left was dropped")
    with teller.step(f"looking for everything that moves in {len(projects)} clones"):
        clones, incomplete = _looked_through(projects, wishes)
    for outcome in incomplete:
        teller.say(f"{outcome.project}: incomplete: {outcome.reason}")
    if incomplete and not wishes.skip_incomplete:
        raise SeedError(
            f"nothing was pushed: {len(incomplete)} of {len(projects)} clones are incomplete:"
            f" {_list(incomplete)}; get whole ones, or leave them out by --skip-incomplete"
        )
    with teller.step(f"{wishes.sharing.parent}: groups and rights that the projects share"):
        access.ensure_shared(gerrit, wishes.sharing)
    with ImportRight(gerrit) as right:
        mover = _Mover(gerrit, right, wishes.sharing.parent, teller, len(clones))
        outcomes = _each(lambda numbered: mover.move(*numbered), list(enumerate(clones, start=1)), wishes.jobs)
    order = [project.name for project in projects]
    return sorted([*outcomes, *incomplete], key=lambda outcome: order.index(outcome.project))


def chosen(family: Family, only: Sequence[str]) -> list[Project]:
    """The projects with these names, or all that are not skipped.

    :raises SeedError: a name that none has, or whose project is skipped.
    """
    by_name = {project.name: project for project in family.projects}
    for name in only:
        if name not in by_name:
            raise SeedError(f'--only: "{name}" is no project of the seed (has {", ".join(by_name)})')
        if reason := by_name[name].skip:
            raise SeedError(f"--only: {name} is skipped by the seed: {reason}")
    return [project for project in family.taken if not only or project.name in only]


def failed(outcomes: Sequence[Outcome]) -> str | None:
    """One line on the projects that did not make it, or None."""
    faults = [outcome for outcome in outcomes if outcome.result == FAILED]
    return f"{len(faults)} of {len(outcomes)} projects failed: {_list(faults)}" if faults else None


def _list(outcomes: Sequence[Outcome]) -> str:
    """All by name, the first with their reasons."""
    told = [f"{outcome.project} ({outcome.reason})" for outcome in outcomes[:NAMED_FAULTS]]
    return ", ".join([*told, *(outcome.project for outcome in outcomes[NAMED_FAULTS:])])


def _looked_through(projects: Sequence[Project], wishes: Wishes) -> tuple[list[Clone], list[Outcome]]:
    """The clones that are whole, and what is wrong with the others: one never ends the look at the rest."""

    def look(project: Project) -> Clone | Outcome:
        count = 0
        try:
            found = clone.obtain(wishes.base, project, wishes.work)
            count = len(found.references)
            reason = clone.what_is_missing(found)
        except FAULTS as fault:
            reason = git.shown(str(fault))
        return Outcome(project.name, LEFT_OUT, count, reason=reason) if reason else found

    looked = _each(look, projects, wishes.jobs)
    return [one for one in looked if isinstance(one, Clone)], [one for one in looked if isinstance(one, Outcome)]


def _each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    """Do the work on some items at a time; when one raises, or the user interrupts, no other one is begun."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException as fault:
            if not isinstance(fault, Exception):
                git.stop_all()  # a push may take minutes yet; what a thread holds it gives back when git ends
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ensure_project(gerrit: Gerrit, project: Project, parent: str) -> None:
    """An empty project below the parent; one that is there goes below it."""
    path = project_path(project.name)
    if not gerrit.exists(path):
        gerrit.put(path, {"parent": parent, "create_empty_commit": False, "branches": [project.default_branch]})
    elif gerrit.get(path).get("parent") != parent:
        gerrit.put(f"{path}/parent", {"parent": parent, "commit_message": "Shared rights"})


def ensure_head(gerrit: Gerrit, project: Project) -> str:
    """HEAD leads to the default branch, which must be there; returns that branch's reference."""
    path, head = f"{project_path(project.name)}/HEAD", f"{BRANCHES}{project.default_branch}"
    if gerrit.get(path) != head:
        gerrit.put(path, {"ref": head})
    return head


class _Mover:
    """Moves one project after another; each of its calls is alone with its project."""

    def __init__(self, gerrit: Gerrit, right: ImportRight, parent: str, teller: Teller, count: int) -> None:
        self._gerrit = gerrit
        self._right = right
        self._parent = parent
        self._teller = teller
        self._count = count

    def move(self, number: int, source: Clone) -> Outcome:
        """Move a project; a fault of its own ends this project only."""
        name, began, total = source.project.name, time.monotonic(), len(source.references)
        try:
            with self._teller.step(f"{name} ({number} of {self._count}), {total} branches and tags"):
                pushed = self._moved(source)
        except FAULTS as fault:
            reason = git.shown(str(fault))
            self._teller.say(f"{name}: failed: {reason}")
            return Outcome(name, FAILED, total, seconds=time.monotonic() - began, reason=reason)
        if not pushed:
            self._teller.say(f"{name}: nothing to push, all is there")
        return Outcome(name, MOVED if pushed else UNCHANGED, total, pushed, time.monotonic() - began)

    def _moved(self, source: Clone) -> int:
        name = source.project.name
        ensure_project(self._gerrit, source.project, self._parent)
        there = self._listed(source)
        lacking = {ref: sha for ref, sha in source.references.items() if there.get(ref) != sha}
        for reference, sha in lacking.items():
            self._refuse_what_went_on(source, reference, sha, there.get(reference))
        if lacking:
            self._right.grant(name)
            try:
                self._push(source, lacking)
            finally:
                self._right.drop(name)
        self._verify(source, ensure_head(self._gerrit, source.project))
        return len(lacking)

    def _refuse_what_went_on(self, source: Clone, reference: str, sha: str, there: str | None) -> None:
        """A branch may stand at an ancestor of what moves; anything else was not made by an import."""
        if there is None:
            return
        try:
            if not reference.startswith(BRANCHES):
                raise SeedError(f"{there} is another")
            git.run(source.folder, "merge-base", "--is-ancestor", there, sha)
        except SeedError as fault:
            raise SeedError(
                f"{reference} stands at {there[:12]} there, which is no part of the clone's {sha[:12]}:"
                " somebody changed it after the move; nothing of this project was pushed"
            ) from fault

    def _push(self, source: Clone, lacking: Mapping[str, str]) -> None:
        """Branches first: Gerrit takes a tag of a commit that it has."""
        for kind, options in ((BRANCHES, ["-o", "skip-validation"]), (TAGS, [])):
            names = [reference for reference in lacking if reference.startswith(kind)]
            address, config = self._gerrit.git_address(source.project.name), self._gerrit.git_config()
            for start in range(0, len(names), BATCH):
                with clone.outgoing(source, {name: lacking[name] for name in names[start : start + BATCH]}) as folder:
                    # A pattern, for a command line doesn't take thousands of names.
                    git.run(folder, "push", "--porcelain", *options, address, f"{kind}*:{kind}*", config=config)

    def _listed(self, source: Clone) -> dict[str, str]:
        """What stands at the server, its HEAD as the name that it points to."""
        address, config = self._gerrit.git_address(source.project.name), self._gerrit.git_config()
        text = git.run(source.folder, "ls-remote", "--symref", address, config=config)
        lines = [line.split("\t") for line in text.splitlines()]
        there = {name: value for value, name in lines if name != "HEAD"}
        return there | {name: value.removeprefix("ref: ") for value, name in lines if value.startswith("ref: ")}

    def _verify(self, source: Clone, head: str) -> None:
        """Every branch and tag, one by one, as a stranger's git would see them."""
        there = self._listed(source)
        wanted = {**source.references, "HEAD": head}
        wrong = [name for name, sha in wanted.items() if there.get(name) != sha]
        if wrong:
            name = wrong[0]
            raise SeedError(
                f"not as in the clone after the push: {len(wrong)} of {len(wanted)}, first {name}:"
                f" {there.get(name, 'not there')} instead of {wanted[name]}"
            )
