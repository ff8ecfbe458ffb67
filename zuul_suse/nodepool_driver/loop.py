# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Nodepool's loops over create and delete state machines, with an eye for those that have something to do.

Nodepool turns every machine once a second. Here a machine is turned when an answer or a list came that it waits for,
when its host keys are there, or when a second has passed and time may have run out; the others cost a look. One loop in
each of the provider's two threads, until the provider ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

TICK = 0.1  # seconds between looks: nobody tells when host keys are there
IDLE = 1.0  # while there is no machine


def launcher_stirs(launcher: Any) -> bool:
    """Whether there is something to do for a node that is being made."""
    if launcher.delete_state_machine is not None:
        return bool(launcher.delete_state_machine.stirs())
    if launcher.state_machine is None:
        return launcher.start_future is not None and bool(launcher.start_future.done())
    if launcher.nodescan_request is not None:
        return bool(launcher.nodescan_request.complete)
    return bool(launcher.state_machine.stirs())


def deleter_stirs(deleter: Any) -> bool:
    """Whether there is something to do for a node that is being deleted."""
    return deleter.complete or bool(deleter.state_machine.stirs())


def is_deserted(launcher: Any) -> bool:
    """Whether it waits for room while its pool has ended. Nodepool would not stop before that ends, which can take
    hours; left alone the node is found BUILDING by the next launcher, and its request is handled anew."""
    machine = launcher.state_machine
    return bool(machine is not None and machine.machine.waits and not launcher.handler.pw.running)


def turn(
    provider: Any,
    machines: list[Any],
    stirs: Callable[[Any], bool],
    news: threading.Event,
    given_up: Callable[[Any], bool] = lambda machine: False,
) -> None:
    """The loop. `machines` is Nodepool's list, to which its other threads add."""
    while provider.running:
        news.clear()
        for machine in list(machines):
            try:
                if stirs(machine):
                    machine.runStateMachine()
                if machine.complete or given_up(machine):
                    machines.remove(machine)
            except Exception:
                provider.log.exception("Error running the state machine of node %s:", machine.node.id)
        news.wait(TICK if machines else IDLE)
