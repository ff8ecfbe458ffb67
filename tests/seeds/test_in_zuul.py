# SPDX-License-Identifier: Apache-2.0
"""What is written from Crowbar's seed, as Zuul itself takes it: which job a change gets, and with which checkouts.

Zuul's own loader reads the written files, and its own rules choose variants. The jobs' main definitions are made up.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml

pytest.importorskip("zuul.configloader", reason="Zuul is not installed here")

from zuul import model
from zuul.configloader import TenantParser

from tests.seeds import zuul_parser
from zuul_suse.seeds.description import Family, read

MAIN = """
- job: {name: zuul-suse-crowbar-unit, parent: base, run: playbooks/unit.yaml}
- job: {name: zuul-suse-crowbar-bundle, parent: base, run: playbooks/bundle.yaml, vars: {crowbar_own: 1}}
- job: {name: zuul-suse-crowbar-deploy, parent: base, run: playbooks/deploy.yaml}
- job: {name: zuul-suse-crowbar-deploy-ha, parent: zuul-suse-crowbar-deploy, nodeset: {nodes: []}}
"""
UNIT, BUNDLE = "zuul-suse-crowbar-unit", "zuul-suse-crowbar-bundle"


@pytest.fixture(scope="module")
def crowbar(root: Path) -> Family:
    return read(root / "seeds" / "crowbar.yaml")


@pytest.fixture(scope="module")
def layout(root: Path, crowbar: Family) -> Any:  # noqa: ANN401 - Zuul's Layout has no types
    """A tenant with both layers of the trusted repository, our jobs, and every project of Crowbar."""
    connections = zuul_parser.connections()
    context, parser = zuul_parser.context(connections), zuul_parser.parser(connections)
    tenant = model.Tenant("zuul-suse")
    tenant.allowed_labels = tenant.disallowed_labels = None
    tenant.getProjectBranches = lambda _: ["master"]
    source = connections.getSource("gerrit")
    layers = ("config-project", "config-project-crowbar")
    trusted = [path for layer in layers for path in sorted((root / "seeds" / layer / "zuul.d").glob("*.yaml"))]
    written = [root / "zuul-crowbar.d" / name for name in ("crowbar-releases.yaml", "project-templates.yaml")]
    texts = {
        "suse/config-project": [path.read_text() for path in trusted],
        "zuul-suse": [MAIN, *(path.read_text() for path in written)],
    }
    parsed = model.ParsedConfig()
    for name in (*texts, *(project.name for project in crowbar.taken)):
        project = model.Project(name, source)
        tpc = model.TenantProjectConfig(project)
        tpc.trusted, tpc.branches, tpc.merge_modes = name == "suse/config-project", ["master"], None
        tpc.load_classes = set(TenantParser.all_classes)
        tenant.addTPC(tpc)
        for number, text in enumerate(texts.get(name, [])):
            place = model.SourceContext(project.canonical_name, name, "gerrit", "master", f"{number}.yaml")
            with context.errorContext(source_context=place):
                part = parser.loadProjectYAML(text, place, context)
            parser.addProjectBranchConfig(context, parsed, tenant, tpc, part, tpc.trusted)
    made = parser._parseLayout(tenant, parsed, context)
    assert [error.error for error in made.loading_errors.errors] == []
    tenant.layout = made
    return made


def frozen(layout: Any, change: Any, name: str) -> Any:  # noqa: ANN401
    """A job for a change as Zuul puts it together out of its variants."""
    item = SimpleNamespace(annotateLogger=lambda log: log, parameters={})
    job = None
    for variant in layout.collectJobs(item, name, change):
        if job is None:
            job = variant.copy()
            job.setBase(layout, mock.MagicMock())
        else:
            job.applyVariant(variant, layout, mock.MagicMock())
            job.name = variant.name
    return job


def changed(layout: Any, project: str, branch: str) -> Any:  # noqa: ANN401
    (known,) = [tpc.project for tpc in layout.tenant.all_tpcs if tpc.project.name == project]
    change = model.Branch(known)
    change.branch = branch
    return change


def jobs(layout: Any, project: str, branch: str) -> dict[str, Any]:  # noqa: ANN401
    """What a change to a project's branch gets in `check`."""
    change = changed(layout, project, branch)
    item = mock.MagicMock()
    item.manager.pipeline.name = "check"
    ppc = layout.getProjectPipelineConfig(item, change)
    wanted = {
        name
        for name, variants in ppc.job_list.jobs.items()
        if any(variant.changeMatchesBranch(layout.tenant, change) for variant in variants)
    }
    return {name: frozen(layout, change, name) for name in wanted}


