# SPDX-License-Identifier: Apache-2.0
"""What is written from a seed, and that a written file which drifted is noticed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from zuul_suse.cli.seeds import seeds
from zuul_suse.seeds import SeedError
from zuul_suse.seeds.render import drift, pattern, write

WRITTEN = [
    Path("zuul-crowbar.d/crowbar-releases.yaml"),
    Path("seeds/config-project-crowbar/zuul.d/crowbar-projects.yaml"),
    Path("seeds/config-project-crowbar/tenant-projects.yaml"),
]


def loaded(folder: Path, number: int) -> Any:  # noqa: ANN401  YAML
    return yaml.safe_load((folder / WRITTEN[number]).read_text())


def test_this_repository_has_not_drifted(root: Path) -> None:
    assert drift(root) == {}


def test_files_are_written_once(checkout: Path) -> None:
    assert write(checkout) == WRITTEN
    assert write(checkout) == []
    for name in WRITTEN:
        text = (checkout / name).read_text()
        assert "Written by `zuul-suse seeds render` from seeds/crowbar.yaml" in text.splitlines()[2]


def test_a_variant_per_job_and_release(checkout: Path) -> None:
    write(checkout)
    jobs = [stanza["job"] for stanza in loaded(checkout, 0) if "job" in stanza]
    assert [(job["name"], job["branches"]) for job in jobs] == [
        ("zuul-suse-crowbar-bundle", "^release/stoney/master$"),
        ("zuul-suse-crowbar-deploy", "^release/stoney/master$"),
        ("zuul-suse-crowbar-bundle", r"^stable/4\.0$"),
        ("zuul-suse-crowbar-deploy", r"^stable/4\.0$"),
    ]
    bundle, deploy = jobs[2:]
    assert bundle["required-projects"] == [
        {"name": "crowbar/crowbar", "override-checkout": "stable/4.0"},
        {"name": "crowbar/crowbar-core", "override-checkout": "stable/4.0"},
        {"name": "crowbar/crowbar-openstack", "override-checkout": "stable/4.0"},
    ]
    tool = {"name": "crowbar/crowbar-init", "override-checkout": "master"}
    assert deploy["required-projects"] == [*bundle["required-projects"], tool]
    assert bundle["vars"] == deploy["vars"] == {
        "crowbar_release": "cloud7",
        "crowbar_installer": "crowbar/crowbar",
        "crowbar_components": [
            {"project": "crowbar/crowbar-core", "component": "core"},
            {"project": "crowbar/crowbar-openstack", "component": "openstack"},
        ],
    }  # fmt: skip


def test_a_project_has_the_templates_of_its_releases(checkout: Path) -> None:
    write(checkout)
    projects = {stanza["project"]["name"]: stanza["project"] for stanza in loaded(checkout, 1)}
    assert "crowbar/crowbar-bootstrap" not in projects
    assert projects["crowbar/barclamp-nova"]["default-branch"] == "release/stoney/master"
    assert {name: project["templates"] for name, project in projects.items()} == {
        "crowbar/crowbar": ["zuul-suse-crowbar", "zuul-suse-crowbar-cloud4", "zuul-suse-crowbar-cloud7"],
        "crowbar/barclamp-nova": ["zuul-suse-crowbar", "zuul-suse-crowbar-cloud4"],
        "crowbar/crowbar-core": ["zuul-suse-crowbar", "zuul-suse-crowbar-cloud7"],
        "crowbar/crowbar-openstack": ["zuul-suse-crowbar", "zuul-suse-crowbar-cloud7"],
        "crowbar/crowbar-init": ["zuul-suse-crowbar"],
    }


def test_the_tenant_reads_no_configuration_of_theirs(checkout: Path) -> None:
    write(checkout)
    ours, theirs = loaded(checkout, 2)["untrusted-projects"]
    assert ours == {"zuul-suse": {"extra-config-paths": ["zuul-crowbar.d/"]}}
    assert theirs["include"] == []
    assert "crowbar/crowbar-init" in theirs["projects"]
    assert "crowbar/crowbar-bootstrap" not in theirs["projects"]


def test_a_pattern_is_of_one_branch_only() -> None:
    assert pattern("stable/5.0-pike") == r"^stable/5\.0-pike$"


@pytest.mark.parametrize("number", range(3))
def test_a_file_that_drifted_is_named_with_the_difference(checkout: Path, number: int) -> None:
    write(checkout)
    path = checkout / WRITTEN[number]
    drifted = path.read_text().replace("crowbar/crowbar-core", "crowbar/crowbar-kore", 1)
    path.write_text(drifted)
    done = CliRunner().invoke(seeds, ["render", "--check", "--source", str(checkout)])
    assert isinstance(done.exception, SeedError)
    assert str(done.exception) == (f"not what seeds/crowbar.yaml says: {WRITTEN[number]}; run `zuul-suse seeds render`")
    assert f"--- {WRITTEN[number]}\n+++ {WRITTEN[number]} as rendered\n" in done.output
    changed = [line for line in done.output.splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    assert len(changed) == 2, "one line went, one came"
    assert "kore" in changed[0]
    assert path.read_text() == drifted, "--check writes nothing"


def test_a_file_that_is_missing_has_drifted(checkout: Path) -> None:
    write(checkout)
    (checkout / WRITTEN[1]).unlink()
    assert list(drift(checkout)) == [WRITTEN[1]]
    done = CliRunner().invoke(seeds, ["render", "--source", str(checkout)])
    assert done.output == f"written: {WRITTEN[1]}\n"
    assert CliRunner().invoke(seeds, ["render", "--check", "--source", str(checkout)]).exit_code == 0


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"^--source .*: no checkout of zuul-suse \(has no seeds/crowbar\.yaml\)"):
        write(tmp_path)
