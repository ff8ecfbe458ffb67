# SPDX-License-Identifier: Apache-2.0
"""Machines to deploy on: a root for each node, an operator's mirror of rpm-md repositories, and made-up checkouts.

zypper and rpm are the real ones. The packages hold as much of /opt/dell as the roles look at: a validator with some
rules of crowbar's scripts/network-json-validator, and in its words; a template of the networks; a framework.
Everything lies in the test's folder, which is its owner's to remove.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from . import commands
from .api import Crowbar, Site

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks" / "crowbar"
CLOUD = {"controller": ("52:54:00:00:00:01", "192.168.124.81"), "compute1": ("52:54:00:00:00:02", "192.168.124.82")}
RELEASE = "cloud9"
WANTED = ("sles-media", "cloud", "sles12-sp4-pool", "sles12-sp4-updates")
PASSWORD = "crowbar"
SPEC = """\
Name: patterns-cloud-admin
Version: 9
Release: 1
Summary: pattern
License: none
BuildArch: noarch
AutoReqProv: no
Requires: crowbar
%description
x
%files
%package -n crowbar
Summary: framework
AutoReqProv: no
%description -n crowbar
x
%install
mkdir -p %{buildroot}/opt
cp -r SOURCE/opt/dell %{buildroot}/opt/dell
%files -n crowbar
/opt/dell
"""
VALIDATOR = """\
#!{python}
import ipaddress, json, sys
address, path = sys.argv[2], sys.argv[3]
network = json.load(open(path))["attributes"]["network"]
mode = network["teaming"]["mode"]
if mode not in range(7):
    sys.exit(print(f"Invalid teaming mode '{mode}': must be a value between 0 and 6, see bonding.txt") or 1)
admin = network["networks"]["admin"]["ranges"]["admin"]
first, last = ipaddress.ip_address(admin["start"]), ipaddress.ip_address(admin["end"])
if not first <= ipaddress.ip_address(address) <= last:
    print(f"IP {address} of Administration Server is not in admin range ({first} to {last})")
    sys.exit(1)
"""
INSTALL = """\
#!{python}
import os, sys
from pathlib import Path
here = Path(os.environ["CROWBAR_TEST"])
(here / "calls").open("a").write("barclamp_install.rb " + " ".join(sys.argv[1:]) + "\\n")
if "barclamps" in (here / "faults.json").read_text():
    sys.exit("No valid crowbar components found.")
"""
# crowbar_register, as far as the role sees it: refuses a terminal over ssh, wants its address reserved, tells the API.
REGISTER = """\
#!{python}
import json, os, sys, urllib.request
from pathlib import Path
here, host = Path(os.environ["CROWBAR_TEST"]), Path(sys.argv[0]).parents[1].name
mac = json.loads((here / "macs.json").read_text())[host]
if os.environ.get("SSH_CONNECTION"):
    sys.exit(f"Not running in screen. Please run {sys.argv[0]} inside screen.")
name = "d" + mac.replace(":", "-") + ".cloud.test"
if name not in json.loads((here / "databags" / "admin_network.json").read_text())["allocated_by_name"]:
    sys.exit("The address changed: this node is lost.")
if "register" in (here / "faults.json").read_text() and host == "compute1":
    sys.exit("chef-client is not available.")
urllib.request.urlopen((here / "url").read_text() + "/test/register/" + name, b"")
"""
TEMPLATE = {
    "id": "template-network",
    "attributes": {
        "network": {
            "mode": "single",
            "teaming": {"mode": 1},
            "networks": {
                "admin": {"ranges": {"admin": {"start": "192.168.124.10", "end": "192.168.124.11"}}},
                "bmc": {"vlan": 100, "ranges": {}},
            },
        }
    },
}


def program(path: Path, text: str) -> None:
    """Write a script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("{python}", sys.executable))
    path.chmod(0o755)


