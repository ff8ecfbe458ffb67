# SPDX-License-Identifier: Apache-2.0
"""The Python of the deployment's roles, by itself: what a whole run is too slow or too coarse for."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.roles.loading import load

from .api import STEPS, Crowbar, Site

ROLES = Path(__file__).parents[2] / "roles"
OURS = [
    "collect-crowbar-logs", "configure-crowbar-admin", "ensure-crowbar-mirrors", "ensure-crowbar-nodes",
    "run-crowbar-batch", "run-crowbar-install", "run-crowbar-tempest", "write-crowbar-checkout",
]  # fmt: skip


def module(role: str, name: str, **more: ModuleType) -> ModuleType:
    return load(ROLES / role / "library" / f"{name}.py", **more)


mirrors = module("ensure-crowbar-mirrors", "crowbar_mirrors")
installer = module("run-crowbar-install", "crowbar_installer")
nodes = module("ensure-crowbar-nodes", "crowbar_nodes")
reservation = module("ensure-crowbar-nodes", "crowbar_reservation")
scenario = module("run-crowbar-batch", "crowbar_scenario")
batch = module("run-crowbar-batch", "crowbar_batch")
tempest = module("run-crowbar-tempest", "tempest_verdict")
checkout = module(
    "write-crowbar-checkout",
    "crowbar_checkout",
    crowbar_layout=load(ROLES / "write-crowbar-checkout" / "module_utils" / "crowbar_layout.py"),
)


def test_runs_on_an_old_python() -> None:
    """SLES 12 brings none that Ansible takes; an operator's image may bring 3.6."""
    paths = [path for role in OURS for path in (ROLES / role).rglob("*.py")]
    assert len(paths) == 13
    for path in paths:
        ast.parse(path.read_text(), feature_version=(3, 6))


@pytest.fixture
def crowbar(tmp_path: Path) -> Iterator[Crowbar]:
    made = Crowbar(tmp_path, "pw")
    with Site(made) as site:
        made.url = site.url  # type: ignore[attr-defined]
        yield made


def install(crowbar: Crowbar, **more: object) -> tuple[Any, str]:
    """Run the installer's module against the API, in a hurry."""
    url = crowbar.url  # type: ignore[attr-defined]
    given = {"api": url, "log": "/nowhere", "service_timeout": 1, "start_timeout": 1, "timeout": 5, "interval": 0.01}
    found: tuple[Any, str] = installer.run(installer.Api(url, "crowbar", "pw"), {**given, **more})
    return found


def test_an_installation(crowbar: Crowbar) -> None:
    status, fault = install(crowbar)
    assert (status["steps"], fault) == (STEPS, "")
    assert install(crowbar)[1] == ""
    assert sum("start.json" in call for call in crowbar.calls) == 1


def test_one_that_runs_already_is_waited_for(crowbar: Crowbar) -> None:
    crowbar.flags["installing"] = True
    assert install(crowbar)[1] == ""


def test_the_failure_of_an_earlier_one_does_not_count(crowbar: Crowbar) -> None:
    """The new one is seen to run only some questions after it was started."""
    crowbar.flags["failed"] = True
    crowbar.late = 4
    assert install(crowbar)[1] == ""


def test_one_that_never_begins(crowbar: Crowbar) -> None:
    crowbar.start = lambda: 200  # type: ignore[method-assign, assignment, return-value]
    assert "did not start within 1 s; last step done: none, next: pre_sanity_checks" in install(crowbar)[1]


@pytest.mark.parametrize(("code", "words"), [(501, "system not supported"), (500, "HTTP 500")])
def test_one_that_is_refused(crowbar: Crowbar, code: int, words: str) -> None:
    crowbar.start = lambda: code  # type: ignore[method-assign, assignment, return-value]
    assert install(crowbar)[1] == f"the installer does not start: {words}"


def test_a_service_that_does_not_answer() -> None:
    gone = installer.Api("http://127.0.0.1:9", "crowbar", "pw")
    _, fault = installer.run(gone, {"api": "http://127.0.0.1:9", "service_timeout": 0, "interval": 0.01})
    assert fault == "nothing answers at http://127.0.0.1:9/installer/installer/status.json within 0 s"


def test_a_service_that_is_away_for_a_while(crowbar: Crowbar) -> None:
    """The installer starts Crowbar anew on the way."""
    whole, count = crowbar.status, iter(range(1000))
    crowbar.status = lambda: whole() if next(count) % 3 else ["half"]  # type: ignore[method-assign, assignment]
    assert install(crowbar)[1] == ""


def test_the_last_error_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    log.write_text("a\nError: first\nError: second\n\nlast\n")
    assert installer.last_words(str(log)) == "Error: second"
    log.write_text("a\nlast\n\n")
    assert installer.last_words(str(log)) == "last"
    assert installer.last_words("/nowhere") == ""


def watched(crowbar: Crowbar, *wanted: tuple[str, str], timeout: float = 0.5) -> str:
    api = nodes.Api(crowbar.url, "crowbar", "pw")  # type: ignore[attr-defined]
    entries = [{"name": name, "alias": alias} for name, alias in wanted]
    return str(nodes.run(nodes.Watch(api, entries), timeout, 0.01))


