# SPDX-License-Identifier: Apache-2.0
"""The devstack jobs and the seed that a tenant needs for them fit each other and upstream's chain, as recorded here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

# Of openstack/devstack and openstack/tempest, July 2026: what the chain above zuul-suse-devstack requires, and whose
# roles it uses.
CHAIN_PROJECTS = {
    "openstack/cinder",
    "openstack/devstack",
    "openstack/glance",
    "openstack/keystone",
    "openstack/neutron",
    "openstack/nova",
    "openstack/openstack-zuul-jobs",
    "openstack/os-test-images",
    "openstack/placement",
    "openstack/requirements",
    "openstack/swift",
    "openstack/tempest",
    "novnc/novnc",
    "zuul/zuul-jobs",
}
# Where jobs of the chain are taken from; openstack-zuul-jobs' only one is in the seed.
CHAIN_JOBS = {"openstack/devstack", "openstack/tempest"}
# What upstream's job `devstack` switches on: a child that is silent about one of them gets it.
# fmt: off
CHAIN_SERVICES = {
    "c-api", "c-bak", "c-sch", "c-vol", "etcd3", "file_tracker", "g-api", "key", "memory_tracker", "mysql",
    "n-api", "n-api-meta", "n-cond", "n-cpu", "n-novnc", "n-sch", "openstack-cli-server", "ovn-controller",
    "ovn-northd", "ovs-vswitchd", "ovsdb-server", "placement-api", "q-ovn-agent", "q-svc", "rabbit", "s-account",
    "s-container", "s-object", "s-proxy", "tempest", "tls-proxy",
}
# fmt: on
# Projects that are fetched as sources or roles, never pip-installed from a copy without history.
WITHOUT_VERSION = {"openstack/openstack-zuul-jobs", "zuul/zuul-jobs"}


@pytest.fixture(scope="module")
def seed(root: Path) -> dict[str, Any]:
    """seeds/openstack.yaml."""
    return yaml.safe_load((root / "seeds" / "openstack.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def overlay(root: Path, seed: dict[str, Any]) -> list[dict[str, Any]]:
    """The stanzas that are laid over the config project."""
    path = root / "seeds" / seed["config-project"] / "zuul.d" / "openstack.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def stood_for(root: Path, seed: dict[str, Any]) -> list[dict[str, Any]]:
    """The stanzas that stand for what the tenant takes from nowhere."""
    path = root / "seeds" / seed["config-project"] / "zuul.d" / "upstream.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def job(root: Path) -> dict[str, Any]:
    """The job zuul-suse-devstack."""
    jobs = yaml.safe_load((root / "zuul-openstack.d" / "devstack-jobs.yaml").read_text(encoding="utf-8"))
    (found,) = [item["job"] for item in jobs if item["job"]["name"] == "zuul-suse-devstack"]
    return found


@pytest.fixture(scope="module")
def family(root: Path) -> dict[str, dict[str, Any]]:
    """Every devstack job by name."""
    items = yaml.safe_load((root / "zuul-openstack.d" / "devstack-jobs.yaml").read_text(encoding="utf-8"))
    return {item["job"]["name"]: item["job"] for item in items}


@pytest.fixture(scope="module")
def templates(root: Path) -> dict[str, Any]:
    """Every project-template by name."""
    items = yaml.safe_load((root / "zuul-openstack.d" / "project-templates.yaml").read_text(encoding="utf-8"))
    return {item["project-template"]["name"]: item["project-template"] for item in items}


def names(seed: dict[str, Any]) -> list[str]:
    return [project["name"] for project in seed["projects"]]


def test_seed_has_what_the_chain_needs(seed: dict[str, Any]) -> None:
    """And of what else upstream's jobs name only the names."""
    empty = {project["name"] for project in seed["projects"] if project.get("empty")}
    assert set(names(seed)) - empty == CHAIN_PROJECTS
    assert not empty & CHAIN_PROJECTS
    assert len(names(seed)) == len(set(names(seed)))
    assert [p for p in seed["projects"] if p.get("empty") and (p["include"] or "version" in p)] == []


