# SPDX-License-Identifier: Apache-2.0
"""The bundle on made-up projects: good ones are green, and each kind of fault is told by file and name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.crowbar import barclamps
from tests.crowbar.conftest import Check

DATABAGS = "chef/data_bags/crowbar"


def test_good_projects_are_green(later: dict[str, Path], check: Check) -> None:
    found = check(later)
    assert found.passed, found.output
    counts = found.report["counts"]
    wanted = {"projects": 3, "cookbooks": 3, "of them from one project to another": 1, "barclamps": 3, "schemas": 1}
    assert {name: counts[name] for name in wanted} == wanted
    assert counts["recipes included by a name made at run time (not checked)"] == 1
    assert counts["migrations"] == 2


def test_projects_of_2014_are_green(tmp_path: Path, check: Check) -> None:
    projects = barclamps.of_2014(tmp_path / "src")
    found = check(projects)
    assert found.passed, found.output
    assert found.report["counts"]["barclamps"] == 2
    assert any("no bin/crowbar_batch" in note for note in found.report["notes"])


def test_the_tree_is_laid_as_the_installer_does(tmp_path: Path, later: dict[str, Path], check: Check) -> None:
    check(later)
    tree = tmp_path / "run1" / "tree"
    for path in ("bin/barclamp_install.rb", "bin/crowbar_dns", "crowbar_framework/barclamps/web.yml"):
        assert (tree / path).is_file(), path
    assert not (tree / "crowbar_framework" / "barclamps" / ".travis.yml").exists()
    assert not (tree / "README.md").exists()
    owners = json.loads((tree / "owners.json").read_text())
    assert owners["owners"]["crowbar_framework/barclamps/dns.yml"] == ["acme/core"]
    assert owners["sources"]["crowbar_framework/barclamps/dns.yml"] == "dns.yml"


def test_a_barclamps_file_of_2014_gets_its_name(tmp_path: Path, check: Check) -> None:
    check(barclamps.of_2014(tmp_path / "src"))
    assert (tmp_path / "run1" / "tree" / "crowbar_framework" / "barclamps" / "dns.yml").is_file()


FAULTS: dict[str, tuple[str, str, str, str]] = {
    # what: (file below acme/web, text there, check, fault)
    "dependency": (
        "chef/cookbooks/web/metadata.rb", 'name "web"\ndepends "gone"\n',
        "cookbooks", "depends on gone, which is in no project",
    ),
    "dependencies in a list": (
        "chef/cookbooks/web/metadata.rb", 'name "web"\n%w{common gone}.each do |other|\n  depends other\nend\n',
        "cookbooks", "depends on gone, which is in no project",
    ),
    "recipe": (
        "chef/cookbooks/web/recipes/default.rb", 'include_recipe "common::gone"\n',
        "cookbooks", "includes common::gone: cookbook common (acme/core) has no recipe gone",
    ),
    "recipe of no cookbook": (
        "chef/cookbooks/web/recipes/default.rb", 'include_recipe("gone")\n',
        "cookbooks", "includes gone: cookbook gone is in no project",
    ),
    "template of no cookbook": (
        "chef/cookbooks/web/recipes/default.rb", 'template "x" do\n  cookbook "gone"\nend\n',
        "cookbooks", "takes a file of cookbook gone, which is in no project",
    ),
    "run list": (
        "chef/roles/web-server.rb", 'name "web-server"\nrun_list("recipe[web::gone]")\n',
        "cookbooks", "runs web::gone: cookbook web (acme/web) has no recipe gone",
    ),
    "barclamp": (
        "web.yml", barclamps.yaml_of("web", ("gone",)), "barclamps", "requires gone, which is in no project",
    ),
    "group": ("web.yml", barclamps.yaml_of("web", ("@gone",)), "barclamps", "requires @gone, which is in no project"),
    "second barclamp of a name": (
        "other.yml", barclamps.yaml_of("dns"), "barclamps", "barclamp dns is in acme/core/dns.yml too",
    ),
    "path of two": (
        "bin/crowbar_dns", "puts 2\n", "owned-twice", "bin/crowbar_dns is in acme/core and acme/web",
    ),
    "barclamp that is no YAML": ("web.yml", "barclamp: [", "barclamps", "did not find expected node content"),
    "schema": (f"{DATABAGS}/template-web.schema", '{"type": "mapp"}', "schemas", "no schema: "),
    "template": (
        f"{DATABAGS}/template-web.json", json.dumps({**barclamps.TEMPLATE, "attributes": {"web": {}}}),
        "schemas", "the template does not satisfy its schema: /attributes/web: key 'port:' is required.",
    ),
    "template that is no JSON": (
        f"{DATABAGS}/template-web.json", "{", "schemas", "the template does not satisfy its schema: no JSON",
    ),
    "migration twice": (
        f"{DATABAGS}/migrate/web/002_third.rb", "def upgrade\nend\n",
        "migrations", "migration 2 of web is there 2 times",
    ),
    "migration too far": (
        f"{DATABAGS}/migrate/web/003_third.rb", "def upgrade\nend\n",
        "migrations", "migration 3 is beyond schema-revision 2 of the template: it never runs",
    ),
    "migration without a number": (
        f"{DATABAGS}/migrate/web/third.rb", "def upgrade\nend\n",
        "migrations", "a migration's name begins with a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_told_by_file_and_name(later: dict[str, Path], check: Check, what: str) -> None:
    file, text, kind, fault = FAULTS[what]
    barclamps.write(later["acme/web"], {file: text})
    found = check(later)
    assert not found.passed
    wanted = [f for f in found.report["new"] if (f["check"], f["project"], f["file"]) == (kind, "acme/web", file)]
    assert [f["fault"] for f in wanted if fault in f["fault"]], found.output
    assert f"acme/web/{file}: " in found.output


def test_a_comment_asks_for_nothing(later: dict[str, Path], check: Check) -> None:
    barclamps.write(later["acme/web"], {"chef/cookbooks/web/recipes/default.rb": '# include_recipe "gone"\n'})
    assert check(later).passed


def test_a_link_to_nothing(later: dict[str, Path], check: Check) -> None:
    (later["acme/web"] / "chef" / "cookbooks" / "web" / "recipes" / "link.rb").symlink_to("gone.rb")
    found = check(later)
    assert found.faults() == [
        "tree: acme/web/chef/cookbooks/web/recipes/link.rb: a link to gone.rb, which is not there"
    ]


def test_a_project_that_is_not_there(later: dict[str, Path], check: Check) -> None:
    shutil.rmtree(later["acme/web"])
    found = check(later)
    assert found.code == 2
    assert "acme/web: no checkout at" in found.output


def move_out(project: Path, name: str = "common") -> None:
    shutil.rmtree(project / "chef" / "cookbooks" / name)


def test_a_cookbook_moves_from_one_project_to_another(later: dict[str, Path], check: Check) -> None:
    """The pair with Depends-On: each half alone is red, and says why; both together are green."""
    move_out(later["acme/core"])
    alone = check(later)
    assert not alone.passed
    assert (
        "cookbooks: acme/web/chef/cookbooks/web/metadata.rb: depends on common, which is in no project"
        in alone.faults()
    )
    barclamps.write(later["acme/web"], barclamps.cookbook("common"))
    assert check(later).passed, "both halves"
    barclamps.write(later["acme/core"], barclamps.cookbook("common"))
    other = check(later)
    assert [f.partition(":")[0] for f in other.faults()] == ["owned-twice", "owned-twice"]
    assert "common/metadata.rb is in acme/core and acme/web" in other.output
