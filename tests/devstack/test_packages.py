# SPDX-License-Identifier: Apache-2.0
"""Packages through the overlay, with the real zypper and rpm: installed, asked for, removed, and missing ones named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import overlay
from .conftest import PLAIN
from .machine import Machine
from .releases import RELEASES, Release
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


# The root has no such program, so that the script fails.
SPEC = """\
Name: bad-script
Version: 1
Release: 1
Summary: x
License: none
BuildArch: noarch
Provides: /bin/no-such
%description
x
%post -p /bin/no-such
%files
"""


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a package whose script fails."""
    folder = tmp_path_factory.mktemp("odd") / "odd"
    folder.mkdir()
    (folder / "bad-script.spec").write_text(SPEC)
    build = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}/build", "--define", f"_rpmdir {folder}"]
    subprocess.run([*build, str(folder / "bad-script.spec")], check=True, capture_output=True)
    subprocess.run(["createrepo_c", "-q", str(folder)], check=True)
    return folder


def test_a_package_whose_script_fails_is_installed_and_named(machine: Machine, tree: Path, odd: Path) -> None:
    machine.add_repository(odd)
    found = said(machine, tree, "eval", "install_package bad-script; echo goes on")
    assert "devstack on openSUSE: zypper ends with 107, all was done: warning: %post(bad-script-1-1.noarch)" in found
    assert found.splitlines()[-1] == "goes on"
    assert machine.installed() == {"bad-script"}


@pytest.mark.parametrize("code", [100, 101, 102, 103])
def test_what_zypper_has_to_tell_ends_nothing(tmp_path: Path, tree: Path, code: int) -> None:
    """No package of ours makes a real one end so; and the codes beside these are failures."""
    machine = Machine(tmp_path / "machine", RELEASES[0])
    zypper = machine.folder / "bin" / "zypper"
    zypper.write_text(f"#!/bin/sh\nexit {code}\n")
    assert said(machine, tree, "eval", "install_package curl; echo goes on").splitlines()[-1] == "goes on"
    for failure in (4, 7, 8, 104, 105):
        zypper.write_text(f'#!/bin/sh\n[ "$5" = --dry-run ] || exit {failure}\n')
        assert stack(machine, tree, "install_package", "curl").returncode == failure


@pytest.mark.parametrize("address", ["dir:/no/such/folder", "http://joe:hunter2@127.0.0.1:9/pool?t0ken"])
def test_a_repository_that_can_not_be_read_is_skipped_and_named(machine: Machine, tree: Path, address: str) -> None:
    """In the dry run before all, too; and what is secret in its address is not shown."""
    zypper = machine.folder / "bin/zypper"
    machine.run(zypper, "--non-interactive", "addrepo", "--no-gpgcheck", "--refresh", address, "broken")
    done = stack(machine, tree, "eval", "install_package curl; echo goes on", WANTED="curl")
    assert done.returncode == 0, done.stdout + done.stderr
    line = "devstack on openSUSE: zypper ends with 106, all was done: repository broken was skipped"
    assert done.stdout.splitlines().count(line) == 2
    assert machine.installed() == {"curl"}
    assert not [word for word in ("joe", "hunter2", "t0ken") if word in done.stdout + done.stderr]


def test_zyppers_lock_is_waited_for(machine: Machine, tree: Path) -> None:
    """sudo keeps no environment: the wait must be said behind it. A lock that stays is a failure, as before."""
    release, holding = machine.folder / "release", machine.folder / "root/run/zypp.pid"
    command = f'(until [ -e "{release}" ]; do sleep 0.1; done) | "{machine.folder}/bin/zypper" --non-interactive shell'
    holder = subprocess.Popen(["bash", "-c", command], env=machine.environment(), stdout=subprocess.DEVNULL)
    try:
        while not (holding.exists() and holding.read_text().strip()):
            assert holder.poll() is None
        locked = stack(machine, tree, "install_package", "curl", ZYPP_LOCK_TIMEOUT="1")
        assert locked.returncode != 0
        assert "System management is locked" in locked.stdout
        assert "zypper would not install" in locked.stderr
        letting_go = subprocess.Popen(["bash", "-c", f'sleep 2; touch "{release}"'])
        found = said(machine, tree, "eval", "install_package curl; echo goes on")
        letting_go.wait()
    finally:
        release.touch()
        holder.wait()
    assert found.splitlines()[-1] == "goes on"
    assert machine.installed() == {"curl"}


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
