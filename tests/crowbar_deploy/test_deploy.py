# SPDX-License-Identifier: Apache-2.0
"""The whole deployment, from pre-run to post-run: real playbooks, roles, zypper and rpm, and mocks of Crowbar.

And what goes wrong at each step: every fault has its one line, ends the play, and its logs are collected and
redacted.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commands import SECRET
from .machines import CLOUD, RELEASE, Machines

ADMIN, CHECKOUT, INSTALL = "configure-crowbar-admin", "write-crowbar-checkout", "run-crowbar-install"
NODES, BATCH, TEMPEST = "ensure-crowbar-nodes", "run-crowbar-batch", "run-crowbar-tempest"
# What the roles before said, where a test begins in the middle.
BEFORE = {
    "ensure_crowbar_mirrors_found": {"platform": "suse-12.4", "images": [], "repositories": []},
    "write_crowbar_checkout_laid": {"folders": ["/opt/crowbar-core"]},
}


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The `msg` of each task that failed."""
    found = re.findall(r"^(?:fatal|failed): .*?=> (\{.*\})$", done.stdout, re.MULTILINE)
    return [str(json.loads(text).get("msg", "")) for text in found]


def fails(machines: Machines, role: str, *parts: str) -> None:
    """One line says what is wrong; afterwards the logs are there, and no secret in them."""
    log = machines.folder / "admin/var/log/crowbar/production.log"
    log.write_text(f"starting with password: {SECRET}\n")
    done = machines.play("deploy", role=role)
    assert done.returncode != 0, done.stdout
    said = messages(done)
    assert len(said) >= 1, done.stdout
    assert all(part in said[0] for part in parts), said
    assert "\n" not in said[0]
    assert SECRET not in done.stdout
    collected(machines)


def collected(machines: Machines) -> None:
    done = machines.play("deploy-post", role="collect-crowbar-logs", hosts="admin", success=False)
    assert done.returncode == 0, done.stdout + done.stderr
    logs = machines.folder / "logs"
    assert (logs / "admin/var/log/crowbar/production.log").read_text() == "starting with password: [redacted]\n"
    texts = {path: path.read_text() for path in logs.rglob("*") if path.is_file()}
    assert len(texts) > 3
    assert [str(path) for path, text in texts.items() if SECRET in text] == []


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Machines]:
    """A deployment that went well; what it left is where the later faults begin."""
    made = Machines(tmp_path_factory.mktemp("deployed"), mirror)
    with made.site:
        for name in ("deploy-pre", "deploy"):
            done = made.play(name)
            assert done.returncode == 0, done.stdout + done.stderr
        yield made


@pytest.fixture
def after(machines: Machines, deployed: Machines) -> Machines:
    """Nodes on which all went well so far."""
    machines.copy_of(deployed)
    machines.variables |= BEFORE
    return machines


def test_from_first_task_to_last(deployed: Machines) -> None:
    calls = [call.split()[0] + " " + " ".join(call.split()[1:3]) for call in deployed.calls()]
    wanted = [
        "hostname crowbar", "mount -o loop,ro", "systemctl start crowbar-init", "crowbarctl database create",
        "barclamp_install.rb", "crowbarctl repository activate-all", "knife data bag", "crowbar batch", "tempest run",
    ]  # fmt: skip
    at = [next(number for number, call in enumerate(calls) if call.startswith(word)) for word in wanted]
    assert at == sorted(at), calls


def test_the_admin_node_is_what_the_installer_wants(deployed: Machines) -> None:
    admin = deployed.folder / "admin"
    assert (admin / "etc/HOSTNAME").read_text() == "crowbar.cloud.test\n"
    assert "192.168.124.10 crowbar.cloud.test crowbar" in (admin / "etc/hosts").read_text()
    assert (admin / "srv/tftpboot/suse-12.4/x86_64/repos/Cloud/repodata/repomd.xml").exists()
    assert (admin / "srv/tftpboot/suse-12.4/x86_64/install/repodata/repomd.xml").exists()
    repositories = json.loads((admin / "etc/crowbar/repos.yml").read_text())["suse-12.4"]["x86_64"]
    assert set(repositories) == {"sles12-sp4-pool", "sles12-sp4-updates"}
    network = json.loads((admin / "etc/crowbar/network.json").read_text())["attributes"]["network"]
    assert network["networks"]["bmc"] == {"vlan": 7, "ranges": {}}


