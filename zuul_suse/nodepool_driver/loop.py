# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Nodepool's loops over create and delete state machines, with an eye for those that have something to do.

Nodepool turns every machine once a second. Here a machine is turned when an answer or a list came that it waits for,
when its host keys are there, or when a second has passed and time may have run out; the others cost a look. One loop in
each of the provider's two threads, until the provider ends. Nodes of one request become ready together: until then a
failure of one moves them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from nodepool.zk import zookeeper

from zuul_suse.fleet import Fleet

TICK = 0.1  # seconds between looks: nobody tells when host keys are there
IDLE = 1.0  # while there is no machine


def launcher_stirs(launcher: Any) -> bool:
    """Whether there is something to do for a node that is being made."""
    if launcher.delete_state_machine is not None:
        return bool(launcher.delete_state_machine.stirs())
    if launcher.state_machine is None:
        return launcher.start_future is not None and bool(launcher.start_future.done())
    scan = launcher.nodescan_request
    if scan is None:
        return bool(launcher.state_machine.stirs())
    if not scan.complete or scan.exception is not None:
        return bool(scan.complete)
    return bool(launcher.state_machine.machine.is_settled()) or not launcher.handler.pw.running


def follow_request(launcher: Any) -> None:
    """A node whose request has moved to another datacenter is made there, within the same attempt."""
    machine = launcher.state_machine
    if machine is not None and machine.complete and machine.machine.has_moved:
        launcher.manager.nodescan_worker.removeRequest(launcher.nodescan_request)
        launcher.nodescan_request = None
        machine.reopen()


def turn_launcher(launcher: Any, fleet: Fleet) -> bool:
    """Turn one launch, if there is something to do. Returns whether it has ended."""
    follow_request(launcher)
    if launcher_stirs(launcher):
        launcher.runStateMachine()
    given_up = is_deserted(launcher)
    if launcher.node.state == zookeeper.READY:
        fleet.release(launcher.node.id)
    elif launcher.complete or given_up:
        fleet.end(launcher.node.id)
    return bool(launcher.complete) or given_up


def turn_deleter(deleter: Any) -> bool:
    """Turn one deletion, if there is something to do. Returns whether it has ended."""
    if deleter_stirs(deleter):
        deleter.runStateMachine()
    return bool(deleter.complete)


def deleter_stirs(deleter: Any) -> bool:
    """Whether there is something to do for a node that is being deleted."""
    return deleter.complete or bool(deleter.state_machine.stirs())


def is_deserted(launcher: Any) -> bool:
    """Whether it waits for room while its pool has ended. Nodepool would not stop before that ends, which can take
    hours; left alone the node is found BUILDING by the next launcher, and its request is handled anew."""
    machine = launcher.state_machine
    return bool(machine is not None and machine.machine.waits and not launcher.handler.pw.running)


def run_loop(provider: Any, machines: list[Any], turn: Callable[[Any], bool], news: threading.Event) -> None:
    """The loop. `machines` is Nodepool's list, to which its other threads add; `turn` says whether one has ended."""
    while provider.running:
        news.clear()
        for machine in list(machines):
            try:
                if turn(machine):
                    machines.remove(machine)
            except Exception:
                provider.log.exception("Error running the state machine of node %s:", machine.node.id)
        news.wait(TICK if machines else IDLE)
