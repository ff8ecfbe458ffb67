# SPDX-License-Identifier: Apache-2.0
"""The rules of the house for roles: what each must have, and that its page says what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SEEDED = ROOT / "seeds" / "config-project" / "roles"
SCENARIOS = ROOT / "tests" / "roles"
VERBS = {"ensure", "configure", "write", "run", "fetch", "collect", "upload", "remove"}
DOCUMENTED = re.compile(r"^\.\. zuul:rolevar:: (\S+)\n((?:   .*\n|\n)+)", re.MULTILINE)
# Roles that install or trust something of the system's; each must refuse a system that it does not know.
SYSTEM = re.compile(r"ansible_os_family|ansible_distribution|ansible\.builtin\.(package|apt|dnf):|\bzypper\b")


def roles() -> list[Path]:
    """Every role, the base job's among them."""
    found = sorted(p for folder in (ROOT / "roles", SEEDED) for p in folder.iterdir() if p.is_dir())
    assert found
    return found


def defaults(role: Path) -> dict[str, Any]:
    """A role's variables and their defaults."""
    return yaml.safe_load((role / "defaults" / "main.yaml").read_text(encoding="utf-8")) or {}


def tasks(role: Path) -> list[dict[str, Any]]:
    """Every task of a role, those in blocks too."""
    found: list[dict[str, Any]] = []

    def walk(items: list[dict[str, Any]]) -> None:
        for item in items:
            found.append(item)
            for part in ("block", "rescue", "always"):
                walk(item.get(part, []))

    for path in sorted(role.glob("tasks/*.yaml")):
        walk(yaml.safe_load(path.read_text(encoding="utf-8")) or [])
    return found


every_role = pytest.mark.parametrize("role", roles(), ids=lambda p: p.name)


@every_role
def test_name(role: Path) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", role.name)
    assert role.name.split("-")[0] in VERBS


@every_role
def test_variables_bear_the_roles_name(role: Path) -> None:
    prefix = role.name.replace("-", "_") + "_"
    given = set(defaults(role))
    if (role / "vars" / "main.yaml").exists():
        given |= set(yaml.safe_load((role / "vars" / "main.yaml").read_text(encoding="utf-8")))
    for task in tasks(role):
        given |= set(task.get("ansible.builtin.set_fact", {})) - {"cacheable"}
        given |= {task["register"].lstrip("_")} if "register" in task else set()
    assert [name for name in sorted(given) if not name.startswith(prefix)] == []


@every_role
def test_readme_has_each_variable(role: Path) -> None:
    """Each with its meaning, and none that the role does not have."""
    text = (role / "README.rst").read_text(encoding="utf-8")
    documented = dict(DOCUMENTED.findall(text))
    assert set(documented) == set(defaults(role))
    for name, body in documented.items():
        assert ":type:" in body, name
        assert ":default:" in body, name
        assert re.search(r"^   [A-Z`]", body, re.MULTILINE), f"{name}: no word on what it means"


@every_role
def test_every_task_has_a_name(role: Path) -> None:
    """A verdict names the task that failed."""
    assert tasks(role)
    assert [t for t in tasks(role) if not t.get("name")] == []


def asks_the_system(role: Path) -> bool:
    """Whether a role does what goes another way on another system."""
    return any(SYSTEM.search(p.read_text(encoding="utf-8")) for p in role.glob("tasks/*.yaml"))


@pytest.mark.parametrize("role", list(filter(asks_the_system, roles())), ids=lambda p: p.name)
def test_refuses_a_system_it_does_not_know(role: Path) -> None:
    refusals = [t for t in tasks(role) if t["name"] == "Fail on a system that this role does not know"]
    assert len(refusals) == 1
    assert "known:" in refusals[0]["ansible.builtin.fail"]["msg"]


@every_role
def test_has_a_scenario_that_breaks_the_state_first(role: Path) -> None:
    path = SCENARIOS / role.name / "scenario.yaml"
    plays = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    assert "name: Break it" in text
    assert "ansible.builtin.assert" in text or "ansible.builtin.command" in text
    assert f"{role.name}\n" in text or f'{role.name}"' in text
    assert all(p.get("name") for p in plays)


def test_every_scenario_is_run() -> None:
    listed = [
        play["ansible.builtin.import_playbook"]
        for play in yaml.safe_load((SCENARIOS / "scenarios.yaml").read_text(encoding="utf-8"))
    ]
    assert {f"{role.name}/scenario.yaml" for role in roles()} <= set(listed)
    assert sorted(listed) == sorted(str(path.relative_to(SCENARIOS)) for path in SCENARIOS.glob("*/*.yaml"))


def test_every_role_is_called() -> None:
    """By a playbook, or by another role."""
    texts = [
        p.read_text(encoding="utf-8")
        for folder in ("playbooks", "roles", "seeds")
        for p in (ROOT / folder).rglob("*.yaml")
    ]
    uncalled = [
        role.name
        for role in roles()
        if not any(re.search(rf"(- |role: |name: ){role.name}$", text, re.MULTILINE) for text in texts)
    ]
    assert uncalled == []


def test_nothing_imports_our_package() -> None:
    """Executors and nodes don't have it."""
    importing = [
        str(p.relative_to(ROOT))
        for folder in (ROOT / "roles", SEEDED)
        for p in folder.rglob("*.py")
        if re.search(r"^\s*(import|from) zuul_suse\b", p.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importing == []


def test_seeded_roles_need_builtin_modules_only() -> None:
    """A lean executor has no ansible.posix and no community.general."""
    foreign = {
        f"{role.name}: {key}"
        for role in roles()
        if role.parent == SEEDED
        for task in tasks(role)
        for key in task
        if "." in key and not key.startswith("ansible.builtin.")
    }
    assert foreign == set()