def test_the_change_is_in_it(deployed: Machines) -> None:
    """The package's file is the change's now, a new barclamp came, and what no package lays stayed away."""
    dell = deployed.folder / "admin/opt/dell"
    assert (dell / "crowbar_framework/config/branding.yml").read_text() == "of: the change\n"
    assert (dell / "crowbar_framework/barclamps/brandnew.yml").exists()
    assert not (dell / "crowbar_framework/barclamps/.travis.yml").exists()
    assert not (dell / "spec").exists()
    assert (dell / "bin/json-edit").stat().st_mode & 0o111
    (installed,) = [call for call in deployed.calls() if call.startswith("barclamp_install.rb")]
    assert installed.split()[1:] == [
        str(deployed.folder / "home/src/crowbar" / name) for name in ("crowbar-core", "crowbar-openstack")
    ]


def test_nodes_keep_their_addresses_and_have_their_names(deployed: Machines) -> None:
    bag = json.loads((deployed.folder / "databags/admin_network.json").read_text())
    for host, (mac, address) in CLOUD.items():
        name = f"d{mac.replace(':', '-')}.cloud.test"
        assert bag["allocated_by_name"][name] == bag["allocated"][address]
        assert bag["allocated"][address] == {"machine": name, "interface": "intf0", "address": address}
        assert (deployed.crowbar.nodes[name]["alias"], deployed.crowbar.nodes[name]["status"]) == (host, "ready")
        left = {path.name for path in (deployed.folder / host / "etc").rglob("*") if path.is_file()}
        assert left == {"ifcfg-eth0"}
    calls = deployed.crowbar.calls
    assert any("/allocate/" in call for call in calls)


def test_a_second_run_changes_little_and_passes(after: Machines) -> None:
    for role in (ADMIN, INSTALL):
        done = after.play("deploy", role=role)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not any("start.json" in call for call in after.crowbar.calls), "installed twice"


def test_a_mirror_that_is_missing_ends_it_in_pre_run(machines: Machines) -> None:
    urls = machines.given()["crowbar_urls"][RELEASE]
    del urls["sles12-sp4-updates"]
    gone = urls["cloud"] = urls["cloud"].replace("cloud.iso", "gone.iso")
    machines.variables["crowbar_urls"] = {RELEASE: {**urls, "sles12-sp4-update": "http://x"}}
    done = machines.play("deploy-pre")
    assert done.returncode != 0
    (said,) = messages(done)
    assert said.split("; ") == [
        f"crowbar_urls.cloud9.cloud ({gone}) can't be read: HTTP 404",
        "crowbar_urls.cloud9.sles12-sp4-updates is not set",
        "crowbar_urls.cloud9.sles12-sp4-update is set and nothing knows it",
        "wanted by release cloud9",
    ]
    assert machines.calls() == []
    (machines.folder / "admin/var/log/crowbar/production.log").write_text(f"starting with password: {SECRET}\n")
    collected(machines)


def test_a_release_that_nobody_knows(machines: Machines) -> None:
    machines.variables["crowbar_release"] = "cloud4-stoney"
    assert messages(machines.play("deploy-pre")) == [
        "crowbar_release: cloud4-stoney (known: cloud6, cloud7, cloud8, cloud9)"
    ]


def test_an_image_that_can_not_be_mounted(machines: Machines) -> None:
    machines.faults(mount="yes")
    image = {"id": "sles-media", "folder": "install", "url": f"{machines.site.url}/mirror/sles.iso"}
    machines.variables |= {
        "ensure_crowbar_mirrors_found": {"platform": "suse-12.4", "images": [image], "repositories": []}
    }
    fails(machines, ADMIN, "image sles-media (http://", "can't be mounted: mount: ", "failed to setup loop device")


def test_a_mirrors_password_is_written_down_nowhere(machines: Machines) -> None:
    """Not in what a task ends with, in its parameters or its items, and in no file that others can read."""
    urls = {
        name: url.replace("://", "://joe:hunter2@") + "?t0ken-of-ours"
        for name, url in machines.given()["crowbar_urls"][RELEASE].items()
    }
    machines.variables["crowbar_urls"] = {RELEASE: urls}
    images = [
        {"id": name, "folder": folder, "url": urls[name]}
        for name, folder in (("sles-media", "install"), ("cloud", "repos/Cloud"))
    ]
    names = ["sles12-sp4-pool", "sles12-sp4-updates"]
    found = {"platform": "suse-12.4", "images": images}
    found["repositories"] = [{"id": name, "name": name, "url": urls[name]} for name in names]
    for name, role in (("deploy-pre", ""), ("deploy", ADMIN)):
        machines.variables |= {"ensure_crowbar_mirrors_found": found} if role else {}
        done = machines.play(name, role=role, ANSIBLE_VERBOSITY="3")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "invocation" in done.stdout
        assert not [word for word in ("joe", "hunter2", "t0ken") if word in done.stdout + done.stderr]
    files = [path for path in (machines.folder / "admin/etc").rglob("*") if path.is_file()]
    holding = {path.name: path.stat().st_mode & 0o777 for path in files if b"hunter2" in path.read_bytes()}
    assert holding == {"repos.yml": 0o600} | {f"{name}.repo": 0o600 for name in names}