def test_jobs_are_taken_where_the_chain_is_defined(seed: dict[str, Any]) -> None:
    assert {p["name"] for p in seed["projects"] if "job" in p["include"]} == CHAIN_JOBS


def test_nobody_elses_pipelines_secrets_or_queues_are_taken(seed: dict[str, Any]) -> None:
    assert {kind for p in seed["projects"] for kind in p["include"]} <= {"job", "nodeset"}


def test_every_project_that_is_installed_has_a_version(seed: dict[str, Any]) -> None:
    versions = {p["name"]: p.get("version") for p in seed["projects"] if not p.get("empty")}
    assert {name for name, version in versions.items() if version is None} == WITHOUT_VERSION
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", v) for v in versions.values() if v), "a YAML float, or no version"


def test_required_projects_of_the_job_are_in_the_seed(seed: dict[str, Any], job: dict[str, Any]) -> None:
    required = {str(p["name"] if isinstance(p, dict) else p) for p in job.get("required-projects", [])}
    assert {name.removeprefix(seed["canonical-hostname"] + "/") for name in required} <= set(names(seed))


def test_every_service_of_upstreams_job_is_decided(job: dict[str, Any]) -> None:
    decided = job["vars"]["devstack_services"]
    assert set(decided) >= CHAIN_SERVICES
    assert all(isinstance(value, bool) for value in decided.values())


def test_job_downloads_no_image(job: dict[str, Any]) -> None:
    localrc = job["vars"]["devstack_localrc"]
    assert localrc["DOWNLOAD_DEFAULT_IMAGES"] is False
    assert localrc["IMAGE_URLS"].startswith("file://")
    assert localrc["IMAGE_URLS"].endswith("/" + localrc["DEFAULT_IMAGE_FILE_NAME"])
    assert localrc["DEFAULT_IMAGE_FILE_NAME"] == localrc["DEFAULT_IMAGE_NAME"] + ".qcow2"


def test_image_is_where_the_role_writes_it(root: Path, job: dict[str, Any]) -> None:
    defaults = yaml.safe_load((root / "roles" / "write-guest-image" / "defaults" / "main.yaml").read_text())
    assert job["vars"]["devstack_localrc"]["IMAGE_URLS"] == "file://" + defaults["write_guest_image_path"]


WANTED = [
    "tempest.api.identity.v3.test_tokens.TokensV3Test.test_create_token",
    "tempest.api.identity.admin.v3.test_users.UsersV3TestJSON.test_get_user",
    "tempest.api.image.v2.test_images.BasicOperationsImagesTest.test_delete_image",
    "tempest.api.compute.flavors.test_flavors.FlavorsV2TestJSON.test_get_flavor",
    "tempest.api.compute.admin.test_flavors_access.FlavorsAccessTestJSON.test_flavor_access_add_remove",
]
UNWANTED = [
    "tempest.api.compute.servers.test_servers.ServersTestJSON.test_update_server_name",
    "tempest.api.compute.admin.test_hypervisor.HypervisorAdminTestJSON.test_get_hypervisor_list",
    "tempest.api.compute.images.test_images.ImagesTestJSON.test_delete_saving_image",
    "tempest.api.volume.test_versions.VersionsTest.test_show_version",
    "tempest.api.compute.flavors.test_flavors_negative.FlavorsV2NegativeTest.test_boot_with_low_ram[id-1,negative]",
    "tempest.api.image.v2.test_images_dependency.ImageDependencyTests.test_nova_image_snapshot_dependency[id-1]",
    "tempest.scenario.test_minimum_basic.TestMinimumBasicScenario.test_minimum_basic_scenario",
]


@pytest.mark.parametrize(("test", "taken"), [(t, True) for t in WANTED] + [(t, False) for t in UNWANTED])
def test_regex_takes_identity_flavors_and_images(job: dict[str, Any], test: str, taken: bool) -> None:
    wanted, excluded = job["vars"]["tempest_test_regex"], job["vars"]["tempest_exclude_regex"]
    assert bool(re.search(wanted, test) and not re.search(excluded, test)) is taken


