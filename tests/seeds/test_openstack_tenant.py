# SPDX-License-Identifier: Apache-2.0
"""The tenant that runs OpenStack's own jobs tests changes to upstream's Zuul files, and no fault of ours is a verdict.

Zuul's own parser reads the tenant's stanza, our configuration and small made-up trees with the faults of the real ones:
jobs that name projects, nodesets, parents and secrets which only OpenDev has. Zuul's own rule then says what keeps it
from testing a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

pytest.importorskip("zuul.configloader", reason="Zuul is not installed here")

from zuul import model
from zuul.configloader import TenantParser
from zuul.driver.zuul.zuulreporter import ZuulReporter
from zuul.manager import PipelineManager

from tests.seeds import zuul_parser
from zuul_suse.sandbox import mirror
from zuul_suse.seeds.render import TENANT_LIMITS

OURS, TRUSTED = "zuul-suse", "suse/config-project"
# What only OpenDev's tenant takes: the projects' own pipelines, and jobs that stand on what we don't have.
ELSEWHERE = """
- secret: {name: a-secret, data: {key: plain}}
- job: {name: elsewhere-promote, secrets: [a-secret], required-projects: [opendev/system-config], parent: no-such-job}
- project: {templates: [no-such-template], check: {jobs: [no-such-job]}, gate: {jobs: [elsewhere-promote]}}
"""
DEVSTACK = """
- nodeset: {name: openstack-single-node-noble, nodes: [{name: controller, label: ubuntu-noble}]}
- job:
    name: devstack-base
    parent: openstack-multinode-fips
    abstract: true
    required-projects: [opendev.org/openstack/devstack, novnc/novnc]
    roles: [{zuul: opendev.org/openstack/openstack-zuul-jobs}]
- job: {name: devstack, parent: devstack-base, required-projects: [openstack/nova], nodeset: ubuntu-jammy}
- job: {name: devstack-platform, parent: tempest-full-py3, nodeset: openstack-single-node-noble}
- job: {name: devstack-platform-from-source, parent: devstack-noble}
- job: {name: devstack-unit-tests, nodeset: ubuntu-noble}
- project: {templates: [integrated-gate-py3], check: {jobs: [devstack, no-such-job]}}
"""
# A job of master may descend from one that only a stable branch has.
DEVSTACK_STABLE = """
- nodeset: {name: openstack-single-node-noble, nodes: [{name: controller, label: ubuntu-noble}]}
- job: {name: devstack-noble, parent: tempest-full-py3, nodeset: openstack-single-node-noble}
- project: {check: {jobs: [devstack-noble]}}
"""
TEMPEST_BASE = """
- job:
    name: devstack-tempest
    parent: devstack
    required-projects: [opendev.org/openstack/tempest]
    roles: [{zuul: opendev.org/openstack/devstack}]