def test_an_image_that_can_not_be_fetched_is_named_without_its_password(machines: Machines) -> None:
    url = machines.site.url.replace("://", "://joe:hunter2@") + "/mirror/gone.iso?t0ken-of-ours"
    image = {"id": "sles-media", "folder": "install", "url": url}
    machines.variables["ensure_crowbar_mirrors_found"] = {
        "platform": "suse-12.4", "images": [image], "repositories": []
    }  # fmt: skip
    done = machines.play("deploy", role=ADMIN)
    assert "image sles-media (http://***@127.0.0.1:" in messages(done)[-1]
    assert "can't be fetched: " in messages(done)[-1]
    assert "404" in messages(done)[-1]
    assert not [word for word in ("joe", "hunter2", "t0ken") if word in done.stdout + done.stderr]


def test_zypper_fails(after: Machines) -> None:
    after.variables["configure_crowbar_admin_packages"] = ["patterns-cloud-admin", "no-such-package"]
    fails(after, ADMIN, "zypper can't install patterns-cloud-admin, no-such-package: exit 104: ", "no-such-package")


def test_networks_that_the_validator_refuses(after: Machines) -> None:
    (after.folder / "admin/etc/crowbar/network.json").unlink()
    after.variables["crowbar_network"] = {"teaming": {"mode": 9}}
    fails(after, ADMIN, "network-json-validator refuses it: Invalid teaming mode '9': must be a value")
    assert not list((after.folder / "admin/etc/crowbar").glob("network.json*"))


def test_an_admin_address_outside_its_range(after: Machines) -> None:
    after.variables["crowbar_admin_address"] = "192.168.124.99"
    fails(after, ADMIN, "IP 192.168.124.99 of Administration Server is not in admin range")


def test_a_component_that_zuul_did_not_check_out(after: Machines) -> None:
    after.variables["crowbar_components"] = [{"project": "crowbar/crowbar-ha", "component": "ha"}]
    fails(after, CHECKOUT, "not among the build's projects: crowbar/crowbar-ha (has crowbar/crowbar, ")


@pytest.fixture
def fresh(after: Machines) -> Machines:
    """All is laid, and the installer did not run."""
    after.crowbar.nodes, after.crowbar.steps = {}, []
    after.crowbar.flags.update(success=False)
    return after


def test_no_database(fresh: Machines) -> None:
    fresh.faults(database="yes")
    fails(fresh, INSTALL, "crowbarctl database create: exit 1: Could not connect to database")


@pytest.mark.parametrize("step", ["pre_sanity_checks", "barclamp_install", "post_sanity_checks"])
def test_the_installer_fails_at_a_step(fresh: Machines, step: str) -> None:
    fresh.crowbar.fail_at = step
    (fresh.folder / "admin/var/log/crowbar/install.log").write_text(
        "work\nError: it broke here\n\nCrowbar terminated.\n"
    )
    fails(fresh, INSTALL, "the installer failed; last step done: ", f", next: {step}; Error: it broke here")


def test_the_installer_hangs(fresh: Machines) -> None:
    fresh.crowbar.hang_at = "transition_crowbar"
    fresh.variables["run_crowbar_install_timeout"] = 1
    fails(fresh, INSTALL, "not done after 1 s; last step done: apply_crowbar_config, next: transition_crowbar")


def test_the_installer_refuses(fresh: Machines) -> None:
    fresh.crowbar.network = {"valid": False, "msg": "Missing definition of network 'bmc'"}
    fails(fresh, INSTALL, "does not start: network.json is invalid: Missing definition of network 'bmc'")


def test_barclamps_can_not_be_installed(fresh: Machines) -> None:
    fresh.faults(barclamps="yes")
    fails(fresh, INSTALL, "barclamp_install.rb: exit 1: No valid crowbar components found.")


