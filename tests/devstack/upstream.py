# SPDX-License-Identifier: Apache-2.0
"""Upstream's real devstack on a machine of ours: a copy of the tree, with the overlay's one line in its `functions`.

Called by `make devstack-check`, for each release. What is found wrong is returned in sentences; nothing outside the
machine's folder is touched, see `machine`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from . import overlay
from .machine import Machine, make_repository
from .releases import Release

PROBE = Path(__file__).parent / "probe.sh"
# All that upstream's lists and drivers are for; what is not installed by devstack itself is left out.
SERVICES = (
    "key,mysql,rabbit,g-api,n-api,n-cond,n-cpu,n-sch,n-novnc,n-api-meta,placement-api,q-svc,q-agt,q-l3,q-dhcp,q-meta,"
    "ovn-controller,ovn-northd,ovs-vswitchd,ovsdb-server,q-ovn-agent,c-api,c-bak,c-sch,c-vol,s-account,s-container,"
    "s-object,s-proxy,horizon,dstat,tempest,tls-proxy"
)
SETTINGS = {"VIRT_DRIVER": "libvirt", "Q_AGENT": "ovn", "HOST_IP": "127.0.0.1",
            "SERVICE_HOST": "127.0.0.1", "DATABASE_TYPE": "mysql"}  # fmt: skip
IDENTITY = {"os_VENDOR": "openSUSE", "os_PACKAGE": "rpm", "GLOBAL_VENV": "True", "FORCE": "yes"}
WHERE = {
    "APACHE_NAME": "apache2",
    "APACHE_CONF_DIR": "/etc/apache2/vhosts.d",
    "APACHE_SETTINGS_DIR": "/etc/apache2/conf.d",
    "APACHE_LOG_DIR": "/var/log/apache2",
    "MYSQL_SERVICE_NAME": "mariadb",
    "OVN_NORTHD_SERVICE": "ovn-northd.service",
    "OVN_CONTROLLER_SERVICE": "ovn-controller.service",
    "OVSDB_SERVER_SERVICE": "ovsdb-server.service",
    "OVS_VSWITCHD_SERVICE": "ovs-vswitchd.service",
    "site": "/etc/apache2/vhosts.d/keystone.conf.disabled",
}
# Functions of upstream's, and what each must ask of root.
TRIALS: dict[str, tuple[str, ...]] = {
    "install_python3": (),
    "install_rpc_backend": ("systemctl --now enable rabbitmq-server",),
    "install_database_mysql": ("systemctl enable mariadb",),
    "configure_database_mysql": ("/etc/my.cnf", "systemctl start mariadb", "systemctl restart mariadb"),
    "_neutron_ovs_base_install_agent_packages": ("systemctl restart openvswitch", "systemctl enable openvswitch"),
    "configure_ovn": ("truncate -s 0 /etc/sysconfig/ovn", "tee -a /etc/sysconfig/ovn"),
    "install_apache_wsgi": ("systemctl enable apache2", "a2enmod wsgi"),
    "install_apache_uwsgi": ("a2enmod proxy_uwsgi",),
    "install_libvirt": (),
    "configure_libvirt": ("tee /etc/polkit-1/rules.d/50-libvirt-nobody.rules",),
}
# An agent's configuration would be written to /etc.
TRIAL_SERVICES = {"configure_ovn": "q-svc"}


class Upstream:
    """One release's machine with upstream's tree on it."""

    def __init__(self, folder: Path, tree: Path, release: Release) -> None:
        self.release = release
        self.machine = Machine(folder, release)
        self.tree = folder / "devstack"
        shutil.copytree(tree, self.tree, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        with (self.tree / "functions").open("a", encoding="utf-8") as functions:
            functions.write(overlay.LINE + "\n")
        stack = folder / "stack"
        (self.tree / ".localrc.auto").write_text(f"DEST={stack}\nDATA_DIR={stack}/data\nLOGDIR={stack}/logs\n")
        # install_libvirt edits the constraints with what devstack has built for it.
        editor = stack / "requirements" / ".venv" / "bin" / "edit-constraints"
        editor.parent.mkdir(parents=True)
        editor.write_text("#!/bin/sh\n")
        editor.chmod(0o755)
        self.probe = folder / "probe" / "stack.sh"
        self.probe.parent.mkdir()
        shutil.copy(PROBE, self.probe)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call a function in devstack's shell."""
        services = TRIAL_SERVICES.get(words[0], SERVICES)
        return self.machine.run("bash", self.probe, self.tree, *words, **SETTINGS | {"ENABLED_SERVICES": services})

    def answer(self, *words: str) -> str:
        done = self.call(*words)
        if done.returncode != 0:
            raise UpstreamError(f"{self.release.name}: {words[0]}: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout

    def variables(self, *questions: str) -> dict[str, str]:
        """Ask for variables; the answers are bash's declarations."""
        found: dict[str, str] = {}
        for question in questions:
            for line in self.answer(question).splitlines():
                name, equals, value = line.removeprefix("declare ").partition("=")
                if equals:
                    found[name.split()[-1]] = value.strip('"')
        return found

    def check_variables(self) -> list[str]:
        found = self.variables("ask_identity", "ask_services", "ask_paths")
        wanted = IDENTITY | WHERE | {"DISTRO": self.release.distro, "PYTHON3_VERSION": self.release.python}
        return [
            f"{self.release.name}: {name} is {found.get(name)!r}, not {value!r}"
            for name, value in wanted.items()
            if found.get(name) != value
        ]

    def lists(self) -> dict[str, list[str]]:
        """Upstream's package lists by service, in its own names."""
        parts = (line.partition(":") for line in self.answer("ask_lists").splitlines() if ":" in line)
        return {service: names.split() for service, _, names in parts}

    def opensuse(self, names: set[str]) -> set[str]:
        """Map names as the overlay does."""
        return set(self.answer("opensuse_package_names", *sorted(names)).split())

    def wanted(self) -> set[str]:
        """Return openSUSE's names of all that a run with every service would ask for."""
        return set(self.answer("ask_wanted").split())

    def check_packages(self, upstream_names: set[str]) -> list[str]:
        """Install all of them, ask for them, remove them: by upstream's functions, with the real zypper and rpm."""
        names = self.opensuse(upstream_names)
        self.machine.add_repository(make_repository(self.machine.folder / "repository", names | self.wanted()))
        wrong = []
        there = sorted(name for name in upstream_names if overlay.package_map().get(name, [name]))
        for function in ("install_package", "is_package_installed"):
            done = self.call(function, *there)
            if done.returncode != 0:
                wrong.append(f"{self.release.name}: {function}: {(done.stderr + done.stdout).strip()[-600:]}")
        left = names - self.machine.installed()
        if left:
            wrong.append(f"{self.release.name}: not installed: {', '.join(sorted(left))}")
        self.call("uninstall_package", *sorted(upstream_names))
        if stay := self.machine.installed():
            wrong.append(f"{self.release.name}: not removed: {', '.join(sorted(stay))}")
        return wrong

    def check_trials(self) -> list[str]:
        """Call upstream's functions that are taken as on Fedora, or have something added."""
        wrong = []
        for function, wanted in TRIALS.items():
            before = len(self.machine.calls())
            done = self.call(function)
            said = "\n".join(self.machine.calls()[before:])
            if done.returncode != 0:
                wrong.append(f"{self.release.name}: {function}: {(done.stderr or done.stdout).strip()[-600:]}")
            wrong += [f"{self.release.name}: {function}: never {call!r}" for call in wanted if call not in said]
        changed = self.answer("ask_kept").split()
        return wrong + [f"{self.release.name}: {name} is not upstream's any more when kept" for name in changed]


class UpstreamError(Exception):
    """Upstream's tree could not be asked."""
