# SPDX-License-Identifier: Apache-2.0
"""The pages build without a warning, and hold what is generated into them."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zuul_suse.nodepool_driver.schema import all_options

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pages")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", target / "trees", "-b", "html"]
    done = subprocess.run([*build, ROOT / "docs", target / "html"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target / "html"


def text_of(page: Path) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", "", page.read_text())))


def test_every_option_is_in_the_reference_with_its_meaning(pages: Path) -> None:
    text = text_of(pages / "reference.html")
    for section, option in all_options():
        meaning = option.doc[1:].replace("`", "")
        assert f"{option.name} (" in text, f"{section}: {option.name}"
        assert meaning in text, f"{section}: {option.name}: {meaning}"


def test_roles_are_there_with_their_descriptions(pages: Path) -> None:
    text = text_of(pages / "roles.html")
    names = [path.parent.name for path in ROOT.glob("**/roles/*/README.rst") if ".venv" not in path.parts]
    assert len(names) > 3
    assert [name for name in names if name not in text] == []


FAMILIES = sorted(path for path in ROOT.glob("zuul*.d") if path.is_dir())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda path: path.name)
def test_jobs_and_templates_of_every_family_are_there_with_their_descriptions(pages: Path, family: Path) -> None:
    page = (pages / "jobs.html").read_text()
    text = text_of(pages / "jobs.html")
    found = [stanza for file in family.glob("**/*.yaml") for stanza in yaml.safe_load(file.read_text())]
    jobs = [stanza["job"] for stanza in found if "job" in stanza]
    templates = [stanza["project-template"] for stanza in found if "project-template" in stanza]
    assert jobs
    assert [job["name"] for job in jobs if f'id="job-{job["name"]}"' not in page] == []
    assert [one["name"] for one in templates if f'id="project_template-{one["name"]}"' not in page] == []
    first = [one["description"].split(".")[0].split("`")[0].split("*")[0] for one in jobs if "description" in one]
    assert first
    assert [start for start in first if " ".join(start.split()) not in text] == []


def test_there_are_three_families() -> None:
    assert [path.name for path in FAMILIES] == ["zuul-crowbar.d", "zuul-openstack.d", "zuul.d"]
