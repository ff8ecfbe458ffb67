# SPDX-License-Identifier: Apache-2.0
"""`make conformance`: Nodepool's own tests, as its wheel ships them, against our driver.

Starts a private ZooKeeper with TLS and runs pytest in the installed Nodepool's folder with our `plugin`; each test has
a chroot of its own, so several run at a time. Prints the totals and the exceptions; ends with 1 if a test failed that
is not in exceptions.yaml, or passed that is. Some of Nodepool's tests look for a thread's work without waiting for it,
which a busy machine fails: a few that failed are run once more, alone, and are named.

What is ours and what is upstream's in each group:

- test_launcher, test_driver_metastatic, test_drivers, test_builder: see `driver`; every provider named `fake-*` is
  ours, and so is the backing provider of metastatic; launcher, builder, metastatic and test driver are upstream's.
- test_nodescan: Nodepool's key scan alone; the tests with a launcher run it on nodes of ours.
- test_config_comparisons, test_sdk_integration: upstream's configuration and openstack driver; they show only that
  ours beside them changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import nodepool
from tests.nodepool_driver.conftest import Coordination, private_zookeeper

MODULES = (
    "test_launcher",
    "test_driver_metastatic",
    "test_builder",
    "test_nodescan",
    "test_drivers",
    "test_sdk_integration",
    "test_config_comparisons",
)
AGAIN = 3  # more failures than these are no matter of load
HERE = Path(__file__).parent
UPSTREAM = Path(nodepool.__file__).parent


def environment(zookeeper: Coordination) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "NODEPOOL_ZK_HOST": f"127.0.0.1:{zookeeper.port}",
        "NODEPOOL_ZK_CA": str(zookeeper.ca),
        "NODEPOOL_ZK_CERT": str(zookeeper.cert),
        "NODEPOOL_ZK_KEY": str(zookeeper.key),
    }


def run(zookeeper: Coordination, results: Path, tests: list[str], *more: str) -> int:
    command = [
        sys.executable, "-m", "pytest", "-p", "plugin", "-v", "-rxXf", "--tb=short", "--show-capture=no",
        "-p", "no:cacheprovider", "-c", str(HERE / "pytest.ini"), "--rootdir", str(UPSTREAM.parent),
        "--junitxml", str(results), *more, *tests,
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=UPSTREAM.parent, env=environment(zookeeper), start_new_session=True)
    try:
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run_all(zookeeper: Coordination, folder: Path, options: argparse.Namespace) -> int:
    """Run what was asked for; a few that failed once more, one by one."""
    tests = options.tests or [f"nodepool/tests/unit/{module}.py" for module in MODULES]
    more = ["--show-capture=all"] if options.keep_logs else []
    whole = [] if options.tests else ["--whole-run"]
    results = folder / "results.xml"
    code = run(zookeeper, results, tests, "-n", str(options.processes), "--dist", "worksteal", *more, *whole)
    print(totals(results))
    again = failed(results) if results.exists() else []
    if code != 1 or not 0 < len(again) <= AGAIN:
        return code
    code = run(zookeeper, folder / "again.xml", again, *more)
    print(f"Conformance: run again, alone: {', '.join(again)}: {'still failing' if code else 'passed'}")
    return code


def failed(results: Path) -> list[str]:
    """What failed against exceptions.yaml, as pytest names it."""
    cases = ET.parse(results).getroot().iter("testcase")  # noqa: S314 - our own file
    wrong = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    parts = [(*str(case.get("classname")).rpartition(".")[::2], case.get("name")) for case in wrong]
    return [f"{module.replace('.', '/')}.py::{group}::{name}" for module, group, name in parts]


def totals(results: Path) -> str:
    suite = ET.parse(results).getroot().find("testsuite")  # noqa: S314 - our own file
    if suite is None:
        return "no results"
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    ran, exceptions = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    return (
        f"Conformance: {ran} of Nodepool's tests ran, {ran - failed - exceptions} passed, "
        f"{exceptions} failed as exceptions.yaml says, {failed} failed against it; {float(suite.get('time', 0)):.0f} s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", help="paths below site-packages, with ::names [default: all]")
    parser.add_argument("--processes", type=int, default=3, help="tests at a time; they mostly wait [default: 3]")
    parser.add_argument("--keep-logs", action="store_true", help="show the log of failed tests")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        with private_zookeeper(folder) as zookeeper:
            return run_all(zookeeper, folder, options)


if __name__ == "__main__":
    sys.exit(main())
