# SPDX-License-Identifier: Apache-2.0
"""Our configuration as Zuul itself takes it: loaded by its own parser, and the comment written by its own reporter.

No service is needed: the connections are configured and never spoken to. Skipped where Zuul is not installed, as on the
self-test job's node.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("zuul.configloader", reason="Zuul is not installed here")

from zuul import model
from zuul.configloader import ParseContext, TenantParser
from zuul.driver.gerrit.gerritmodel import GerritTriggerEvent
from zuul.driver.gerrit.gerritreporter import GerritReporter
from zuul.driver.timer.crontrigger import ZuulCronTrigger
from zuul.driver.zuul.zuulreporter import ZuulReporter
from zuul.lib.ansible import AnsibleManager
from zuul.lib.connections import ConnectionRegistry

CONNECTIONS = """
[connection gerrit]
driver=gerrit
server=localhost
user=suse-cloud-ci
canonical_hostname=opendev.org
[connection git]
driver=git
baseurl=/nowhere
"""
# Jobs of other projects that ours descend from; their own configuration is not here.
FOREIGN = "- job: {name: devstack-tempest, parent: base, abstract: true}\n"

# What Gerrit's Zuul Summary tab reads (third-party-ci.md): a verdict line, and one line per job.
VERDICT = re.compile(r"^Build (\w+)(?: \((\w+) pipeline\))?\.", re.MULTILINE)
RESULT = re.compile(r"^- (\S+) (https?://\S+) : (\S+) in (.+)$", re.MULTILINE)


# The deployment's jobs by themselves; their ancestor wants Crowbar's projects in the tenant.
CROWBAR_BASE = "- job: {name: zuul-suse-crowbar-base, parent: zuul-suse-base, abstract: true}\n"


def load(root: Path, pipelines: str, *more: Path, openstack: bool = True) -> Any:  # noqa: ANN401 - no types
    """Load the seeded config project and this project into a tenant's layout; what Zuul complains of is an error.

    With `openstack` the tenant has the jobs that ours of devstack descend from, and takes those. `more`: files of ours.
    """
    config = configparser.ConfigParser()
    config.read_string(CONNECTIONS)
    connections = ConnectionRegistry()
    connections.configure(config, sources=True, triggers=True, reporters=True)
    limits = SimpleNamespace(max_hold_expiration=0, default_hold_expiration=0)
    context = ParseContext(connections, limits, SimpleNamespace(system_id="test"), AnsibleManager())
    parser = TenantParser(connections, None, mock.MagicMock(connections=connections), None, None, limits, None, None)
    tenant = model.Tenant("zuul-suse")
    tenant.allowed_labels = tenant.disallowed_labels = None
    # The sandbox's tenant; Zuul's defaults are too small for Crowbar's cluster (docs/crowbar-deploy.rst).
    tenant.max_nodes_per_job, tenant.max_job_timeout = 6, 21600
    parsed = model.ParsedConfig()
    seed = root / "seeds" / "config-project"
    trusted_files = sorted({seed / "zuul.d" / "base-job.yaml", *(seed / pipelines).glob("*.yaml")})
    folders = ("zuul.d", "zuul-openstack.d") if openstack else ("zuul.d",)
    for name, trusted, files in (
        ("suse/config-project", True, trusted_files),
        ("zuul-suse", False, [*sorted(path for folder in folders for path in (root / folder).glob("*.yaml")), *more]),
    ):
        project = model.Project(name, connections.getSource("gerrit"))
        tpc = model.TenantProjectConfig(project)
        tpc.trusted, tpc.branches, tpc.merge_modes = trusted, ["master"], None
        tpc.load_classes = set(TenantParser.all_classes)
        tenant.addTPC(tpc)
        texts = {str(path): path.read_text(encoding="utf-8") for path in files}
        if trusted and openstack:
            texts["foreign.yaml"] = FOREIGN
        for path, text in texts.items():
            source = model.SourceContext(project.canonical_name, name, "gerrit", "master", path)
            with context.errorContext(source_context=source):
                part = parser.loadProjectYAML(text, source, context)
            parser.addProjectBranchConfig(context, parsed, tenant, tpc, part, trusted)
    tenant.getProjectBranches = lambda _: ["master"]
    layout = parser._parseLayout(tenant, parsed, context)
    assert [error.error for error in layout.loading_errors.errors] == []
    return layout


@pytest.fixture(scope="module")
def layout(root: Path) -> Any:  # noqa: ANN401
    """The tenant's layout with Gerrit."""
    return load(root, "zuul.d")


