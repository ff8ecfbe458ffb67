# SPDX-License-Identifier: Apache-2.0
"""The built wheel alone in a fresh environment, without extras and with one at a time: what runs, and what is told.

Takes a minute or two: each environment is made by pip from the machine's index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from zuul_suse.cli import commands

ROOT = Path(__file__).parents[2]
SECONDS = 420  # for one pip; a launcher's dependencies are a hundred packages
NODEPOOL_YAML = """\
labels: [{name: leap}]
providers:
  - name: suse
    driver: DRIVER
    datacenters: [{name: one, kind: KIND}]
    cloud-images: [{name: leap, username: zuul}]
    pools: [{name: main, labels: [{name: leap, cloud-image: leap}]}]
"""
INCUS = "incus, url: 'https://incus.example.com:8443'"
OPENSTACK = "openstack, cloud: none"
OTHER = "labels: [{name: x}]\nproviders: [{name: other, driver: static, pools: []}]\n"
IMPORT_ALL = """\
import importlib, pkgutil, sys
import zuul_suse
for found in pkgutil.walk_packages(zuul_suse.__path__, "zuul_suse."):
    if found.name.startswith(tuple(sys.argv[1:])):
        importlib.import_module(found.name)
        print(found.name)
"""


def paths(group: click.Group, start: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every group and command below one, as it is called."""
    for name in group.list_commands(click.Context(group)):
        yield (*start, name)
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from paths(command, (*start, name))


EVERY = list(paths(commands))


class Installed:
    """A virtual environment that has the wheel with some extras and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            env=clean | environment, capture_output=True, text=True, check=False, timeout=120, cwd=self.bin,
        )  # fmt: skip

    def output(self, *words: str) -> str:
        """What a command prints that must end well and say nothing else."""
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def fault(self, *words: str) -> str:
        """The one line of a command that must end with a fault."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, ""), f"{words}: {done.stdout}{done.stderr}"
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=SECONDS)
    (found,) = folder.glob("zuul_suse-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Installed]:
    """The environment with an extra, or with none for an empty name; each is made once."""

    @cache
    def make(extra: str) -> Installed:
        folder = tmp_path_factory.mktemp(extra or "plain")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=SECONDS)
        what = f"{wheel}[{extra}]" if extra else str(wheel)
        subprocess.run([folder / "bin" / "pip", "install", "-q", what], check=True, timeout=SECONDS)
        return Installed(folder)

    return make


@pytest.fixture(scope="module")
def plain(installed: Callable[[str], Installed]) -> Installed:
    return installed("")


@pytest.fixture(scope="module")
def nodepool(installed: Callable[[str], Installed]) -> Installed:
    return installed("nodepool")


def nodepool_yaml(folder: Path, kind: str, driver: str = "suse") -> str:
    path = folder / "nodepool.yaml"
    path.write_text(NODEPOOL_YAML.replace("KIND", kind).replace("DRIVER", driver))
    return str(path)


def test_every_command_is_looked_at() -> None:
    assert {path[0] for path in EVERY} == {"doctor", "sandbox", "seeds", "simulate"}
    assert len(EVERY) == 11


def test_a_plain_installation_is_small(plain: Installed) -> None:
    there = {line.split("==")[0].lower() for line in plain.output("pip", "freeze").splitlines()}
    assert "zuul-suse" in {line.split(" ")[0] for line in there}
    assert len(there) < 12, there


def test_it_tells_its_version_and_its_commands(plain: Installed) -> None:
    version = plain.output("zuul-suse", "--version")
    assert version.startswith("zuul-suse, version ")
    assert plain.output("python", "-m", "zuul_suse", "--version") == version
    for name in ("doctor", "sandbox", "seeds", "simulate"):
        assert f"\n  {name} " in plain.output("zuul-suse", "--help")


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_its_help(plain: Installed, path: tuple[str, ...]) -> None:
    assert plain.output("zuul-suse", *path, "--help").startswith(f"Usage: zuul-suse {' '.join(path)} ")