- job: {name: tempest-full-py3, parent: devstack-tempest}
- job: {name: tempest-extra, parent: tempest-full-py3, required-projects: [opendev.org/openstack/cinder-tempest-plugin]}
- job: {name: tempest-extra-2026-1, parent: tempest-extra, override-checkout: stable/2026.1}
- job: {name: tempest-oslo, parent: tempest-full-py3, required-projects: [openstack/oslo.log, openstack/oslo.vmware]}
"""
TEMPEST_MORE = """
- job: {name: tempest-full-py3, parent: devstack-tempest, branches: ^.*/xena$, required-projects: [openstack/horizon]}
- job: {name: tempest-sanity, parent: tox, nodeset: ubuntu-noble}
- job: {name: tempest-lvm-2025-1, parent: cinder-tempest-lvm-multibackend, nodeset: openstack-single-node-noble}
- project: {templates: [check-requirements, tempest-plugin-jobs], gate: {jobs: [no-such-job]}}
"""
# (project, branch) → file → text
UPSTREAM: dict[tuple[str, str], dict[str, str]] = {
    ("openstack/devstack", "master"): {".zuul.yaml": DEVSTACK},
    ("openstack/devstack", "stable/2026.1"): {".zuul.yaml": DEVSTACK_STABLE},
    ("openstack/tempest", "master"): {"zuul.d/base.yaml": TEMPEST_BASE, "zuul.d/more.yaml": TEMPEST_MORE},
    ("openstack/nova", "master"): {".zuul.yaml": ELSEWHERE},
    ("openstack/openstack-zuul-jobs", "master"): {"zuul.d/jobs.yaml": ELSEWHERE.replace("elsewhere", "osj")},
    ("zuul/zuul-jobs", "master"): {"zuul.yaml": "- job: {name: tox, nodeset: no-such-nodeset}\n"},
}

Files = Mapping[tuple[str, str], Mapping[str, str]]


class Tenant:
    """A tenant with our configuration and upstream's; each layout of it is loaded anew."""

    def __init__(self, root: Path) -> None:
        self._connections = zuul_parser.connections("opendev.org")
        self._parser = zuul_parser.parser(self._connections)
        layers = [root / "seeds" / layer / "zuul.d" for layer in ("config-project", "config-project-openstack")]
        own = [root / "zuul.d", root / "zuul-openstack.d"]
        read = {
            (name, "master"): {
                str(path): path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))
            }
            for name, folders in ((TRUSTED, layers), (OURS, own))
        }
        self.files: Files = read | UPSTREAM
        stanza = yaml.safe_load(
            (root / "seeds" / "config-project-openstack" / "tenant-projects-openstack.yaml").read_text()
        )
        self._stanza = {"config-projects": [TRUSTED], **stanza}
        TenantParser.tenant_source(self._stanza)
        self._source = self._connections.getSource("gerrit")
        self.layout = self.load(self.files)

    def _tenant(self) -> Any:  # noqa: ANN401 - Zuul has no types
        tenant = model.Tenant("zuul-suse")
        tenant.allowed_labels = tenant.disallowed_labels = None
        tenant.max_nodes_per_job = TENANT_LIMITS["max-nodes-per-job"]
        tenant.max_job_timeout = TENANT_LIMITS["max-job-timeout"]
        for key, classes in (
            ("config-projects", self._parser.all_classes),
            ("untrusted-projects", self._parser.job_classes),
        ):
            for conf in self._stanza[key]:
                for tpc in self._parser._getProjects(self._source, conf, frozenset(classes)):
                    tpc.trusted, tpc.merge_modes, tpc.dynamic_branches = key == "config-projects", None, []
                    known = [branch for name, branch in self.files if name == tpc.project.name] or ["master"]
                    tpc.branches = [branch for branch in known if tpc.includesBranch(branch)]
                    tenant.addTPC(tpc)
        return tenant

    def load(self, files: Files) -> Any:  # noqa: ANN401
        """The layout with these files."""
        context, parsed, tenant = zuul_parser.context(self._connections), model.ParsedConfig(), self._tenant()
        for (name, branch), texts in files.items():
            tpc = tenant.getTPC(name)
            for path, text in texts.items() if branch in tpc.branches else ():
                place = model.SourceContext(tpc.project.canonical_name, name, "gerrit", branch, path)
                with context.errorContext(source_context=place):
                    part = self._parser.loadProjectYAML(text, place, context)
                self._parser.addProjectBranchConfig(context, parsed, tenant, tpc, part, tpc.trusted)
        tenant.layout = self._parser._parseLayout(tenant, parsed, context)
        return tenant.layout

    def faults(self, project: str, branch: str, file: str, edit: Callable[[str], str]) -> list[str]:
        """What keeps Zuul from testing a change to one file of a project's branch."""
        place = (project, branch)
        files = {**self.files, place: {**self.files[place], file: edit(self.files[place].get(file, ""))}}
        change = SimpleNamespace(project=SimpleNamespace(name=project), branch=branch)
        manager, item = SimpleNamespace(tenant=self.layout.tenant), SimpleNamespace(items_ahead=[], changes=[change])
        found, blocking = PipelineManager._findRelevantErrors(manager, item, self.load(files))
        return [error.error for error in found] if blocking else []


@pytest.fixture(scope="module")
def tenant(root: Path) -> Tenant:
    return Tenant(root)


def test_nothing_is_wrong_at_rest(tenant: Tenant) -> None:
    """And our jobs descend from upstream's."""
    assert [error.error for error in tenant.layout.loading_errors.errors] == []
    assert {"zuul-suse-devstack", "devstack-tempest", "tempest-sanity", "tempest-lvm-2025-1"} <= set(tenant.layout.jobs)
    assert "elsewhere-promote" not in tenant.layout.jobs


@pytest.mark.parametrize(("place", "file"), [(place, file) for place, files in UPSTREAM.items() for file in files])
def test_a_comment_in_upstreams_zuul_files_keeps_nothing_from_being_tested(
    tenant: Tenant, place: tuple[str, str], file: str
) -> None:
    assert tenant.faults(*place, file, lambda text: f"{text}# A comment\n") == []


