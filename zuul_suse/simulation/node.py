# SPDX-License-Identifier: Apache-2.0
"""Nodes and requests as the host's stand-in keeps them; Nodepool has them in ZooKeeper."""

from __future__ import annotations

from dataclasses import dataclass, field

from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.group import Group
from zuul_suse.fleet.launch import CreateMachine

BUILDING, READY, USED, DELETING, FAILED = "building", "ready", "used", "deleting", "failed"


@dataclass(eq=False)
class Node:
    """A node from its launch to the end of its deletion."""

    key: str
    label: str
    began: float
    request: Request | None
    state: str = BUILDING
    address: str | None = None
    datacenter: str | None = None
    machine: CreateMachine | None = None
    deletion: DeleteMachine | None = None
    attempts: int = 0
    attempt_began: float = 0.0
    scanned_at: float | None = None  # when its ssh host keys are there, once its server is up
    avoid: str | None = None
    released_at: float = 0.0


@dataclass(eq=False)
class Request:
    """A user's request, or one for a spare node to be kept ready. `reused` nodes are those that weren't made for it."""

    key: str
    at: float
    labels: list[str]
    hold: float
    spare: bool = False
    nodes: list[Node] = field(default_factory=list)
    reused: list[Node] = field(default_factory=list)
    group: Group | None = None
    datacenter: str | None = None
    launched: int = 0
    done: bool = False
