# SPDX-License-Identifier: Apache-2.0
"""The overlay's own logic, on a devstack tree of our making: what it takes over, when, and when it stops."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import overlay
from .machine import Machine
from .releases import DEBIAN, RELEASES, Release
from .stub import make_tree

LEAP = RELEASES[0]
# zypper is not asked unless a test says so.
VARIABLES = {"WANTED": "", "ENABLED_SERVICES": "", "VIRT_DRIVER": "fake", "OFFLINE": "True"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "devstack")


def stack(machine: Machine, tree: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the tree's stack.sh, and in it a function."""
    return machine.run("bash", tree / "stack.sh", *(command or ("true",)), **VARIABLES | variables)


def said(machine: Machine, tree: Path, *command: str, **variables: str) -> str:
    done = stack(machine, tree, *command, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_release_is_recognised(machine: Machine, release: Release, tree: Path) -> None:
    names = ("os_VENDOR", "os_RELEASE", "os_PACKAGE", "DISTRO", "PYTHON3_VERSION", "FORCE", "MYSQL_SERVICE_NAME",
             "APACHE_NAME", "APACHE_CONF_DIR", "APACHE_SETTINGS_DIR")  # fmt: skip
    values = said(machine, tree, "declare", "-p", *names)
    found = {
        name: line.split("=", 1)[1].strip('"') for name in names for line in values.splitlines() if f" {name}=" in line
    }
    assert found == {
        "os_VENDOR": "openSUSE",
        "os_RELEASE": release.distro.removeprefix("opensuse-"),
        "os_PACKAGE": "rpm",
        "DISTRO": release.distro,
        "PYTHON3_VERSION": release.python,
        "FORCE": "yes",
        "MYSQL_SERVICE_NAME": "mariadb",
        "APACHE_NAME": "apache2",
        "APACHE_CONF_DIR": "/etc/apache2/vhosts.d",
        "APACHE_SETTINGS_DIR": "/etc/apache2/conf.d",
    }


def test_another_system_is_left_alone(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "debian", DEBIAN)
    found = said(machine, tree, "eval", "install_libvirt; echo $DISTRO; declare -F is_suse || echo no is_suse")
    assert "install_libvirt: not supported" in found
    assert found.splitlines()[-2:] == ["upstream", "no is_suse"]
    assert "PYTHON3_VERSION" not in said(machine, tree, "declare", "-p")


@pytest.mark.parametrize("function", overlay.functions(), ids=lambda function: function.name)
def test_upstream_without_a_function_is_refused_before_anything_is_done(
    tmp_path: Path, function: overlay.Function
) -> None:
    """`die` itself can't tell of its own end; bash does."""
    machine = Machine(tmp_path / "machine", LEAP)
    tree = make_tree(tmp_path / "devstack", without=function.name)
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "upstream"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    done = stack(machine, tree)
    assert done.returncode != 0
    assert function.name in done.stderr
    if function.name != "die":
        assert f"not in devstack {commit} any more: {function.name} ({function.file})" in done.stderr
    assert "run_phase: upstream" not in done.stdout
    assert machine.calls() == []


@pytest.mark.parametrize("function", [f for f in overlay.functions() if "as-fedora" in f.how], ids=lambda f: f.name)
def test_is_fedora_is_true_in_the_named_functions(tmp_path: Path, function: overlay.Function) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    tree = make_tree(tmp_path / "devstack")
    assert f"{function.name}: as on Fedora" in said(machine, tree, function.name)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "is_fedora",
        "function init_lvm_volume_group { is_fedora; }; init_lvm_volume_group",
        # The answer is for the one who asks, not for all that a named function calls.
        "function inner { is_fedora; }; function configure_libvirt { inner; }; configure_libvirt",
    ],
)
def test_is_fedora_is_false_elsewhere(tmp_path: Path, tree: Path, elsewhere: str) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    assert said(machine, tree, "eval", f"{elsewhere} || echo no").splitlines()[-1] == "no"


def test_is_suse_for_plugins(machine: Machine, tree: Path) -> None:
    assert said(machine, tree, "eval", "is_suse && echo yes").splitlines()[-1] == "yes"


