# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - values as a test wants them, and untyped Nodepool
"""What `nodepool config-validate` and a loading launcher say about a provider's section."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nodepool.config import loadConfig

from zuul_suse.datacenter import WrongConfiguration
from zuul_suse.nodepool_driver import schema

VALIDATE = [str(Path(sys.executable).parent / "nodepool"), "-c"]

# As the sandbox writes it.
GOOD: dict[str, Any] = {
    "labels": [{"name": "standin-debian", "min-ready": 0}],
    "diskimages": [{"name": "standin-debian", "formats": ["tar"], "elements": ["x"], "username": "zuul"}],
    "providers": [
        {
            "name": "sandbox",
            "driver": "suse",
            "datacenters": [
                {
                    "name": "local",
                    "kind": "incus",
                    "url": "/run/unix.socket",
                    "project": "zuul-suse",
                    "profiles": ["zuul-suse-node"],
                },
                {"name": "nbg", "kind": "fake", "max-servers": 3, "boot-delay": 1},
            ],
            "diskimages": [{"name": "standin-debian"}],
            "pools": [
                {
                    "name": "main",
                    "max-servers": 3,
                    "labels": [
                        {"name": "standin-debian", "diskimage": "standin-debian", "cpus": 2, "ram": 4096, "config": {}}
                    ],
                }
            ],
        }
    ],
}

DATACENTER = ("datacenters", 1)
POOL = ("pools", 0)
LABEL = (*POOL, "labels", 0)
P = "providers[sandbox]"

WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    ((*DATACENTER, "kind"), "inqus", f'{P}.datacenters[nbg].kind: "inqus" is not one of fake, incus, openstack'),
    ((*DATACENTER, "kind"), None, f"{P}.datacenters[nbg]: kind is missing"),
    ((*DATACENTER, "name"), "local", f'{P}.datacenters: "local" is there twice'),
    ((*DATACENTER, "name"), "n/g", f'{P}.datacenters[n/g]: its name must have none of "/", "=" and space'),
    ((*DATACENTER, "max-servers"), "3", f"{P}.datacenters[nbg].max-servers: expected a whole number, not '3'"),
    ((*DATACENTER, "rate"), 0, f"{P}.datacenters[nbg].rate: 0 is not more than 0"),
    ((*DATACENTER, "creates"), 0, f"{P}.datacenters[nbg].creates: 0 is less than 1"),
    ((*DATACENTER, "rate"), True, f"{P}.datacenters[nbg].rate: expected a number, not True"),
    (
        (*DATACENTER, "max_servers"),
        3,
        f'{P}.datacenters[nbg]: unknown key "max_servers" '
        "(known: boot-delay, creates, fault, image-type, kind, max-cores, max-ram, max-servers, name, rate, state-dir, "
        "weight)",
    ),
    ((*DATACENTER, "url"), "/x", f'{P}.datacenters[nbg]: unknown key "url" (known: '),
    (("datacenters", 0, "profiles"), "one", f"{P}.datacenters[local].profiles: expected texts only, not 'one'"),
    (("datacenters", 0, "url"), None, f"{P}.datacenters[local]: url is missing"),
    (("datacenters",), [], f"{P}.datacenters: needs at least one"),
    (("datacenters",), {}, f"{P}.datacenters: expected a list, not {{}}"),
    (("datacenters", 0), "local", f"{P}.datacenters[0]: expected a map, not 'local'"),
    (("pools",), None, f"{P}: pools is missing"),
    ((*LABEL, "diskimage"), "leap", f'{P}.pools[main].labels[standin-debian].diskimage: "leap" is not in '
     "diskimages of this provider (has standin-debian)"),
    ((*LABEL, "cloud-image"), "leap", f"{P}.pools[main].labels[standin-debian]: needs one of diskimage, "
     "cloud-image, not both"),
    ((*LABEL, "config"), {"security.nesting": True}, f"{P}.pools[main].labels[standin-debian].config: expected "
     "texts only"),
    ((*LABEL, "ram"), "4G", f"{P}.pools[main].labels[standin-debian].ram: expected a whole number, not '4G'"),
    ((*LABEL, "flavor"), "m1", f'{P}.pools[main].labels[standin-debian]: unknown key "flavor" (known: cloud-image, '),
    ((*DATACENTER, "weight"), 0, f"{P}.datacenters[nbg].weight: 0 is not more than 0"),
    ((*POOL, "datacenters"), ["nbg", "brq"], f'{P}.pools[main].datacenters: "brq" is not one of the datacenters '
     "local, nbg"),
    ((*POOL, "datacenters"), [], f"{P}.pools[main].datacenters: needs at least one"),
    ((*POOL, "datacenters"), "nbg", f"{P}.pools[main].datacenters: expected texts only, not 'nbg'"),
    ((*POOL, "weights"), {"brq": 1}, f'{P}.pools[main].weights: "brq" is not one of the datacenters local, nbg'),
    ((*POOL, "weights"), {"nbg": "2"}, f"{P}.pools[main].weights: expected a map of names to numbers, not "
     "{'nbg': '2'}"),
    ((*POOL, "weights"), {"nbg": -1}, f"{P}.pools[main].weights: -1 is not more than 0"),
    ((*POOL, "console-log"), "yes", f"{P}.pools[main].console-log: expected true or false, not 'yes'"),
    ((*LABEL, "datacenters"), ["brq"], f'{P}.pools[main].labels[standin-debian].datacenters: "brq" is not one of '
     "the datacenters local, nbg"),
    ((*LABEL, "weights"), {"brq": 1}, f'{P}.pools[main].labels[standin-debian].weights: "brq" is not one of the '
     "datacenters local, nbg"),
    ((*LABEL, "console-log"), 1, f"{P}.pools[main].labels[standin-debian].console-log: expected true or false, not 1"),
    ((*LABEL, "fake"), {"flavor": "m1"}, f'{P}.pools[main].labels[standin-debian].fake: unknown key "flavor" '
     "(known: "),
    ((*LABEL, "fake"), "m1", f"{P}.pools[main].labels[standin-debian].fake: expected a map, not 'm1'"),
    (("cloud-images",), [{"name": "x", "images": {"brq": "y"}}], f'{P}.cloud-images[x].images: "brq" is not one of '
     "the datacenters local, nbg"),
    (("image-type",), "ova", f'{P}.image-type: "ova" is not one of tar, qcow2, raw'),
    (("boot-timeout",), False, f"{P}.boot-timeout: expected a whole number, not False"),
    (("boot-timeout",), 10**5000, f"{P}.boot-timeout: a number of thousands of digits is more than 86400"),
    (("launch-retries",), -1, f"{P}.launch-retries: -1 is less than 0"),
    (("max-concurrency",), -2, f"{P}.max-concurrency: -2 is less than -1"),
    ((*POOL, "max-servers"), -1, f"{P}.pools[main].max-servers: -1 is less than 0"),
    ((*LABEL, "ram"), 10**60, f"{P}.pools[main].labels[standin-debian].ram: 10000000000000000000... (61 digits) is "
     "more than 10000000000"),
    ((*DATACENTER, "max-servers"), -1, f"{P}.datacenters[nbg].max-servers: -1 is less than 0"),
    ((*DATACENTER, "rate"), math.inf, f"{P}.datacenters[nbg].rate: inf is not finite"),
    ((*DATACENTER, "rate"), math.nan, f"{P}.datacenters[nbg].rate: nan is not finite"),
    ((*DATACENTER, "rate"), 1e-9, f"{P}.datacenters[nbg].rate: 1e-09 is less than 0.01"),
    ((*DATACENTER, "rate"), 10**400, f"{P}.datacenters[nbg].rate: 10000000000000000000... (401 digits) is more than"),
    ((*LABEL, "weights"), {"nbg": math.nan}, f"{P}.pools[main].labels[standin-debian].weights: nan is not finite"),
    ((*LABEL, "weights"), {"nbg": True}, f"{P}.pools[main].labels[standin-debian].weights: expected a map of names to "
     "numbers, not {'nbg': True}"),
    (("diskimages", 0, "connection-port"), 65536, f"{P}.diskimages[standin-debian].connection-port: 65536 is more "
     "than 65535"),
    (("datacenters", 0, "timeout"), 0, f"{P}.datacenters[local].timeout: 0 is less than 1"),
    ((*LABEL, "openstack"), {"volume-size": 0}, f"{P}.pools[main].labels[standin-debian].openstack.volume-size: 0 is "
     "less than 1"),
]  # fmt: skip


def spoiled(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The good configuration with one value replaced."""
    config = copy.deepcopy(GOOD)
    here = config["providers"][0]
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return config