@pytest.mark.parametrize(
    ("words", "extra", "module"),
    [
        (["doctor"], "nodepool", "nodepool.config"),
        (["simulate"], "simulate", "greenlet"),
        *((["sandbox", name], "sandbox", r"[a-z0-9]+") for name in ("up", "demo", "status", "down")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_names_the_extra_that_it_needs(
    plain: Installed, tmp_path: Path, words: list[str], extra: str, module: str
) -> None:
    more = ["--state-dir", str(tmp_path)] if words[0] == "sandbox" else []
    told = plain.fault("zuul-suse", *words, *more)
    start = re.escape(f"zuul-suse {' '.join(words)}: needs pip install 'zuul-suse[{extra}]' (module ")
    assert re.fullmatch(rf"{start}{module} is missing\)", told), told


def test_seeds_needs_no_extra(plain: Installed, tmp_path: Path) -> None:
    assert plain.output("zuul-suse", "seeds", "render", "--check", "--source", str(ROOT)) == ""
    (tmp_path / "password").write_text("secret")
    words = ["--user", "me", "--password-file", str(tmp_path / "password"), "--gerrit", "http://127.0.0.1:9"]
    assert plain.fault("zuul-suse", "seeds", "import", *words).startswith("zuul-suse: Gerrit: GET config/server/ver")
    told = plain.fault("zuul-suse", "sandbox", "logs", "x", "--state-dir", str(tmp_path))
    assert told.startswith('zuul-suse: no log of "x"')


@pytest.mark.parametrize(
    ("extra", "parts", "least"),
    [
        ("", ("zuul_suse.cli.", "zuul_suse.seeds.", "zuul_suse.fleet.", "zuul_suse.extras", "zuul_suse.packaged"), 35),
        ("nodepool", ("zuul_suse.nodepool_driver.", "zuul_suse.datacenter.", "zuul_suse.fleet."), 45),
        ("simulate", ("zuul_suse.simulation.",), 13),
    ],
)
def test_every_module_of_an_extra_can_be_imported(
    installed: Callable[[str], Installed], extra: str, parts: tuple[str, ...], least: int
) -> None:
    imported = installed(extra).output("python", "-c", IMPORT_ALL, *parts)
    assert imported.count("\n") >= least, imported


def test_simulate_runs_and_its_plot_is_an_extra_of_its_own(
    installed: Callable[[str], Installed], tmp_path: Path
) -> None:
    words = ["zuul-suse", "simulate", "--datacenters", "2", "--ready", "4", "--hours", "0.1", "--outage", "none"]
    plot = ["--plot", str(tmp_path / "day.svg")]
    assert "requests" in installed("simulate").output(*words)
    told = installed("simulate").fault(*words, *plot)
    assert told == "Error: --plot: needs pip install 'zuul-suse[plot]' (module matplotlib is missing)"
    assert "drawn: " in installed("plot").output(*words, *plot)


def test_doctor_and_nodepools_own_commands_know_the_driver(nodepool: Installed, tmp_path: Path) -> None:
    for kind in (INCUS, OPENSTACK, "fake"):
        file = nodepool_yaml(tmp_path, kind)
        done = nodepool.run("nodepool", "-c", file, "config-validate")
        assert done.returncode == 0, done.stderr
    done = nodepool.run("zuul-suse", "doctor", "-c", file)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "suse/one" in done.stdout
    assert nodepool.output("zuul-suse", "doctor", "--help")


@pytest.mark.parametrize("missing", ["pylxd", "requests_toolbelt"])
def test_modules_that_are_missing_beside_a_nodepool_are_told_in_one_line(
    nodepool: Installed, tmp_path: Path, missing: str
) -> None:
    """By `driver: suse` alone, and only where a configuration has it: the other drivers go on."""
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('hidden', name={missing!r})")
    file = nodepool_yaml(tmp_path, INCUS)
    done = nodepool.run("nodepool", "-c", file, "config-validate", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    told = f"""kind "incus": needs pip install 'zuul-suse[nodepool]' (module {missing} is missing)"""
    assert done.stderr.splitlines()[-1].endswith(told), done.stderr
    (tmp_path / "other.yaml").write_text(OTHER)
    words = ["nodepool", "-c", str(tmp_path / "other.yaml"), "config-validate"]
    done = nodepool.run(*words, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "suse" not in done.stderr.replace(str(tmp_path), "")


def test_another_nodepool_is_warned_of(nodepool: Installed, tmp_path: Path) -> None:
    (tmp_path / "nodepool-10.0.0.dist-info").mkdir()
    (tmp_path / "nodepool-10.0.0.dist-info" / "METADATA").write_text("Name: nodepool\nVersion: 10.0.0\n")
    words = ["nodepool", "-c", nodepool_yaml(tmp_path, INCUS), "config-validate"]
    done = nodepool.run(*words, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = "driver: suse is made for Nodepool 11.0.0, this is 10.0.0: pip install 'zuul-suse[nodepool]' replaces it"
    assert done.stderr.count(told) == 1
    assert told not in nodepool.run(*words).stderr