def node(name: str, status: str, alias: str = "") -> dict[str, Any]:
    return {"name": name, "alias": alias or name, "group": "", "status": status}


def test_nodes_become_ready(crowbar: Crowbar) -> None:
    crowbar.nodes = {"d1": node("d1", "pending"), "d2": node("d2", "building")}
    assert watched(crowbar, ("d1", "controller"), ("d2", "compute1"), timeout=5) == ""
    assert [crowbar.nodes[name]["alias"] for name in ("d1", "d2")] == ["controller", "compute1"]
    assert sum("/allocate/" in call for call in crowbar.calls) == 1 * 2  # asked, then with the digest


def test_a_node_that_never_registers(crowbar: Crowbar) -> None:
    assert watched(crowbar, ("d1", "controller")) == "not ready after 0.5 s: controller (d1): not registered"


def test_an_alias_that_is_taken(crowbar: Crowbar) -> None:
    crowbar.nodes = {"d1": node("d1", "ready"), "x": node("x", "ready", "controller")}
    fault = watched(crowbar, ("d1", "controller"))
    assert fault.endswith("all are, not all under their aliases; the API refuses: Alias already in use: controller")


def test_a_wrong_password(crowbar: Crowbar) -> None:
    crowbar.password = "other"
    assert watched(crowbar, ("d1", "controller"), timeout=20) == "the API refuses: HTTP 401"


def test_a_failure_that_passes_is_none(crowbar: Crowbar) -> None:
    """It comes again, and passes again: chef was mended by its next run."""
    crowbar.nodes = {"d1": node("d1", "failed", "c")}
    whole, count = crowbar.list_nodes, iter(range(1000))

    def mended() -> list[dict[str, Any]]:
        number = next(count)
        crowbar.stuck["c"] = "unready" if number % 5 == 4 else "failed"
        if number > 14:
            crowbar.stuck["c"] = "ready"
        return whole()

    crowbar.list_nodes = mended  # type: ignore[method-assign]
    assert watched(crowbar, ("d1", "c"), timeout=5) == ""


def test_reservations() -> None:
    before = {
        "id": "admin_network", "kept": 1,
        "allocated": {"10.0.0.1": {"machine": "n1"}, "10.0.0.9": {"machine": "n9"}},
        "allocated_by_name": {"n1": {"machine": "n1", "address": "10.0.0.1"}},
    }  # fmt: skip
    entries = [{"name": "n1", "address": "10.0.0.2"}]
    assert reservation.faults_of(before, entries) == []
    after = reservation.with_entries(before, entries)
    assert after["kept"] == 1
    assert set(after["allocated"]) == {"10.0.0.2", "10.0.0.9"}
    assert after["allocated_by_name"]["n1"]["address"] == "10.0.0.2"
    assert "10.0.0.2" not in before["allocated"]
    wrong = [{"name": "a", "address": "10.0.0.9"}, {"name": "b", "address": "x"}, {"name": "c", "address": "x"}]
    assert reservation.faults_of(before, wrong) == [
        "a: 10.0.0.9 is n9's", "b: x is no address", "c: x is no address", "x is wanted by two nodes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("{site}/mirror/good", ""),
        ("{site}/mirror/good/", ""),
        ("{site}/mirror/medium", ""),
        ("{site}/mirror/bad", "repodata/repomd.xml: HTTP 404"),
        ("http://127.0.0.1:9/x", "repodata/repomd.xml: [Errno 111] Connection refused"),
        ("dir:{here}/good", ""),
        ("file://{here}/medium", ""),
        ("{here}/bad", "repodata/repomd.xml: no such file"),
        ("gopher://x", "no address (known: http://, https://, ftp://, dir:, file:, /)"),
    ],
)
def test_mirrors(crowbar: Crowbar, tmp_path: Path, url: str, fault: str) -> None:
    (tmp_path / "good" / "repodata").mkdir(parents=True)
    (tmp_path / "medium").mkdir()
    (tmp_path / "good" / "repodata" / "repomd.xml").touch()
    (tmp_path / "medium" / "content").touch()
    site = crowbar.url  # type: ignore[attr-defined]
    assert mirrors.fault_of(url.format(site=site, here=tmp_path), False, 5) == fault


def test_what_each_release_wants() -> None:
    """By crowbar-core's own list: mandatory ones always, others by their feature."""
    path = ROLES / "ensure-crowbar-mirrors" / "vars" / "main.yaml"
    releases = yaml.safe_load(path.read_text())["ensure_crowbar_mirrors_releases"]
    assert set(releases) == {"cloud6", "cloud7", "cloud8", "cloud9"}
    counts = {
        name: [len(mirrors.wishes(r, f)) for f in ([], ["ha"], ["ha", "ceph", "pool"])] for name, r in releases.items()
    }
    assert counts == {"cloud6": [6, 8, 10], "cloud7": [6, 8, 10], "cloud8": [4, 6, 10], "cloud9": [4, 6, 10]}
    assert {r["platform"] for r in releases.values()} == {f"suse-12.{number}" for number in range(1, 5)}


