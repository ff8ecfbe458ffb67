# SPDX-License-Identifier: Apache-2.0
"""What a seed file may say, what is told of a wrong one, and what Crowbar's says."""

from pathlib import Path

import pytest

from zuul_suse.seeds import SeedError
from zuul_suse.seeds.description import Family, parse, read

AUTOMATION = "SUSE-Cloud/automation"


@pytest.fixture(scope="module")
def crowbar(root: Path) -> Family:
    return read(root / "seeds" / "crowbar.yaml")


def names(family: Family, release: str) -> list[str]:
    (found,) = [r for r in family.releases if r.name == release]
    return [project.name for project in found.components]


def test_crowbar_has_49_projects_of_which_one_is_skipped(crowbar: Family) -> None:
    """And one beside them, for the scenarios that SUSE tested releases with."""
    assert len([project for project in crowbar.projects if project.name.startswith("crowbar/")]) == 49
    assert {project.name for project in crowbar.projects if not project.name.startswith("crowbar/")} == {AUTOMATION}
    skipped = {project.name for project in crowbar.projects} - {project.name for project in crowbar.taken}
    assert skipped == {"crowbar/crowbar-bootstrap"}


def test_the_releases_of_crowbar(crowbar: Family) -> None:
    assert {release.name: release.branch for release in crowbar.releases} == {
        "cloud4-stoney": "release/stoney/master", "cloud5-tex": "release/tex/master", "cloud6": "stable/3.0",
        "cloud7": "stable/4.0", "cloud8": "stable/5.0-pike", "cloud9": "master",
    }  # fmt: skip
    assert len(names(crowbar, "cloud4-stoney")) == 35
    assert set(names(crowbar, "cloud5-tex")) - set(names(crowbar, "cloud4-stoney")) == {"crowbar/barclamp-manila"}
    assert names(crowbar, "cloud9") == ["crowbar/crowbar-core", "crowbar/crowbar-openstack", "crowbar/crowbar-ha"]


def test_what_can_be_deployed_and_what_has_scenarios(crowbar: Family) -> None:
    assert [release.name for release in crowbar.releases if release.deploy] == ["cloud6", "cloud7", "cloud8", "cloud9"]
    (cloud9,) = [release for release in crowbar.releases if release.name == "cloud9"]
    assert cloud9.scenarios == {AUTOMATION: "scripts/scenarios/cloud9"}


def test_the_order_of_2014_is_the_installers(crowbar: Family) -> None:
    (stoney,) = [release for release in crowbar.releases if release.name == "cloud4-stoney"]
    folders = [project.component for project in stoney.components]
    assert folders[:12] == [
        "crowbar", "deployer", "dns", "ipmi", "logging", "network", "ntp", "provisioner", "pacemaker", "database",
        "rabbitmq", "openstack",
    ]  # fmt: skip
    assert folders[20:23] == ["updater", "suse-manager-client", "nfs_client"]


def test_the_component_is_the_name_less_its_start(crowbar: Family) -> None:
    odd = {
        project.name: project.component
        for project in crowbar.projects
        if project.component and project.name.split("-", 1)[-1] != project.component
    }
    assert odd == {"crowbar/barclamp-hyperv-compute": "hyperv"}


def test_most_barclamps_have_an_empty_master(crowbar: Family) -> None:
    heads = {project.name.removeprefix("crowbar/barclamp-"): project.default_branch for project in crowbar.taken}
    assert {heads[name] for name in ("nova", "crowbar", "manila")} == {"release/tex/master"}
    assert {heads[name] for name in ("bios", "ganglia", "nagios", "raid", "test")} == {"master"}