@pytest.mark.parametrize(
    ("stuck", "account"),
    [
        ("unready", "not ready after 1 s: compute1 (d52-54-00-00-00-02.cloud.test): unready"),
        ("failed", "failed: compute1 ("),
    ],
)
def test_a_node_is_never_ready(after: Machines, stuck: str, account: str) -> None:
    after.crowbar.stuck["compute1"] = stuck
    after.variables["ensure_crowbar_nodes_timeout"] = 1
    fails(after, NODES, "crowbar_nodes: ", account)


def test_a_node_can_not_register(after: Machines) -> None:
    after.faults(register="yes")
    fails(after, NODES, "compute1: crowbar_register: exit 1: chef-client is not available.")


def test_an_address_is_another_machines(after: Machines) -> None:
    bag = {"id": "admin_network", "allocated": {CLOUD["compute1"][1]: {"machine": "other"}}, "allocated_by_name": {}}
    path = after.folder / "databags/admin_network.json"
    path.write_text(json.dumps(bag))
    fails(after, NODES, "d52-54-00-00-00-02.cloud.test: 192.168.124.82 is other's")
    assert json.loads(path.read_text()) == bag


def test_knife_does_not_answer(after: Machines) -> None:
    after.faults(knife="yes")
    fails(after, NODES, "knife data bag show crowbar admin_network: exit 100: ERROR: Connection refused")


def test_batch_fails(after: Machines) -> None:
    after.faults(batch="nova")
    fails(
        after, BATCH, "crowbar batch: exit 1 at proposal nova.default: Failed to apply nova proposal 'default': ",
        "Failed to apply the proposal to: controller (Chef) password=[redacted]",
    )  # fmt: skip
    log = (after.folder / "logs/admin/var/log/crowbar/batch-build.log.err").read_text()
    assert "[redacted]" in log


def test_batch_hangs(after: Machines) -> None:
    after.faults(**{"batch-hangs": "neutron"})
    after.variables["run_crowbar_batch_total_timeout"] = 2
    fails(after, BATCH, "crowbar batch: not done after 2 s, at proposal neutron.default")


def test_batch_builds_less_than_it_should(after: Machines) -> None:
    after.faults(**{"batch-skips": "heat"})
    fails(after, BATCH, "crowbar batch: exit 0, but not built: heat.default")


def test_a_scenario_with_holes(after: Machines) -> None:
    scenario = after.folder / "home/src/crowbar/crowbar/scenario.yml"
    scenario.write_text(
        "proposals:\n- barclamp: nova\n  attributes:\n    a: ##never_given##\n  deployment: [@@gone@@]\n"
        "- barclamp: manila\n  attributes:\n    b: ##excluded##\n"
    )
    after.variables |= {
        "crowbar_scenario_project": "crowbar/crowbar", "crowbar_scenario": "scenario.yml",
        "crowbar_scenario_exclude": ["manila"],
    }  # fmt: skip
    fails(
        after, BATCH, "crowbar_scenario: scenario.yml: proposal nova: no value for ##never_given##; "
        "proposal nova: no node @@gone@@ (has controller, compute1)",
    )  # fmt: skip
    assert not any(call.startswith("crowbar batch") for call in after.calls())


@pytest.mark.parametrize(
    ("tempest", "words"),
    [
        ("0 0", "tempest: no test was run: ran 0: 0 passed, 0 skipped, 0 failed"),
        ("12 2", "tempest: ran 12: 9 passed, 1 skipped, 2 failed: tempest.api.compute.T.test_0, tempest.api."),
    ],
)
def test_tempest(after: Machines, tempest: str, words: str) -> None:
    for path in (after.folder / "controller/var/lib/openstack-tempest-test").glob(".stestr/*"):
        path.unlink()
    after.faults(tempest=tempest)
    fails(after, TEMPEST, words)


def test_a_run_of_another_time_does_not_count(after: Machines) -> None:
    """The workspace remembers twelve tests; this time none was run."""
    after.faults(tempest="0 0")
    fails(after, TEMPEST, "tempest: no test was run")


def test_a_success_is_collected_too(after: Machines) -> None:
    done = after.play("deploy-post")
    assert done.returncode == 0, done.stdout + done.stderr
    logs = after.folder / "logs" / "admin"
    assert json.loads((logs / "databags/admin_network.json").read_text())["bmc_password"] == "[redacted]"
    assert json.loads((logs / "etc/crowbar/network.json").read_text())["attributes"]["network"]["networks"]
    assert (
        json.loads((logs / "proposals/nova.json").read_text())["attributes"]["nova"]["service_password"] == "[redacted]"
    )
    assert not list(logs.rglob("etc.txt")), "supportconfig is for failures"
