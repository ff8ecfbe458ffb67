# SPDX-License-Identifier: Apache-2.0
"""The playbooks and the roles' scenarios, run by Ansible here, without a node.

Every playbook is checked for syntax. Scenarios that touch nothing but the folder they are given are run; the others
change the system they run on and are left to the job zuul-suse-selftest-roles, on a node. Skipped where Ansible or
Zuul's modules for it are not installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = ROOT / "seeds" / "config-project"
HARMLESS = [
    "collect-crowbar-logs",
    "collect-opensuse-logs",
    "configure-crowbar-admin",
    "configure-devstack-opensuse",
    "ensure-boot-script",
    "ensure-crowbar-mirrors",
    "ensure-crowbar-nodes",
    "ensure-packages",
    "ensure-workspace",
    "ensure-zypper-repos",
    "fetch-node-output",
    "run-crowbar-batch",
    "run-crowbar-bundle",
    "run-crowbar-install",
    "run-crowbar-tempest",
    "run-crowbar-unit",
    "upload-build-logs",
    "write-crowbar-checkout",
    "write-crowbar-manifest",
    "write-crowbar-tree",
    "write-devstack-summary",
    "write-failure-summary",
    "write-file-comments",
]

if any(importlib.util.find_spec(name) is None for name in ("ansible", "zuul")):
    pytest.skip("Ansible and Zuul are not installed here", allow_module_level=True)


def environment(folder: Path) -> dict[str, str]:
    """Ansible with the two things of Zuul's that we call, its files in a folder of the test's."""
    zuul = importlib.util.find_spec("zuul")
    assert zuul
    assert zuul.submodule_search_locations
    shipped = Path(zuul.submodule_search_locations[0]) / "ansible" / "base"
    plugins = folder / "plugins"
    for kind, name in (("action", "zuul_return.py"), ("library", "zuul_console.py")):
        (plugins / kind).mkdir(parents=True)
        (plugins / kind / name).symlink_to(shipped / kind / name)
    return {
        **os.environ,
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible" / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "ansible" / "remote"),
        "ANSIBLE_ACTION_PLUGINS": str(plugins / "action"),
        "ANSIBLE_LIBRARY": str(plugins / "library"),
        "ANSIBLE_NOCOLOR": "1",
        "ZUUL_JOBDIR": str(folder),
    }


def ansible(folder: Path, roles: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook of this interpreter's environment."""
    program = Path(sys.executable).parent / "ansible-playbook"
    settings = environment(folder) | {"ANSIBLE_ROLES_PATH": str(roles)}
    return subprocess.run(
        [str(program), *arguments], env=settings, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("roles", "pattern"),
    [
        (ROOT / "roles", "playbooks/**/*.yaml"),
        (ROOT / "roles", "tests/roles/scenarios.yaml"),
        (SEED / "roles", "seeds/config-project/playbooks/**/*.yaml"),
    ],
    ids=["ours", "scenarios", "seeded"],
)
def test_syntax(tmp_path: Path, roles: Path, pattern: str) -> None:
    playbooks = [str(p) for p in sorted(ROOT.glob(pattern))]
    assert playbooks
    done = ansible(tmp_path, roles, "--syntax-check", "-i", "localhost,", *playbooks)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", HARMLESS)
def test_scenario(tmp_path: Path, role: str) -> None:
    """One node, called controller, that is this machine with another home."""
    for name in ("home", "work/logs", "work/src"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "work" / "src" / "zuul-suse").symlink_to(ROOT)
    work = tmp_path / "work"
    zuul = {
        "job": "zuul-suse-selftest-roles", "build": "0123456789abcdef", "pipeline": "check", "branch": "main",
        "change": "7", "patchset": "2",
        "project": {"name": "zuul-suse", "short_name": "zuul-suse", "src_dir": "src/zuul-suse"},
        "executor": {"work_root": str(work), "log_root": str(work / "logs"), "src_root": str(work / "src")},
    }  # fmt: skip
    node = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"controller": node}, "vars": {"zuul": zuul}}}))
    more = json.dumps({"ansible_user_dir": str(tmp_path / "home")})
    playbook = ROOT / "tests" / "roles" / role / "scenario.yaml"
    done = ansible(tmp_path, ROOT / "roles", "-i", str(inventory), "-e", more, str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed=0" in done.stdout


def test_an_inventory_is_kept_without_the_secrets_of_addresses(tmp_path: Path) -> None:
    """A job's variables are in it. The role itself starts a console and is left to a node."""
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        "urls: [https://joe:hunter2@mirror.example.org/leap?t0ken, 'http://plain.example.org/x']\n"
        'more: "dir:/srv", "ftp://joe@host/a#t0ken"\n'
    )
    playbook = tmp_path / "play.yaml"
    kept = {"content": "{{ ensure_known_node_inventory }}", "dest": str(tmp_path / "kept"), "mode": "0644"}
    play = {
        "hosts": "localhost", "gather_facts": False, "tasks": [{"name": "Keep it", "ansible.builtin.copy": kept}],
        "vars_files": [str(SEED / "roles/ensure-known-node/vars/main.yaml")],
        "vars": {"zuul": {"executor": {"inventory_file": str(inventory)}}},
    }  # fmt: skip
    playbook.write_text(json.dumps([play]))
    done = ansible(tmp_path, SEED / "roles", "-e", f"ansible_python_interpreter={sys.executable}", str(playbook))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "kept").read_text() == (
        "urls: [https://***@mirror.example.org/leap?*** 'http://plain.example.org/x']\n"
        'more: "dir:/srv", "ftp://***@host/a?***"\n'
    )