@pytest.mark.parametrize(
    ("project", "branch", "added"),
    [
        (
            "openstack/tempest",
            "master",
            "- job: {name: t, parent: devstack-tempest, required-projects: [openstack/manila]}",
        ),
        (
            "openstack/tempest",
            "master",
            "- job: {name: t, nodeset: ubuntu-resolute, required-projects: [openstack/oslo.log]}",
        ),
        ("openstack/tempest", "master", "- project: {check: {jobs: [some-new-job]}}"),
        ("openstack/devstack", "master", "- nodeset: {name: n, nodes: [{name: controller, label: some-new-label}]}"),
        ("openstack/devstack", "master", "- project-template: {name: devstack-jobs, check: {jobs: [some-new-job]}}"),
        ("openstack/devstack", "stable/2026.1", "- job: {name: j, parent: devstack-noble, nodeset: ubuntu-focal}"),
        ("openstack/nova", "master", "- job: {name: j, parent: no-such-job, required-projects: [no/such]}"),
        ("openstack/nova", "master", "- pipeline: {name: p}"),
        ("openstack/openstack-zuul-jobs", "master", "- job: {name: j, secrets: [another], nodeset: no-such-nodeset}"),
    ],
)
def test_what_upstream_adds_keeps_nothing_from_being_tested(
    tenant: Tenant, project: str, branch: str, added: str
) -> None:
    assert tenant.faults(project, branch, next(iter(UPSTREAM[project, branch])), lambda text: f"{text}{added}\n") == []


def test_a_change_to_upstreams_job_is_taken(tenant: Tenant) -> None:
    """As little as possible, but no less: where upstream renames what ours descend from, ours are broken."""
    place = ("openstack/tempest", "master", "zuul.d/base.yaml")
    assert "devstack-tempest" in tenant.faults(*place, lambda text: text.replace("devstack-tempest", "renamed"))[0]


def silent(actions: list[Any]) -> bool:
    """Gerrit's reporter puts comments into the file with the fault, whatever it is told of other comments."""
    return all(isinstance(a, ZuulReporter) and not a.image_built and a.image_validated is None for a in actions)


def test_what_we_can_not_resolve_is_no_verdict(tenant: Tenant) -> None:
    """In no pipeline that upstream's projects are in."""
    added = "- job: {name: t, parent: devstack-tempest, required-projects: [openstack/no-such-project]}\n"
    assert tenant.faults("openstack/tempest", "master", "zuul.d/base.yaml", lambda text: text + added) != []
    speaking = {
        name
        for name, manager in tenant.layout.pipeline_managers.items()
        if not silent(manager.pipeline.config_error_actions)
    }
    assert speaking == {"configuration"}
    assert {name for name, configs in joined(tenant, "configuration").items() if configs} == {OURS, TRUSTED}


def joined(tenant: Tenant, pipeline: str) -> dict[str, list[Any]]:
    """Project → its stanzas that have a pipeline, templates counted in."""
    layout = tenant.layout
    return {
        name.removeprefix("opendev.org/"): [
            part
            for config in configs
            for part in (config, *(t for name in config.templates for t in layout.getProjectTemplates(name)))
            if pipeline in part.pipelines
        ]
        for name, configs in layout.project_configs.items()
    }


@pytest.mark.parametrize("project", [OURS, TRUSTED])
def test_who_changes_our_own_zuul_files_is_told_what_is_wrong(tenant: Tenant, project: str) -> None:
    """In a comment without a vote, by a pipeline that says nothing else; where `check` keeps silent."""
    added = "- job: {name: zuul-suse-x, parent: no-such-job}\n"
    assert "no-such-job" in tenant.faults(project, "master", "more.yaml", lambda text: text + added)[0]
    pipeline = tenant.layout.pipeline_managers["configuration"].pipeline
    (teller,) = pipeline.config_error_actions
    assert (teller._create_comment, teller._labels, teller._submit) == (True, {}, False)
    others = (pipeline.success_actions, pipeline.failure_actions, pipeline.start_actions, pipeline.no_jobs_actions)
    assert all(actions == [] for actions in others)
    (stanza,) = joined(tenant, "configuration")[project]
    assert set(stanza.pipelines["configuration"].job_list.jobs) == {"noop"}


def test_the_stanza_for_operators_is_what_the_sandbox_has(root: Path) -> None:
    seed = mirror.read_seed("openstack.yaml")
    stanza = yaml.safe_load(
        (root / "seeds" / "config-project-openstack" / "tenant-projects-openstack.yaml").read_text()
    )
    own, *single, group = stanza["untrusted-projects"]
    assert own == {OURS: {"extra-config-paths": list(seed.own_config_paths)}}
    taken = {name: options for entry in single for name, options in entry.items()}
    taken |= {name: {"include": group["include"]} for name in group["projects"]}
    assert taken == {project.name: {"include": list(project.include)} for project in seed.projects}