def test_only_the_base_says_how_a_job_runs(family: dict[str, dict[str, Any]]) -> None:
    """Others change variables and, for another release, nodeset and vote; and say on which branches they run."""
    told = {"name", "parent", "description", "branches", "nodeset", "voting", "timeout", "vars", "group-vars"}
    base = family["zuul-suse-devstack-base"]
    others = {name: job for name, job in family.items() if job is not base}
    assert base["parent"] == "devstack-tempest"
    assert base["abstract"] is True
    assert {"pre-run", "post-run", "timeout", "post-timeout", "irrelevant-files"} <= base.keys()
    assert {name: job.keys() - told for name, job in others.items() if job.keys() - told} == {}
    assert all(job["parent"] in family for job in others.values())


def test_a_release_that_may_break_by_itself_does_not_vote(family: dict[str, dict[str, Any]]) -> None:
    weak = {name for name, job in family.items() if re.search(r"15\.6|tumbleweed", job.get("nodeset", ""))}
    assert weak == {name for name in family if name.endswith(("leap-15.6", "tumbleweed"))}
    assert weak == {name for name, job in family.items() if job.get("voting") is False}
    assert len(weak) == 4


def test_every_job_runs_on_the_main_branch_only(family: dict[str, dict[str, Any]]) -> None:
    """It is tested with master's tempest. The base, which never runs by itself, is open to others' jobs."""
    branches = {name: job.get("branches") for name, job in family.items()}
    assert branches.pop("zuul-suse-devstack-base") is None
    assert branches
    assert set(branches.values()) == {"^(master|main)$"}


IRRELEVANT = ["doc/source/index.rst", "README.rst", "nova/tests/unit/test_api.py", "nova/locale/de/LC_MESSAGES/nova.po"]
RELEVANT = ["nova/api/auth.py", "stack.sh", "lib/tests/unit.sh", "tempest/api/identity/base.py", "requirements.txt",
            "nova/tests/fixtures.py"]  # fmt: skip


@pytest.mark.parametrize(("path", "skipped"), [(p, True) for p in IRRELEVANT] + [(p, False) for p in RELEVANT])
def test_irrelevant_files(family: dict[str, dict[str, Any]], path: str, skipped: bool) -> None:
    patterns = family["zuul-suse-devstack-base"]["irrelevant-files"]
    assert any(re.match(pattern, path) for pattern in patterns) is skipped


def test_a_plugin_is_named_by_one_variable(family: dict[str, dict[str, Any]]) -> None:
    plugins = family["zuul-suse-devstack-plugin"]["vars"]["devstack_plugins"]
    jinja2 = pytest.importorskip("jinja2.nativetypes", reason="Jinja2 is not installed here")
    native = jinja2.NativeEnvironment()
    native.filters["basename"] = lambda path: path.rsplit("/", 1)[-1]
    found = native.from_string(plugins).render(zuul_suse_devstack_plugin="opendev.org/openstack/heat")
    assert found == {"heat": "https://opendev.org/openstack/heat"}


def test_a_plugin_of_any_hosting_gets_to_devstack(family: dict[str, dict[str, Any]]) -> None:
    folders = family["zuul-suse-devstack-plugin"]["vars"]["devstack_source_dirs"]
    jinja2 = pytest.importorskip("jinja2.nativetypes", reason="Jinja2 is not installed here")
    native = jinja2.NativeEnvironment()
    native.filters["dirname"] = lambda path: path.rsplit("/", 1)[0]
    native.filters["regex_replace"] = lambda text, pattern, new: re.sub(pattern, new, text)
    native.filters["union"] = lambda one, other: list(dict.fromkeys([*one, *other]))
    for plugin, count in (("example.org/acme/greeting", 8), ("opendev.org/openstack/heat", 7)):
        found = native.from_string(folders).render(zuul_suse_devstack_plugin=plugin)
        assert len(found) == count
        assert {"src/opendev.org/openstack", f"src/{plugin.rsplit('/', 1)[0]}"} <= set(found)