def checkouts(job: Any) -> dict[str, str]:  # noqa: ANN401
    return {
        wanted.project_name.removeprefix("localhost/"): wanted.override_checkout
        for wanted in job.required_projects.values()
    }


def test_a_change_gets_the_bundle_of_its_branchs_release(layout: Any, crowbar: Family) -> None:  # noqa: ANN401
    """Every project of every release, on that release's branch."""
    seen = 0
    for release in crowbar.releases:
        expected = {crowbar.installer: release.branch} | {one.name: release.branch for one in release.components}
        for project in expected:
            found = jobs(layout, project, release.branch)
            assert set(found) == {UNIT, BUNDLE}, (release.name, project)
            job = found[BUNDLE]
            assert checkouts(job) == expected | dict.fromkeys(release.scenarios, "master"), (release.name, project)
            assert {s["project"]: s["path"] for s in job.variables.get("crowbar_scenarios", [])} == release.scenarios
            assert job.variables["crowbar_release"] == release.name
            assert [c["component"] for c in job.variables["crowbar_components"]] == [
                component.component for component in release.components
            ]
            assert job.variables["crowbar_own"] == 1, "the job's main definition counts too"
            assert checkouts(found[UNIT]) == {}
            seen += 1
    assert seen == 36 + 37 + 6 + 6 + 5 + 4


def test_a_branch_of_no_release_gets_no_bundle(layout: Any, crowbar: Family) -> None:  # noqa: ANN401
    """The stubs above all: `master` is the newest release, but not of these."""
    belonging = {
        (project.name, release.branch) for project in crowbar.taken for release in crowbar.releases_of(project)
    }
    others = [
        (project.name, branch)
        for project in crowbar.taken
        if project.name.startswith("crowbar/")
        for branch in (*project.branches, "feature/chef_db_drop", "stable/4x0")
        if (project.name, branch) not in belonging
    ]
    for wanted in ("crowbar/barclamp-nova", "crowbar/crowbar-hyperv", "crowbar/crowbar-client", "crowbar/crowbar-ceph"):
        assert (wanted, "master") in others
    assert {name: set(jobs(layout, *name)) for name in others} == {name: {UNIT} for name in others}


def test_the_installer_on_stoney_is_a_part_of_stoney(layout: Any) -> None:  # noqa: ANN401
    bundle = jobs(layout, "crowbar/crowbar", "release/stoney/master")[BUNDLE]
    assert len(checkouts(bundle)) == 36
    assert set(checkouts(bundle).values()) == {"release/stoney/master"}


def test_what_descends_from_the_deployment_has_its_projects_and_tools(layout: Any) -> None:  # noqa: ANN401
    change = changed(layout, "crowbar/crowbar-core", "stable/5.0-pike")
    found = checkouts(frozen(layout, change, "zuul-suse-crowbar-deploy-ha"))
    assert found["crowbar/crowbar-core"] == "stable/5.0-pike"
    assert found["crowbar/crowbar-init"] == found["crowbar/crowbar-client"] == "master"
    assert len(found) == 7


def test_a_release_that_can_not_be_deployed_has_no_variant_of_that(layout: Any) -> None:  # noqa: ANN401
    change = changed(layout, "crowbar/crowbar", "release/stoney/master")
    assert checkouts(frozen(layout, change, "zuul-suse-crowbar-deploy")) == {}


def test_scenarios_alone_have_no_job(layout: Any) -> None:  # noqa: ANN401
    item = mock.MagicMock()
    item.manager.pipeline.name = "check"
    change = changed(layout, "SUSE-Cloud/automation", "master")
    assert layout.getProjectPipelineConfig(item, change) is None


def test_default_branches(layout: Any, crowbar: Family) -> None:  # noqa: ANN401
    for project in crowbar.taken:
        assert layout.getProjectMetadata(f"localhost/{project.name}").default_branch == project.default_branch


def test_the_part_for_a_tenant_file_is_one_that_zuul_takes(root: Path, crowbar: Family) -> None:
    part = yaml.safe_load((root / "seeds" / "config-project-crowbar" / "tenant-projects.yaml").read_text())
    tenant = {"name": "x", "source": {"gerrit": {"config-projects": ["suse/config-project"], **part}}}
    connections = zuul_parser.connections()
    TenantParser(connections, *(7 * [None])).getSchema()(tenant)
    theirs = part["untrusted-projects"][1]
    assert theirs == {"include": [], "projects": [project.name for project in crowbar.taken]}
