# SPDX-License-Identifier: Apache-2.0
"""Who collects on which nodes: on a deployment's, whose logs are full of passwords, only the role that redacts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PLAYBOOKS = Path(__file__).parents[2] / "playbooks" / "crowbar"
DEPLOYMENT = ["admin", "controller", "compute1"]


def collectors(tmp_path: Path, playbook: str, hosts: list[str]) -> dict[str, int]:
    """The roles of a playbook that collect, and on how many of these hosts each does."""
    cloud = {"cloud": {"hosts": dict.fromkeys(hosts[1:])}} if hosts[1:] else {}
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": dict.fromkeys(hosts), "children": cloud}}))
    plays = yaml.safe_load((PLAYBOOKS / f"{playbook}.yaml").read_text())
    # Ansible itself says which hosts a pattern means; for that it need not find the roles.
    bare = tmp_path / "bare.yaml"
    bare.write_text(yaml.safe_dump([{"hosts": play["hosts"]} for play in plays]))
    program = Path(sys.executable).parent / "ansible-playbook"
    command = [str(program), "-i", str(inventory), "--list-hosts", str(bare)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = [int(count) for count in re.findall(r"^ +hosts \((\d+)\):", listed, re.MULTILINE)]
    assert len(plays) == len(counts)
    return {
        role: count
        for play, count in zip(plays, counts, strict=True)
        for role in play["roles"]
        if role.startswith("collect-") and count
    }


def test_a_deployments_nodes_are_collected_once_and_redacted(tmp_path: Path) -> None:
    assert collectors(tmp_path, "post", DEPLOYMENT) == {}
    assert collectors(tmp_path, "deploy-post", DEPLOYMENT) == {"collect-crowbar-logs": 3}


def defaults(role: str) -> Any:  # noqa: ANN401  YAML
    return yaml.safe_load((PLAYBOOKS.parents[1] / "roles" / role / "defaults" / "main.yaml").read_text())


def test_nothing_of_the_other_role_is_missed() -> None:
    """What denies is in the audit log and in the kernel's words."""
    ours, other = defaults("collect-crowbar-logs"), defaults("collect-opensuse-logs")
    assert set(other["collect_opensuse_logs_files"]) <= set(ours["collect_crowbar_logs_paths"])
    asked = [ours[f"collect_crowbar_logs_{kind}"] for kind in ("commands", "failure_commands")]
    names = {command["name"] for commands in asked for command in commands}
    denials = {"selinux-denials.txt", "apparmor-denials.txt"}
    assert {command["name"] for command in other["collect_opensuse_logs_commands"]} - denials <= names


def test_a_node_of_the_other_jobs_is_collected_too(tmp_path: Path) -> None:
    assert collectors(tmp_path, "post", ["controller"]) == {"collect-opensuse-logs": 1}