PROJECTS = ("cinder", "glance", "keystone", "neutron", "nova", "plugin", "tempest")


def test_every_project_has_a_template_of_one_line(templates: dict[str, Any], family: dict[str, dict[str, Any]]) -> None:
    """And in each a job votes."""
    assert {f"zuul-suse-devstack-{name}" for name in PROJECTS} | {"zuul-suse-devstack"} == set(templates)
    for name, template in templates.items():
        assert any(family[job].get("voting", True) for job in template["check"]["jobs"]), name


def test_templates_name_jobs_that_are(root: Path, templates: dict[str, Any]) -> None:
    jobs = {
        item["job"]["name"]
        for path in (root / "zuul-openstack.d").glob("*-jobs.yaml")
        for item in yaml.safe_load(path.read_text(encoding="utf-8"))
        if "job" in item
    }
    asked = {name for t in templates.values() for k, v in t.items() if isinstance(v, dict) for name in v["jobs"]}
    assert asked
    assert asked <= jobs


def test_overlay_adds_to_base_and_does_not_replace_it(
    overlay: list[dict[str, Any]], root: Path, seed: dict[str, Any]
) -> None:
    (base,) = [item["job"] for item in overlay if "job" in item]
    assert base["name"] == "base"
    assert base["parent"] is None
    assert base["abstract"] is True
    assert base["roles"] == [{"zuul": "zuul/zuul-jobs"}]
    folder = root / "seeds" / seed["config-project"]
    assert (folder / base["pre-run"]).is_file()
    seeded = root / "seeds" / "config-project"
    here, there = ({path.relative_to(top) for path in top.rglob("*.yaml")} for top in (folder, seeded))
    assert here
    assert not here & there, "a file of the seed would be overwritten"


def test_what_stands_for_something_never_runs(
    root: Path, seed: dict[str, Any], stood_for: list[dict[str, Any]]
) -> None:
    """But for the one job of the chain, which has its playbook."""
    jobs = {item["job"]["name"]: item["job"] for item in stood_for if "job" in item}
    (playbook,) = [job.pop("pre-run") for job in jobs.values() if "pre-run" in job]
    assert "roles" in jobs.pop("openstack-multinode-fips")
    assert (root / "seeds" / seed["config-project"] / playbook).is_file()
    assert jobs
    assert [name for name, job in jobs.items() if job["abstract"] is not True or job.keys() & {"run", "nodeset"}] == []
    assert {str(item["nodeset"]["nodes"]) for item in stood_for if "nodeset" in item} == {"[]"}


def test_projects_with_a_pipeline_are_in_the_seed(
    overlay: list[dict[str, Any]], seed: dict[str, Any], templates: dict[str, Any]
) -> None:
    projects = [item["project"] for item in overlay if "project" in item]
    assert {p["name"] for p in projects} <= set(names(seed))
    assert {t for p in projects for t in p["templates"]} <= set(templates)
    assert {change["project"] for change in seed["demonstration"]["changes"]} <= {p["name"] for p in projects}
    assert seed["demonstration"]["job"] in {
        job for p in projects for t in p["templates"] for job in templates[t]["check"]["jobs"]
    }


def test_demonstrated_texts_are_python(seed: dict[str, Any]) -> None:
    edits = [edit for change in seed["demonstration"]["changes"] for edit in change["edits"]]
    texts = [(edit["append"], edit["file"]) for edit in edits if edit["file"].endswith(".py") and "append" in edit]
    assert texts
    for text, file in texts:
        compile(text, file, "exec")


def test_each_demonstrated_project_can_fail(seed: dict[str, Any]) -> None:
    """A job that always passes shows nothing."""
    changes = seed["demonstration"]["changes"]
    projects = {change["project"] for change in changes}
    assert {"openstack/devstack", "openstack/nova"} <= projects
    for project in projects:
        assert {change["vote"] for change in changes if change["project"] == project} == {-1, 1}