def test_the_installer_belongs_to_every_release(text: str) -> None:
    family = parse(text, "x.yaml")
    belonging = {project.name: [release.name for release in family.releases_of(project)] for project in family.taken}
    assert belonging == {
        "crowbar/crowbar": ["cloud4", "cloud7"],
        "crowbar/barclamp-nova": ["cloud4"],
        "crowbar/crowbar-core": ["cloud7"],
        "crowbar/crowbar-openstack": ["cloud7"],
        "crowbar/crowbar-init": [],
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("branch: stable/4.0", "bransh: stable/4.0",
         "releases.cloud7.bransh: unknown key (has branch, components, deploy, scenarios, tools)"),
        ("[crowbar/barclamp-nova]", "[crowbar/barclamp-nowa]",
         'releases.cloud4: "crowbar/barclamp-nowa" is no project (has crowbar/crowbar, crowbar/barclamp-nova, '),
        ("installer: crowbar/crowbar", "installer: crowbar/krowbar", 'installer: "crowbar/krowbar" is no project (has'),
        ("component: openstack", "component: core", 'releases.cloud7: the component "core" is there twice'),
        ("    component: core\n", "", "releases.cloud7: crowbar/crowbar-core has no component; make it a tool"),
        ("branches: [master, release/stoney/master]", "branches: [master]",
         'crowbar/barclamp-nova: default-branch: "release/stoney/master" is none of its branches (has master)'),
        ("{crowbar/crowbar-init: master}", "{crowbar/crowbar-init: stable/4.0}",
         'releases.cloud7: crowbar/crowbar-init has no branch "stable/4.0" (has master)'),
        ("{crowbar/crowbar-init: master}", "{crowbar/crowbar-bootstrap: master}",
         "releases.cloud7: crowbar/crowbar-bootstrap is skipped (an old name)"),
        ("branch: stable/4.0\n", "branch: release/stoney/master\n",
         'releases.cloud7: branch: "release/stoney/master" is cloud4\'s already'),
        ("name: crowbar/crowbar-init", "name: crowbar/crowbar-core",
         "projects: crowbar/crowbar-core stands there twice"),
        ("name: crowbar/crowbar-init", "name: 'crowbar/a b'", "projects[4].name: no plain name (letters, digits"),
        *(("name: crowbar/crowbar-init", f"name: {name}", "projects[4].name: no plain name (letters, digits")
          for name in ("..", "../x", "crowbar/../x", "crowbar/x.git/hooks", "x.git", "-rf", "crowbar/-rf", "/etc",
                       "a//b", "a/", "'a\\n'",
                       '"a\\n"', '"a\\nb"', ".git/x", "a.lock", "a.", "caf\u00e9", "x" * 201, "''")),
        ("    component: core\n", "    component: ../core\n", "projects[2].component: no plain name"),
        ("branches: [master]\n    skip", "branches: [master, ../x]\n    skip", "projects[5].branches[1]: no plain"),
        ("branch: stable/4.0\n", "branch: -rf\n", "releases.cloud7.branch: no plain name"),
        ("  cloud7:\n", '  "cloud7\\n":\n', "releases.cloud7\\n: "),
        ("[zuul-crowbar.d/]", "[../zuul-crowbar.d/]", "own-config-paths[0]: no plain folder"),
        ("config-project: config-project-crowbar", "config-project: ../x", "config-project: no plain name"),
        ("hosting: https://hosting.example.com", '"hosting": "https://h.example.com\\n"', "hosting: no URL"),
        ("hosting: https://hosting.example.com", "hosting: here", "hosting: no URL (https://, ssh://, file://)"),
        ("[crowbar/barclamp-nova]", "[]", "releases.cloud4.components: empty: a release has a component at least"),
        ("branches: [master]\n    skip", "branches: [\n    skip", "no YAML: "),
    ],
)  # fmt: skip
def test_a_wrong_seed_is_told_in_one_line(text: str, old: str, new: str, told: str) -> None:
    wrong = text.replace(old, new, 1)
    assert wrong != text
    with pytest.raises(SeedError) as raised:
        parse(wrong, "x.yaml")
    assert str(raised.value).startswith("x.yaml: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_seed_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"no\.yaml: can't be read \(No such file"):
        read(tmp_path / "no.yaml")