def test_scenarios_of_ours_fit_their_jobs() -> None:
    topologies = {
        "single": ["controller"], "multinode": ["controller", "compute1"],
        "ha": ["controller1", "controller2", "controller3", "compute1", "compute2"],
    }  # fmt: skip
    for name, names in topologies.items():
        text = (ROLES / "run-crowbar-batch" / "files" / f"{name}.scenario").read_text()
        proposals, faults = scenario.judged(text, names, [])
        assert faults == []
        assert proposals[-1] == "tempest.default"
        for used in names:
            assert f"@@{used}@@" in text, f"{name}: {used} is idle"
            text = text.replace(f"@@{used}@@", used)
        assert [p["barclamp"] for p in yaml.safe_load(text)["proposals"]] == [p.split(".")[0] for p in proposals]


def test_a_scenario_is_filled() -> None:
    text = "- barclamp: nova\n  name: own\n  a: ##ip##/##ip##\n  b: [@@kvm@@, @@controller@@]\n"
    filled = scenario.filled(text, {"ip": 7}, {"kvm": "compute1"})
    assert "a: 7/7\n  b: [@@compute1@@, @@controller@@]" in filled
    assert scenario.judged(filled, ["controller", "compute1"], []) == (["nova.own"], [])
    assert scenario.judged(filled, [], ["nova.own"]) == ([], [])
    assert scenario.judged("x: ##y##\n" + filled, ["controller", "compute1"], ["nova"])[1] == [
        "before the proposals: no value for ##y##"
    ]


HEAD = "[12:00:00] nova barclamp, 'default' proposal:\n"


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "fault"),
    [
        (0, HEAD, "", ""),
        (0, "", "", "exit 0, but not built: nova.default"),
        (None, HEAD, "", "not done after 9 s, at proposal nova.default"),
        (1, "", "Some aliases are not known:\n- @@a@@\n- @@b@@\n",
         "exit 1 at no proposal begun: Some aliases are not known: @@a@@, @@b@@"),
        (1, HEAD + "   State now unready ...\n", "", "exit 1 at proposal nova.default: State now unready"),
        (1, HEAD, "No: 500: token = abcdefg\n", "exit 1 at proposal nova.default: No: 500: token = [redacted]"),
    ],
)  # fmt: skip
def test_batch(rc: int | None, stdout: str, stderr: str, fault: str) -> None:
    assert batch.fault_of(rc, stdout, stderr, 9, ["nova.default"]) == fault


TESTR = "FAIL: a.b\nRan 10 tests in 2.000s\nFAILED (id=0, failures=2, skips=3)\n"


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (TESTR, (10, 5, 3, 2)),
        ("Ran 4 (+4) tests in 0.1s\nPASSED (id=3)\n", (4, 4, 0, 0)),
        ("Ran: 3 tests in 1.0 sec.\n - Passed: 0\n - Skipped: 3\n - Failed: 0\n", (3, 0, 3, 0)),
        ("No runs in repository\n", (0, 0, 0, 0)),
    ],
)
def test_counts(text: str, counts: tuple[int, int, int, int]) -> None:
    found = tempest.counts_of(text)
    assert (found["ran"], found["passed"], found["skipped"], found["failed"]) == counts
    fault = tempest.fault_of(0, found, "", "", 9)
    assert bool(fault) is (counts[1] == 0 or counts[3] > 0)


def test_a_tempest_that_does_not_even_start() -> None:
    nothing = tempest.counts_of("")
    assert tempest.fault_of(1, nothing, "", "no such option", 9) == "exit 1: no such option"
    assert tempest.fault_of(124, nothing, "", "", 9) == "not done after 9 s"


def test_a_checkout_keeps_modes_and_is_laid_once(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "dell"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "tool").write_text("x")
    (source / "bin" / "tool").chmod(0o755)
    (source / "bin" / "other").symlink_to("tool")
    (source / "bin" / ".git").mkdir()
    laid, twice = checkout.plan([("crowbar/crowbar-core", str(source))])
    assert (sorted(laid), twice) == (["bin/other", "bin/tool"], [])
    for _ in range(2):
        copied = [path for path, at in laid.items() if checkout.copy(at, str(target / path))]
    assert copied == []
    assert (target / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert not (target / "bin" / "other").is_symlink()
    assert (target / "bin" / "other").read_text() == "x"
    (target / "bin" / "tool").chmod(0o644)
    assert checkout.copy(laid["bin/tool"], str(target / "bin/tool"))


def test_the_api_of_these_tests_speaks_json(crowbar: Crowbar) -> None:
    code, body = installer.Api(crowbar.url, "x", "y").call("GET", "status")  # type: ignore[attr-defined]
    assert code == 200
    assert set(json.loads(body)) == {
        "steps", "failed", "success", "installing", "network", "errorMsg", "successMsg", "noticeMsg",
    }  # fmt: skip