def test_libraries_are_seen_to_when_they_are_all_there(tmp_path: Path, tree: Path) -> None:
    """After upstream's own work in the phase, in which plugins may enable more services."""
    machine = Machine(tmp_path / "machine", LEAP)
    found = said(machine, tree, "enable_apache_mod", "headers", "norestart")
    assert "run_phase: upstream override_defaults" in found
    assert "run_phase: upstream source" in found
    assert "enable_apache_mod: upstream" not in found
    assert machine.calls() == ["a2enmod headers"]


def test_unstack_has_the_late_part_before_its_plugins(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    (tree / "unstack.sh").write_text((tree / "stack.sh").read_text().replace("run_phase source", "run_phase unstack"))
    done = machine.run("bash", tree / "unstack.sh", "cleanup_CA", **VARIABLES)
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["rm -f /etc/pki/trust/anchors/devstack-chain.pem", "update-ca-certificates"]
    assert "cleanup_CA: upstream" in done.stdout


def test_a_run_without_libvirt_and_ovn_has_nothing_of_them(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    stack_sh = (tree / "stack.sh").read_text()
    for library in ("lib/nova_plugins/functions-libvirt", "lib/neutron_plugins/ovn_agent"):
        assert library in stack_sh
        stack_sh = stack_sh.replace(library, "")
    (tree / "stack.sh").write_text(stack_sh)
    assert "none" in said(machine, tree, "eval", "declare -F install_libvirt configure_ovn || echo none")


def test_get_pip_is_not_run(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    done = machine.run("bash", tree / "tools" / "install_pip.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "openSUSE's own pip is used, get-pip.py is not\n"


def test_apache_module_is_enabled_once(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    found = said(machine, tree, "eval", "enable_apache_mod wsgi; enable_apache_mod wsgi")
    assert found.count("restart_apache_server: upstream") == 1
    assert machine.calls() == ["a2enmod wsgi"]


def test_wsgi_and_uwsgi(machine: Machine, tree: Path) -> None:
    found = said(machine, tree, "eval", "install_apache_wsgi; install_apache_uwsgi", OFFLINE="False")
    assert {"apache2", "apache2-mod_wsgi"} <= machine.installed()
    assert "pip_install: upstream uwsgi" in found
    assert [call for call in machine.calls() if not call.startswith("zypper")] == [
        "systemctl enable apache2", "a2enmod wsgi", "a2enmod proxy", "a2enmod proxy_uwsgi",
    ]  # fmt: skip


def test_certificates(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    found = said(machine, tree, "eval", "init_CA; start_tls_proxy keystone 1 2", INT_CA_DIR="/ca")
    assert "init_CA: upstream" in found
    assert "start_tls_proxy: upstream keystone 1 2" in found
    assert machine.calls() == [
        "cp /ca/ca-chain.pem /etc/pki/trust/anchors/devstack-chain.pem", "update-ca-certificates", "a2enflag SSL",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("services", "bundle", "linked"),
    [
        ("tls-proxy", "/venv/certifi/cacert.pem", True),
        ("tls-proxy", "/etc/ssl/ca-bundle.pem", False),
        ("tls-proxy", "", False),
        ("key", "/venv/certifi/cacert.pem", False),
    ],
)
def test_requests_own_certificates(tmp_path: Path, tree: Path, services: str, bundle: str, linked: bool) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    python = tmp_path / "venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho {bundle}\n")
    python.chmod(0o755)
    venv = {"GLOBAL_VENV": "True", "DEVSTACK_VENV": str(tmp_path / "venv")}
    said(machine, tree, "fix_system_ca_bundle_path", ENABLED_SERVICES=services, **venv)
    calls = [call for call in machine.calls() if call.startswith("ln ")]
    assert calls == ([f"ln -sfn /var/lib/ca-certificates/ca-bundle.pem {bundle}"] if linked else [])


def test_ovn_runs_as_root_after_upstream_has_emptied_its_configuration(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    assert "configure_ovn: as on Fedora" in said(machine, tree, "configure_ovn")
    assert machine.calls() == ["tee -a /etc/sysconfig/ovn"]
    assert machine.written() == "OVN_USER_ID=root:root\n"


def test_libvirt_for_pythons_own_comes_from_pip(tmp_path: Path, tree: Path) -> None:
    machine = Machine(tmp_path / "machine", LEAP)
    found = said(machine, tree, "install_libvirt").splitlines()
    assert found[-2:] == ["install_libvirt: as on Fedora", "pip_install_gr: upstream libvirt-python"]