def test_zuul_takes_the_configuration(layout: Any) -> None:  # noqa: ANN401
    assert set(layout.pipeline_managers) == {"check", "configuration", "manual", "periodic"}
    assert "zuul-suse-selftest-unit" in layout.jobs


def test_zuul_puts_the_devstack_jobs_together(layout: Any) -> None:  # noqa: ANN401
    """What a variant inherits, by Zuul's own rules."""
    jobs = {name: variants[0] for name, variants in layout.jobs.items() if name.startswith("zuul-suse-devstack")}
    assert {name for name, job in jobs.items() if job.abstract} == {"zuul-suse-devstack-base"}
    assert {name for name, job in jobs.items() if job.voting is False} == {
        f"zuul-suse-devstack{kind}-{release}" for kind in ("", "-full") for release in ("leap-15.6", "tumbleweed")
    }
    assert {job.parent for job in jobs.values()} == {
        "devstack-tempest", "zuul-suse-devstack-base", "zuul-suse-devstack", "zuul-suse-devstack-full",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("branch", "tested"),
    [
        ("master", True), ("main", True), ("stable/2026.1", False), ("unmaintained/2024.1", False),
        ("feature/master", False), ("master-next", False),
    ],
)  # fmt: skip
def test_the_devstack_jobs_run_on_the_main_branch_only(layout: Any, branch: str, tested: bool) -> None:  # noqa: ANN401
    """Asked of Zuul's own matcher, for each job that a template names."""
    change = SimpleNamespace(branch=branch, ref=f"refs/heads/{branch}", project=SimpleNamespace(name="openstack/nova"))
    templates = [t for name, (t,) in layout.project_templates.items() if name.startswith("zuul-suse-devstack")]
    names = {name for t in templates for pipeline in t.pipelines.values() for name in pipeline.job_list.jobs}
    assert len(names) >= 7
    for name in names:
        matching = [job for job in layout.jobs[name] if job.changeMatchesBranch(layout.tenant, change)]
        assert bool(matching) is tested, name


@pytest.mark.parametrize("name", ["cinder", "glance", "keystone", "neutron", "nova", "plugin", "tempest"])
def test_zuul_takes_the_template_of_a_project(layout: Any, name: str) -> None:  # noqa: ANN401
    (template,) = layout.project_templates[f"zuul-suse-devstack-{name}"]
    assert template.pipelines["check"].job_list.jobs
    assert set(template.pipelines["check"].job_list.jobs) <= set(layout.jobs)


def test_zuul_puts_the_crowbar_deployments_together(root: Path, tmp_path: Path) -> None:
    """Each branch has the nodes of its release, and what a job does not say is its parent's."""
    base = tmp_path / "base.yaml"
    base.write_text(CROWBAR_BASE)
    layout = load(root, "zuul.d", base, root / "zuul-crowbar.d" / "crowbar-deploy-jobs.yaml", openstack=False)
    variants = {name: jobs for name, jobs in layout.jobs.items() if name.startswith("zuul-suse-crowbar-deploy")}
    found = {
        name.removeprefix("zuul-suse-crowbar-deploy"): [str(job.nodeset) for job in jobs]
        for name, jobs in variants.items()
    }
    assert found == {
        kind: [f"zuul-suse-crowbar-{topology}-{release}" for release in releases]
        for kind, topology, releases in (
            ("", "single", ["cloud9", "cloud8", "cloud7", "cloud6"]),
            ("-multinode", "multinode", ["cloud9", "cloud8", "cloud7", "cloud6"]),
            ("-ha", "ha", ["cloud9", "cloud8"]),
        )
    }
    assert {jobs[0].parent for jobs in variants.values()} == {"zuul-suse-crowbar-base", "zuul-suse-crowbar-deploy"}
    (template,) = layout.project_templates["zuul-suse-crowbar-deploy"]
    assert "check" not in template.pipelines