def make_mirror(folder: Path) -> Path:
    """Make what an operator has: two images, and a repository that stands for all."""
    dell = folder / "source" / "opt" / "dell"
    program(dell / "bin" / "network-json-validator", VALIDATOR)
    program(dell / "bin" / "barclamp_install.rb", INSTALL)
    (dell / "crowbar_framework" / "config").mkdir(parents=True)
    (dell / "crowbar_framework" / "config" / "branding.yml").write_text("of: the package\n")
    (dell / "chef" / "data_bags" / "crowbar").mkdir(parents=True)
    (dell / "chef" / "data_bags" / "crowbar" / "template-network.json").write_text(json.dumps(TEMPLATE))
    mirror = folder / "mirror"
    medium, pool = folder / "medium", mirror / "pool"
    (folder / "crowbar.spec").write_text(SPEC.replace("SOURCE", str(folder / "source")))
    macros = ["--define", f"_topdir {folder}/build", "--define", f"_rpmdir {medium}"]
    for place in (medium, pool):
        place.mkdir(parents=True)
    for command in (
        ["rpmbuild", "-bb", "--quiet", *macros, str(folder / "crowbar.spec")],
        ["createrepo_c", "-q", str(medium)],
        ["createrepo_c", "-q", str(pool)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("sles", "cloud"):
        (mirror / f"{name}.iso").write_text(str(medium))
    program(mirror / "suse-12.4" / "x86_64" / "crowbar_register", REGISTER)
    return mirror


class Machines:
    """A site, its nodes and a build."""

    def __init__(self, folder: Path, mirror: Path) -> None:
        self.folder = folder
        self.crowbar = Crowbar(mirror, PASSWORD)
        self.site = Site(self.crowbar)
        self.variables: dict[str, Any] = {}
        self.faults()
        for name in ("bin", "databags", "home", "plugins"):
            (folder / name).mkdir()
        for name in commands.NAMES:
            program(folder / "bin" / name, f"#!{sys.executable}\n" + Path(commands.__file__).read_text())
        (folder / "calls").touch()
        (folder / "url").write_text(self.site.url)
        (folder / "macs.json").write_text(json.dumps({host: mac for host, (mac, _) in CLOUD.items()}))
        bag = {"id": "admin_network", "allocated": {}, "allocated_by_name": {}, "bmc_password": commands.SECRET}
        (folder / "databags" / "admin_network.json").write_text(json.dumps(bag))
        for host in ("admin", *CLOUD):
            for name in ("root", "etc/sysconfig/network", "etc/zypp/repos.d", "var/log/crowbar"):
                (folder / host / name).mkdir(parents=True)
        for host in CLOUD:
            (folder / host / "etc/sysconfig/network/ifcfg-eth0").write_text("BOOTPROTO=dhcp\n")
            (folder / host / "etc/sysconfig/network/ifcfg-eth1").write_text("BOOTPROTO=dhcp\n")
            (folder / host / "etc/zypp/repos.d/old.repo").write_text("[old]\nbaseurl=http://gone.example/\n")
        (folder / "controller/var/lib/openstack-tempest-test").mkdir(parents=True)
        self.write_checkouts()

    def faults(self, **which: str) -> None:
        """Say what goes wrong."""
        (self.folder / "faults.json").write_text(json.dumps(which))

    def write_checkouts(self) -> None:
        """Three projects of Crowbar's, with a barclamp that no package has."""
        src = self.folder / "home" / "src" / "crowbar"
        program(src / "crowbar" / "scripts" / "barclamp_install.rb", INSTALL)
        program(src / "crowbar" / "scripts" / "json-edit", "#!/bin/sh\n")
        for path, text in {
            "crowbar-core/crowbar_framework/config/branding.yml": "of: the change\n",
            "crowbar-core/crowbar.yml": "barclamp: {name: crowbar}\n",
            "crowbar-core/.travis.yml": "no: barclamp\n",
            "crowbar-core/spec/thing_spec.rb": "# not laid\n",
            "crowbar-openstack/chef/cookbooks/brandnew/recipes/default.rb": "# new\n",
            "crowbar-openstack/brandnew.yml": "barclamp: {name: brandnew}\n",
        }.items():
            (src / path).parent.mkdir(parents=True, exist_ok=True)
            (src / path).write_text(text)

    def projects(self) -> dict[str, dict[str, str]]:
        names = ("crowbar/crowbar", "crowbar/crowbar-core", "crowbar/crowbar-openstack")
        return {f"example.org/{name}": {"name": name, "src_dir": f"src/{name}"} for name in names}

    def inventory(self) -> dict[str, Any]:
        """As Zuul writes it, and every absolute path of the roles below the node's root."""
        roles = ("configure_crowbar_admin", "write_crowbar_checkout", "run_crowbar_install", "ensure_crowbar_nodes")
        roles += ("run_crowbar_batch", "run_crowbar_tempest", "collect_crowbar_logs")
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {
            host: {**local, **{f"{role}_root": str(self.folder / host) for role in roles}, "ansible_user_dir": home}
            for host, home in ((host, str(self.folder / "home")) for host in ("admin", *CLOUD))
        }
        for host, (mac, address) in CLOUD.items():
            hosts[host] |= {"ensure_crowbar_nodes_mac": mac, "nodepool": {"private_ipv4": address}}
        for host, values in hosts.items():
            values["collect_crowbar_logs_folder"] = str(self.folder / "logs" / host)
        groups = {"cloud": {"hosts": dict.fromkeys(CLOUD)}, "tempest": {"hosts": {"controller": None}}}
        return {"all": {"hosts": hosts, "children": groups, "vars": {**self.given(), **self.variables}}}

    def given(self) -> dict[str, Any]:
        """What an operator and a release's variant of the job say, and times that suit a test."""
        url = self.site.url
        urls = {name: f"{url}/mirror/pool/" for name in WANTED}
        urls |= {"sles-media": f"{url}/mirror/sles.iso", "cloud": f"{url}/mirror/cloud.iso"}
        components = [{"project": f"crowbar/crowbar-{name}", "component": name} for name in ("core", "openstack")]
        return {
            "zuul": {"projects": self.projects()},
            "crowbar_release": RELEASE, "crowbar_components": components, "crowbar_urls": {RELEASE: urls},
            "crowbar_admin_address": "192.168.124.10", "crowbar_scenario": "multinode",
            "crowbar_network": {"networks": {"bmc": {"vlan": 7}}},
            "crowbar_secrets": ["a-secret-of-zuul"],
            "configure_crowbar_admin_gpg_check": False,
            "ensure_crowbar_mirrors_retries": 0, "ensure_crowbar_mirrors_delay": 0,
            "ensure_zypper_repos_retries": 0, "ensure_zypper_repos_delay": 0,
            "run_crowbar_install_api": url, "run_crowbar_install_init_api": f"{url}/api",
            "run_crowbar_install_interval": 0.02, "run_crowbar_install_timeout": 20,
            "ensure_crowbar_nodes_api": url, "ensure_crowbar_nodes_interval": 0.02, "ensure_crowbar_nodes_timeout": 20,
            "ensure_crowbar_nodes_register_url": f"{url}/mirror/suse-12.4/x86_64/crowbar_register",
        }  # fmt: skip

    def environment(self) -> dict[str, str]:
        path = f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "ZUUL"))},
            "PATH": path, "CROWBAR_TEST": str(self.folder), "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22",
            "CROWBAR_USERNAME": "nobody", "CROWBAR_PASSWORD": "wrong",
            "ANSIBLE_HOME": str(self.folder / "ansible"), "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible" / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible" / "remote"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_PIPELINING": "1", "ANSIBLE_GATHERING": "explicit",
        }  # fmt: skip

    def play(
        self, name: str, *, role: str = "", hosts: str = "all", success: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the jobs', or one role of it as the playbook calls it."""
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps(self.inventory()))
        playbook = PLAYBOOKS / f"{name}.yaml"
        if role:
            plays = [
                {**play, "roles": [found]}
                for play in yaml.safe_load(playbook.read_text())
                for found in play["roles"]
                if role in (found, found["role"] if isinstance(found, dict) else "")
            ]
            assert len(plays) == 1, f"{playbook}: {role}"
            playbook = self.folder / f"{role}.yaml"
            playbook.write_text(yaml.safe_dump(plays))
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, playbook]
        more = ["--limit", hosts, "-e", json.dumps({"zuul_success": str(success)})]
        return subprocess.run(
            [*map(str, command), *more], env=self.environment() | variables, cwd=self.folder, capture_output=True,
            text=True, timeout=280, check=False,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """What the commands on PATH were asked."""
        return (self.folder / "calls").read_text().splitlines()

    def copy_of(self, other: Machines) -> None:
        """Take the state that another's run left."""
        for host in ("admin", *CLOUD):
            shutil.copytree(other.folder / host, self.folder / host, dirs_exist_ok=True, symlinks=True)
        self.crowbar.nodes = {name: dict(node) for name, node in other.crowbar.nodes.items()}
        self.crowbar.steps, self.crowbar.flags = list(other.crowbar.steps), dict(other.crowbar.flags)
