# SPDX-License-Identifier: Apache-2.0

"""`make bench`: Nodepool's own openstack driver and ours in turn, on the same real cloud, in one run.

Takes the cloud that runs (`make cloud`) or starts one of its own for the run, a private ZooKeeper, and for each trial a
fresh, unmodified nodepool-launcher. Prints the table, writes JSON, and with `--docs` the page and plot of the docs.
Ends with 1 if a target is missed. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tests.cloud import cloud as clouds
from tests.nodepool_driver.conftest import Coordination, private_zookeeper
from tests.proxy.proxy import Proxy

from . import report
from .launchers import BUILT_IN, OURS, Cloudware, Launcher, built_in, ours
from .report import DEAD, FAR, NEAR, THREE
from .trial import Trial, tell

DOCS = Path(__file__).parents[2] / "docs"
SCENARIOS = (NEAR, FAR, THREE, DEAD)


@contextlib.contextmanager
def some_cloud(regions: int, own: bool) -> Iterator[clouds.Cloud]:
    """The one that runs, or one for this run only."""
    found = None if own else clouds.running()
    if found is not None and len(found.regions) >= regions:
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="zsb-") as name:
        tell(f"no cloud with {regions} regions runs: one is started (`make cloud` keeps one)")
        made = clouds.start(Path(name) / "cloud", regions)
        try:
            yield made
        finally:
            made.stop()


def write_clouds(proxy: Proxy, regions: Sequence[str], file: Path) -> None:
    """The clouds.yaml of the proxy, for a launcher."""
    known = yaml.safe_load(proxy.clouds_yaml.read_text())["clouds"]
    for region in regions:
        # Private: the SDK then takes a server's only address, a loopback one, for the one to connect to. The built-in
        # driver wants block storage, which the catalogue doesn't have.
        volumes = f"http://127.0.0.1:{proxy.ways[region].ports['volumes']}/v3"
        known[region] |= {"private": True, "block_storage_endpoint_override": volumes}
    file.write_text(yaml.safe_dump({"clouds": {region: known[region] for region in regions}}))


def listing(cloud: clouds.Cloud, regions: Sequence[str]) -> Callable[[], list[Any]]:
    links = [cloud.connect(region) for region in regions]
    return lambda: [server for link in links for server in link.compute.servers()]


def clean(servers: Callable[[], list[Any]], cloud: clouds.Cloud, regions: Sequence[str]) -> None:
    """Delete servers that an earlier trial left; those of others in the project stay."""
    for region in regions:
        link = cloud.connect(region)
        for server in filter(is_ours, link.compute.servers()):
            link.compute.delete_server(server, ignore_missing=True)
    for _ in range(120):
        if not any(map(is_ours, servers())):
            return
        time.sleep(1)


def is_ours(server: Any) -> bool:  # noqa: ANN401 - the SDK has no types
    return str((server.metadata or {}).get("nodepool_provider_name", "")).startswith("bench")


class Bench:
    """One run: knows the cloud and the ZooKeeper, and does trial after trial."""

    def __init__(self, cloud: clouds.Cloud, zookeeper: Coordination, folder: Path, options: argparse.Namespace) -> None:
        self._cloud, self._zookeeper, self._folder, self._options = cloud, zookeeper, folder, options
        self._ware = Cloudware(cloud.image, options.flavor, cloud.network)

    def trial(self, scenario: str, driver: str) -> dict[str, Any]:
        regions = self._cloud.regions[: 3 if scenario in (THREE, DEAD) else 1]
        servers = listing(self._cloud, regions)
        clean(servers, self._cloud, regions)
        folder = self._folder / f"{scenario}-{driver}"
        folder.mkdir()
        providers = (built_in if driver == BUILT_IN else ours)(regions, self._ware)
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(Proxy(self._cloud, folder))
            write_clouds(proxy, regions, folder / "launcher-clouds.yaml")
            if scenario == FAR:  # a round trip for the connection, and one for the request
                proxy.ways[regions[0]].latency = 2 * self._options.latency / 1000

            def die() -> None:
                if scenario == DEAD:
                    stack.enter_context(proxy.ways[regions[1]].silent())

            launcher = Launcher(folder, self._zookeeper, folder / "launcher-clouds.yaml")
            with launcher.run(providers):
                trial = Trial(
                    scenario, driver, self._options.count, proxy.counts, servers, launcher, self._options.patience
                )
                figures = trial.run(die)
        clean(servers, self._cloud, regions)
        return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("-n", "--count", type=int, default=100, help="nodes per trial [default: 100]")
    parser.add_argument("--latency", type=float, default=100, help="of the far region, in ms [default: 100]")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="[default: all of %(default)s]")
    parser.add_argument("--drivers", default=f"{BUILT_IN},{OURS}")
    parser.add_argument("--flavor", default="small")
    parser.add_argument("--own-cloud", action="store_true", help="start a cloud for this run even if one runs")
    parser.add_argument(
        "--patience", type=float, default=180, help="seconds without progress until a trial is given up"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    parser.add_argument("--docs", action="store_true", help="write docs/bench.json, docs/bench-table.rst and the plot")
    parser.add_argument("--report", type=Path, help="measure nothing: table, page and plot of an earlier run's JSON")
    parser.add_argument("--keep", type=Path, help="folder for the launchers' logs [default: they are removed]")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    run = json.loads(options.report.read_text()) if options.report else measure(options)
    print(report.table(run))
    if options.docs:
        report.write(run, DOCS / "bench.json", DOCS / "bench-table.rst")
        report.draw(run, DOCS / "images" / "bench.svg")
    return 1 if any(row.passed is False for row in report.rows(run)) else 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trial after trial; a run that is interrupted leaves what it found in the JSON file."""
    scenarios = [name for name in SCENARIOS if name in options.scenarios.split(",")]
    run: dict[str, Any] = {"about": about(options), "trials": {}}
    with contextlib.ExitStack() as stack:
        name = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zsb-")))
        name.mkdir(parents=True, exist_ok=True)
        zookeeper = stack.enter_context(private_zookeeper(name))
        cloud = stack.enter_context(some_cloud(3 if {THREE, DEAD} & set(scenarios) else 1, options.own_cloud))
        bench = Bench(cloud, zookeeper, name, options)
        for scenario in scenarios:
            for driver in options.drivers.split(","):
                run["trials"].setdefault(scenario, {})[driver] = bench.trial(scenario, driver)
                report.write(run, options.json, None)
    return run


def about(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "count": options.count,
        "latency-ms": options.latency,
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    sys.exit(main())