def test_a_tenant_without_openstack_takes_it(root: Path) -> None:
    """A job whose parent is missing would put an error on every change to this project's configuration."""
    assert "zuul-suse-devstack" not in load(root, "zuul.d", openstack=False).jobs


def test_zuul_takes_it_on_plain_git(root: Path) -> None:
    assert set(load(root, "zuul.d-git").pipeline_managers) == {"post", "periodic"}


def test_a_broken_configuration_is_noticed(root: Path) -> None:
    """This test's own loader must be able to fail."""
    with (
        mock.patch(f"{__name__}.FOREIGN", "- job: {name: devstack-tempest, parent: base, no-such-key: 1}\n"),
        pytest.raises(AssertionError, match="no-such-key"),
    ):
        load(root, "zuul.d")


def test_the_night_is_a_time_that_zuul_knows(layout: Any) -> None:  # noqa: ANN401
    """Zuul reads it only when a scheduler runs, and then only logs a fault: five fields of cron, a second, a jitter."""
    (event,) = layout.pipeline_managers["periodic"].pipeline.event_filters
    (spec,) = event.timespecs
    minute, hour, day, month, weekday, second, jitter = spec.split()
    cron = {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": weekday, "second": second}
    assert ZuulCronTrigger(jitter=int(jitter), **cron)


def test_no_comment_at_a_start_a_conflict_or_a_fault_in_zuul_files(layout: Any) -> None:  # noqa: ANN401
    """One comment per patch set; an empty list of reporters for the last two would mean those of a failure."""
    for name in ("check", "manual"):
        pipeline = layout.pipeline_managers[name].pipeline
        assert pipeline.start_actions == []
        assert pipeline.enqueue_actions == []
        (silent,) = pipeline.merge_conflict_actions
        assert (silent._create_comment, silent._labels, silent._submit) == (False, {}, False)
        (nobody,) = pipeline.config_error_actions
        assert isinstance(nobody, ZuulReporter), "Gerrit's would comment in the file with the fault"


def test_votes(layout: Any) -> None:  # noqa: ANN401
    votes = {
        name: (manager.pipeline.success_actions[0]._labels, manager.pipeline.failure_actions[0]._labels)
        for name, manager in layout.pipeline_managers.items()
        if manager.pipeline.success_actions
    }
    assert votes == {"check": ({"Verified": 1}, {"Verified": -1}), "manual": ({}, {})}


def comment(layout: Any, pipeline: str, result: str, warnings: list[str]) -> str:  # noqa: ANN401
    """Return the comment that Zuul's own Gerrit reporter writes for one build."""
    job = SimpleNamespace(name="zuul-suse-selftest-unit", voting=True, success_message=None)
    build = SimpleNamespace(error_detail=None, start_time=1000.0, end_time=1303.0)
    item = mock.MagicMock()
    item.configure_mock(dequeued_needing_change=None, dequeued_missing_requirements=None, changes=[object()])
    item.manager = layout.pipeline_managers[pipeline]
    item.didMergerFail.return_value = False
    item.formatItemUrl.return_value = "http://127.0.0.1:9000/t/zuul-suse/buildset/1"
    item.getJobs.return_value = [job]
    item.getConfigErrors.return_value = []
    item.formatJobResult.return_value = (result, "http://127.0.0.1:8000/7/2/check/zuul-suse-selftest-unit/0123456/")
    build_set = SimpleNamespace(
        getBuild=lambda _: build, warning_messages=warnings, debug_messages=[], has_blocking_errors=False
    )
    item.current_build_set = build_set
    connection = SimpleNamespace(sched=SimpleNamespace(config=None))
    reporter = GerritReporter(None, connection, {})
    reporter.setAction("success" if result == "SUCCESS" else "failure")
    return reporter._formatItemReport(item)


@pytest.mark.parametrize("pipeline", ["check", "manual"])
@pytest.mark.parametrize(("result", "word"), [("SUCCESS", "succeeded"), ("FAILURE", "failed")])
def test_the_summary_tab_takes_the_comment(layout: Any, pipeline: str, result: str, word: str) -> None:  # noqa: ANN401
    text = comment(layout, pipeline, result, [])
    assert text.splitlines()[0] == f"Build {word} ({pipeline} pipeline)."
    assert VERDICT.findall(text) == [(word, pipeline)]
    ((job, url, outcome, time),) = RESULT.findall(text)
    assert (job, outcome, time) == ("zuul-suse-selftest-unit", result, "5m 03s")
    assert url.endswith("/0123456/")


def test_the_wiki_page_is_linked_in_every_comment(layout: Any) -> None:  # noqa: ANN401
    """SUSE Cloud CI's page under ThirdPartySystems, in the last line."""
    for result in ("SUCCESS", "FAILURE"):
        last = comment(layout, "check", result, []).splitlines()[-1]
        assert last.endswith("https://wiki.openstack.org/wiki/ThirdPartySystems/SUSE_Cloud_CI")


def test_the_failing_task_reaches_the_comment(layout: Any) -> None:  # noqa: ANN401
    """What the base job returns as a warning is in the text, and is not taken for a verdict or a result."""
    sentence = "zuul-suse-selftest-unit: controller failed in task [Run the unit tests]: exit 1: 1 failed"
    text = comment(layout, "check", "FAILURE", [sentence])
    assert f"Warning:\n  {sentence}\n" in text
    assert len(VERDICT.findall(text)) == 1
    assert len(RESULT.findall(text)) == 1


CHANGE = {"project": "openstack/nova", "branch": "master", "number": 1, "url": "x", "id": "I1"}
RUN = "Patch Set 2:\n\nrun-SUSE Cloud CI"


def started(layout: Any, kind: str, account: str, **more: object) -> set[str]:  # noqa: ANN401
    """The pipelines that an event of this kind starts, of what Gerrit sends and Zuul reads."""
    people = {key: {"username": account} for key in ("author", "uploader", "restorer", "changer", "abandoner")}
    data = {"type": kind, "change": CHANGE, "patchSet": {"number": 2, "ref": "refs/changes/01/1/2"}, **people, **more}
    connection = SimpleNamespace(connection_name="gerrit", canonical_hostname="opendev.org")
    event = GerritTriggerEvent.fromGerritEventDict(data, 1.0, connection, "id")
    change = SimpleNamespace(project=None)
    return {
        name
        for name, manager in layout.pipeline_managers.items()
        for known in manager.pipeline.event_filters
        if type(known).__name__ == "GerritEventFilter" and known.matches(event, change)
    }


@pytest.mark.parametrize("kind", ["patchset-created", "change-restored"])
def test_a_patch_set_that_is_new_or_back_is_judged(layout: Any, kind: str) -> None:  # noqa: ANN401
    assert started(layout, kind, "devon") == {"check", "configuration"}


@pytest.mark.parametrize("kind", ["change-abandoned", "change-merged", "wip-state-changed", "vote-deleted"])
def test_other_events_start_nothing(layout: Any, kind: str) -> None:  # noqa: ANN401
    assert started(layout, kind, "devon") == set()


def test_a_person_asks_again(layout: Any) -> None:  # noqa: ANN401
    assert started(layout, "comment-added", "devon", comment=RUN) == {"check"}
    level = {"/PATCHSET_LEVEL": [{"message": "looks well"}, {"message": "recheck the mirror was down"}]}
    assert started(layout, "comment-added", "devon", comment="(2 comments)", patchSetComments=level) == {"check"}


@pytest.mark.parametrize("account", ["suse-cloud-ci", "zuul", "netapp-ci"])
@pytest.mark.parametrize("words", [RUN, "recheck", "Patch Set 2:\n\nrun-suse-manual"])
def test_a_ci_does_not(layout: Any, account: str, words: str) -> None:  # noqa: ANN401
    """Not in a comment, and not in one on the patch set, which the jobs of a change can return."""
    assert started(layout, "comment-added", account, comment=words) == set()
    level = {"/PATCHSET_LEVEL": [{"message": words}]}
    assert started(layout, "comment-added", account, comment="(1 comment)", patchSetComments=level) == set()
