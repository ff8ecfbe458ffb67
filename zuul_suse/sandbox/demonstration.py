# SPDX-License-Identifier: Apache-2.0
"""What a seed shows of its job: changes to real projects, each with the vote that it ought to bring.

Owns nothing. Read by `mirror.py` as a part of a seed, sent by `demo.py`. A change may need others: it then carries
their Depends-On, and they are sent before it.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as v

from zuul_suse.sandbox import SandboxError

# An edit is of a file, and of one kind; `remove` and `move` take folders too.
EDIT = {
    v.Required("file"): str,
    v.Exclusive("append", "kind"): str,
    v.Exclusive("write", "kind"): str,
    v.Exclusive("replace", "kind"): {str: str},
    v.Exclusive("move", "kind"): str,
    v.Exclusive("remove", "kind"): True,
}
CHANGE = {
    v.Required("name"): str,
    v.Required("project"): str,
    v.Required("subject"): str,
    v.Required("edits"): v.All([EDIT], v.Length(min=1)),
    v.Required("vote"): v.In([-1, 1]),
    v.Optional("branch"): str,
    v.Optional("depends-on", default=list): [str],
    v.Optional("on-request", default=False): bool,
}
SCHEMA = v.Schema({v.Required("job"): str, v.Required("changes"): v.All([CHANGE], v.Length(min=1))})


@dataclass(frozen=True)
class ShownChange:
    """One change: what is edited where, and the vote it ought to bring."""

    name: str
    project: str
    branch: str | None
    subject: str
    edits: Sequence[Mapping[str, Any]]
    vote: int
    depends_on: Sequence[str]
    on_request: bool

    def edit(self, folder: Path) -> None:
        """Make the edits in a clone.

        :raises SandboxError: the project's version has no such file or text.
        """
        for edit in self.edits:
            _apply(folder, edit, f"{self.project}: {edit['file']}")


@dataclass(frozen=True)
class Demonstration:
    """A job and the changes that show what it is good for, in the order in which they are sent."""

    job: str
    changes: tuple[ShownChange, ...]

    def chosen(self, names: Sequence[str]) -> list[ShownChange]:
        """The changes with these names, or those that need not be asked for.

        :raises SandboxError: a name that none has.
        """
        known = {change.name: change for change in self.changes}
        if unknown := [name for name in names if name not in known]:
            raise SandboxError(f'--change: {self.job} shows no "{unknown[0]}" (has {", ".join(known)})')
        return [known[n] for n in names] if names else [c for c in self.changes if not c.on_request]

    def named(self, name: str) -> ShownChange:
        return next(change for change in self.changes if change.name == name)


def read(data: object, place: str) -> Demonstration:
    """A seed's key `demonstration`.

    :raises SandboxError: where it is wrong and why.
    """
    try:
        checked = SCHEMA(data)
    except v.Invalid as fault:
        raise SandboxError(f"{place}: demonstration: {fault}") from fault
    changes: list[ShownChange] = []
    for entry in checked["changes"]:
        earlier = [change.name for change in changes]
        where = f"{place}: demonstration: {entry['name']}"
        if entry["name"] in earlier:
            raise SandboxError(f"{where}: twice")
        if late := [name for name in entry["depends-on"] if name not in earlier]:
            raise SandboxError(f'{where}: depends-on: "{late[0]}" is no earlier change (has {", ".join(earlier)})')
        known = {"branch": None} | {key.replace("-", "_"): value for key, value in entry.items()}
        changes.append(ShownChange(**known))
    return Demonstration(checked["job"], tuple(changes))


def _apply(folder: Path, edit: Mapping[str, Any], place: str) -> None:
    path = folder / edit["file"]
    if "write" in edit:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit["write"])
        return
    if not path.exists():
        raise SandboxError(f"{place}: not in this version of the project; mend the seed's demonstration")
    if "append" in edit:
        with open(path, "a") as target:
            target.write(f"{edit['append'].rstrip()}\n")
    elif "move" in edit:
        (folder / edit["move"]).parent.mkdir(parents=True, exist_ok=True)
        path.rename(folder / edit["move"])
    elif "replace" in edit:
        _replace(path, edit["replace"], place)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _replace(path: Path, texts: Mapping[str, str], place: str) -> None:
    text = path.read_text()
    for old, new in texts.items():
        if text.count(old) != 1:
            raise SandboxError(f"{place}: {old!r} is there {text.count(old)} times, not once; mend the demonstration")
        text = text.replace(old, new)
    path.write_text(text)
