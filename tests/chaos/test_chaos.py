# SPDX-License-Identifier: Apache-2.0
"""What a fleet over three OpenStack regions survives. The launcher is Nodepool's own, over a proxy that breaks things.

In every test each request is fulfilled, nothing is left in any region after two rounds of clean-up, and launches in
another region are not slowed (`Trial.end` asserts it). The faults concern the region where launches would go first.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from ..nodepool_driver.conftest import wait_for
from ..proxy.way import Fault
from .conftest import ZooKeeperProcess
from .trial import FIRST, VICTIM, Trial

pytestmark = [pytest.mark.cloud, pytest.mark.chaos]
CREATE = r"^POST .*/servers$"


def under(trial: Trial, fault: AbstractContextManager[Any], **victim: Any) -> list[Any]:  # noqa: ANN401
    """Start, measure, and launch while the fault lasts."""
    trial.configure(**victim)
    trial.launch()
    trial.baseline()
    with fault as made:
        nodes = trial.ordeal()
    if isinstance(made, Fault):
        assert made.hits, "the fault was never met"
    return nodes


def elsewhere(trial: Trial, nodes: list[Any]) -> bool:
    """Whether none of these is where the fault was."""
    return all(node.az != trial.victim for node in nodes)


def test_without_a_fault_launches_go_to_the_first_region(trial: Trial) -> None:
    trial.configure()
    trial.launch()
    trial.baseline()
    nodes = trial.ordeal()
    assert {node.az for node in nodes} == {trial.victim}
    trial.end()


def test_connection_refused_and_back_by_itself(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, trial.way.refused()))
    trial.fulfilled(trial.request(VICTIM))  # nobody touched anything: the breaker let a probe in
    trial.end()


def test_black_hole(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, trial.way.silent()))
    trial.end()


def test_30_s_latency(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, trial.way.late(30)))
    trial.end()


def test_500_for_every_call(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, trial.way.says(500)))
    trial.end()


def test_500_for_half_of_the_calls(trial: Trial) -> None:
    under(trial, trial.way.says(500, share=0.5))
    trial.end()


def test_429_with_retry_after(trial: Trial) -> None:
    """Nothing is asked of the region for as long as it says; then it is used again."""
    nodes = under(trial, trial.way.says(429, CREATE, headers={"Retry-After": "20"}, times=1))
    assert any(node.az != trial.victim for node in nodes)
    (refused,) = [call for call in trial.way.calls if call.status == 429]
    trial.fulfilled(trial.request(VICTIM))
    again = next(call for call in trial.way.calls if call.creates and call.at > refused.at + refused.seconds)
    assert again.at - refused.at >= 19
    trial.end()


def test_expired_token(trial: Trial) -> None:
    """A new one is fetched, and nobody notices."""
    nodes = under(trial, trial.way.says(401, CREATE, times=1))
    assert {node.az for node in nodes} == {trial.victim}
    trial.end()


def test_quota_exceeded(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, trial.way.over_quota()))
    trial.end()


def test_no_valid_host(trial: Trial) -> None:
    """Nova's scheduler itself says so: the flavor is bigger than the host."""
    assert elsewhere(trial, under(trial, nullcontext(), flavor_name="impossible"))
    assert any(call.creates for call in trial.way.calls)
    trial.end()


def test_server_goes_error(trial: Trial) -> None:
    assert elsewhere(trial, under(trial, nullcontext(), instance_properties={"fake-failure": "yes"}))
    assert any(call.creates for call in trial.way.calls)
    trial.end()


def test_server_vanishes(trial: Trial) -> None:
    """Somebody deletes it while it boots."""
    trial.configure(instance_properties={"fake-boot-seconds": "10"})
    trial.launch()
    trial.baseline()
    began = time.monotonic()
    requests = trial.request(FIRST, 2)
    server = wait_for("a server", lambda: next(iter(trial.places.servers(trial.victim)), None), 60)
    trial.places.projects[trial.victim].member.compute.delete_server(server)
    trial.row.calm_during = trial.calm_launch()
    trial.fulfilled(requests)
    trial.row.seconds = time.monotonic() - began
    trial.end()


def test_answer_to_create_is_lost(trial: Trial) -> None:
    """The server is made, but the launcher never hears of it: it must not stay."""
    under(trial, trial.way.lost(CREATE, times=2))
    assert [call for call in trial.way.calls if call.status == 0 and call.creates]
    trial.end()


def test_one_region_dead_from_the_start_to_the_end(trial: Trial) -> None:
    trial.configure()
    with trial.way.refused():
        trial.launch()
        trial.baseline()
        assert elsewhere(trial, trial.ordeal())
        trial.end()


def test_zookeeper_restarted_in_mid_launch(trial: Trial, coordination: ZooKeeperProcess) -> None:
    trial.configure(instance_properties={"fake-boot-seconds": "5"})
    trial.launch()
    trial.baseline()
    began = time.monotonic()
    requests = trial.request(FIRST, 2)
    wait_for("servers boot", lambda: trial.places.servers(trial.victim), 60)
    coordination.restart(seconds_down=3)
    trial.fulfilled(requests)
    trial.row.seconds = time.monotonic() - began
    trial.row.calm_during = trial.calm_launch()
    trial.end()


def test_launcher_killed_in_mid_launch(trial: Trial) -> None:
    trial.configure(instance_properties={"fake-boot-seconds": "5"})
    trial.launch()
    trial.baseline()
    began = time.monotonic()
    requests = trial.request(FIRST, 2)
    wait_for("servers boot", lambda: trial.places.servers(trial.victim) and trial.building(), 60)
    trial.kill()
    trial.launch()
    trial.fulfilled(requests)
    trial.row.seconds = time.monotonic() - began
    trial.row.calm_during = trial.calm_launch()
    trial.end()
