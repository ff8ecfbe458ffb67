# SPDX-License-Identifier: Apache-2.0
"""Packages through the overlay, with the real zypper and rpm: installed, asked for, removed, and missing ones named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import overlay
from .conftest import PLAIN
from .machine import Machine
from .releases import Release
from .stub import make_tree
from .test_overlay import said as said_offline
from .test_overlay import stack as stack_offline


def stack(machine: Machine, tree: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return stack_offline(machine, tree, *command, **{"OFFLINE": "False"} | variables)


def said(machine: Machine, tree: Path, *command: str, **variables: str) -> str:
    return said_offline(machine, tree, *command, **{"OFFLINE": "False"} | variables)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "devstack")


def test_every_name_of_the_map_is_installed_as_opensuses(machine: Machine, release: Release, tree: Path) -> None:
    said(machine, tree, "install_package", *overlay.package_map(), *PLAIN)
    assert machine.installed() == {*overlay.opensuse_names(release.python), *PLAIN}


def test_names_in_one_word_as_upstream_has_them(machine: Machine, tree: Path) -> None:
    said(machine, tree, "install_package", "httpd curl")
    assert machine.installed() == {"apache2", "curl"}


def test_devstacks_python_by_its_version(machine: Machine, release: Release, tree: Path) -> None:
    """install_python3 asks for python3.13-devel, other places for python3-devel."""
    prefix = "python" + release.python.replace(".", "")
    said(machine, tree, "install_package", f"python{release.python}-devel", "python3-pip")
    assert machine.installed() == {f"{prefix}-devel", f"{prefix}-pip"}


def test_a_python_of_the_jobs_choice(machine: Machine, tree: Path) -> None:
    names = said(machine, tree, "opensuse_package_names", "python3.12-devel", "python3-pip", PYTHON3_VERSION="3.12",
                 OFFLINE="True")  # fmt: skip
    assert names.splitlines()[-2:] == ["python312-devel", "python312-pip"]


@pytest.mark.parametrize("name", sorted(name for name, names in overlay.package_map().items() if not names))
def test_what_opensuse_need_not_have_is_installed_by_nobody(machine: Machine, tree: Path, name: str) -> None:
    said(machine, tree, "install_package", name)
    assert machine.installed() == set()


def test_asking_and_removing_go_by_the_map(machine: Machine, tree: Path) -> None:
    query = "is_package_installed httpd tar && echo yes || echo no"
    assert said(machine, tree, "eval", query).splitlines()[-1] == "no"
    said(machine, tree, "install_package", "httpd")
    assert said(machine, tree, "eval", query).splitlines()[-1] == "no"
    said(machine, tree, "install_package", "tar")
    assert said(machine, tree, "eval", query).splitlines()[-1] == "yes"
    said(machine, tree, "uninstall_package", "httpd", "curl", "mod_ssl")
    assert machine.installed() == {"tar"}
    assert said(machine, tree, "eval", "is_package_installed mod_ssl || echo no").splitlines()[-1] == "no"


def test_a_missing_package_fails(machine: Machine, tree: Path) -> None:
    assert stack(machine, tree, "install_package", "httpd", "no-such-package").returncode == 104
    assert machine.installed() == set()


def test_every_missing_package_is_named_before_any_is_installed(machine: Machine, release: Release, tree: Path) -> None:
    done = stack(machine, tree, "install_package", "httpd", WANTED="httpd no-such-one curl no-such-two")
    assert done.returncode == 1
    system = release.distro.removeprefix("opensuse-")
    assert done.stderr == f"died: devstack on openSUSE: {system} has no package no-such-one, no-such-two\n"
    assert machine.installed() == set()


def test_another_fault_of_zyppers_is_shown(machine: Machine, tree: Path) -> None:
    (machine.folder / "bin" / "zypper").write_text("#!/bin/sh\necho the disk is full\nexit 4\n")
    done = stack(machine, tree, WANTED="httpd")
    assert done.returncode == 1
    assert "the disk is full\n" in done.stdout
    assert "zypper would not install what devstack wants" in done.stderr


SERVICES = {
    "mysql": {"mariadb", "libmariadb-devel", "mariadb-client"},
    "rabbit": {"rabbitmq-server", "rabbitmq-server-plugins"},
    "horizon": {"apache2-mod_wsgi"},
    "n-cpu": {"qemu-x86", "libvirt-daemon-qemu", "qemu-ovmf-x86_64"},
}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_upstreams_functions_name_is_asked_for_too(machine: Machine, tree: Path, service: str) -> None:
    ask = ("eval", "opensuse_package_names $(opensuse_wanted_packages)")
    found = said(machine, tree, *ask, WANTED="curl", ENABLED_SERVICES=service, VIRT_DRIVER="libvirt")
    assert {"curl", *SERVICES[service]} <= set(found.split())


def test_no_hypervisor_is_asked_for_where_there_is_none(machine: Machine, tree: Path) -> None:
    ask = ("eval", "opensuse_package_names $(opensuse_wanted_packages)")
    assert not SERVICES["n-cpu"] & set(said(machine, tree, *ask, ENABLED_SERVICES="n-cpu", VIRT_DRIVER="fake").split())