def test_good_section_is_accepted() -> None:
    schema.check(copy.deepcopy(GOOD["providers"][0]))


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=[case[2][len(P) :][:60] for case in WRONG])
def test_fault_is_named_with_place_and_choices(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(WrongConfiguration) as caught:
        schema.check(spoiled(path, value)["providers"][0])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def validate(tmp_path: Path, config: dict[str, Any]) -> tuple[int, list[str]]:
    """Exit status and lines of the real command."""
    file = tmp_path / "nodepool.yaml"
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run([*VALIDATE, str(file), "config-validate"], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_config_validate_accepts_the_sandbox(tmp_path: Path) -> None:
    status, lines = validate(tmp_path, GOOD)
    assert status == 0, lines
    assert not [line for line in lines if "ERROR" in line]


def test_config_validate_refuses_in_one_line(tmp_path: Path) -> None:
    path, value, message = WRONG[0]
    status, lines = validate(tmp_path, spoiled(path, value))
    assert status == 1
    assert [line for line in lines if "INFO" not in line] == [lines[-1]]
    assert lines[-1].endswith(message)


def test_config_validate_names_a_provider_without_name(tmp_path: Path) -> None:
    config = copy.deepcopy(GOOD)
    del config["providers"][0]["name"]
    status, lines = validate(tmp_path, config)
    assert status == 1
    assert lines[-1].endswith("providers[?]: name is missing")


def load(tmp_path: Path, config: dict[str, Any]) -> Any:
    file = tmp_path / "nodepool.yaml"
    file.write_text(yaml.safe_dump(config))
    return loadConfig(str(file), env={})


def test_loaded_section_has_what_nodepool_reads(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    provider = config.providers["sandbox"]
    pool = provider.pools["main"]
    label = pool.labels["standin-debian"]
    assert (label.diskimage.username, label.diskimage.connection_port) == ("zuul", 22)
    assert label.host_key_checking is True
    assert config.labels["standin-debian"].pools == [pool]
    assert config.diskimages["standin-debian"].image_types == {"tar"}
    assert provider.getSupportedLabels("main") == {"standin-debian"}


def test_same_file_makes_equal_providers_and_a_changed_one_does_not(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD).providers["sandbox"]
    assert first == load(tmp_path, GOOD).providers["sandbox"]
    for path, value in (((*DATACENTER, "max-servers"), 4), ((*LABEL, "ram"), 1024)):
        assert first != load(tmp_path, spoiled(path, value)).providers["sandbox"]


def test_label_that_is_unknown_at_the_top_is_named(tmp_path: Path) -> None:
    config = spoiled((*LABEL, "name"), "leap")
    with pytest.raises(
        WrongConfiguration, match=r"labels\[leap\]: not in labels at the top level \(has standin-debian\)"
    ):
        load(tmp_path, config)


@pytest.mark.parametrize("kind", [int, float])
def test_every_number_has_bounds_and_its_default_is_within_them(kind: type) -> None:
    numbers = [(where, one) for where, one in schema.all_options() if one.type in (kind, {str: kind})]
    assert len(numbers) >= {int: 25, float: 4}[kind]
    for where, option in numbers:
        assert option.most is not None, (where, option.name)
        assert option.least is not None or kind is float, (where, option.name)
        if option.default is not None:
            assert (option.least or 0) <= option.default <= option.most, (where, option.name)


CLOUD = {"name": "a", "kind": "openstack", "cloud": "c"}
HOST = {"name": "a", "kind": "incus", "url": "/run/incus"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CLOUD, {"networks": ["second"]}),
        ({**CLOUD, "region-name": "r"}, {"networks": ["second"]}),
        ({**CLOUD, "clouds-file": "/etc/clouds.yaml"}, {"clouds-file": "/etc//x/../clouds.yaml"}),
        (HOST, {"profiles": ["second"]}),
        (HOST, {"project": "default"}),
        (HOST, {"url": "/run//incus"}),
    ],
)
def test_two_datacenters_on_one_project_are_refused(one: dict[str, Any], other: dict[str, Any]) -> None:
    provider = spoiled(("datacenters",), [one, {**one, **other, "name": "b"}])["providers"][0]
    with pytest.raises(WrongConfiguration) as caught:
        schema.check(provider)
    assert str(caught.value).startswith(f"{P}.datacenters[b]: is the same project as datacenters[a] (")
    assert "keep one" in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CLOUD, {"region-name": "r"}),
        (CLOUD, {"cloud": "d"}),
        (CLOUD, {"clouds-file": "/etc/clouds.yaml"}),
        (HOST, {"project": "second"}),
        (HOST, {"url": "https://host:8443"}),
    ],
)
def test_two_projects_of_one_cloud_are_accepted(one: dict[str, Any], other: dict[str, Any]) -> None:
    schema.check(spoiled(("datacenters",), [one, {**one, **other, "name": "b"}])["providers"][0])


def test_every_option_says_what_it_is_for() -> None:
    options = list(schema.all_options())
    assert len(options) > 40
    for section, option in options:
        assert option.doc, (section, option.name)
        if option.choices and option.default is not None:
            assert option.default in option.choices
