# SPDX-License-Identifier: Apache-2.0
"""The pages build without a warning, and hold what is generated into them."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("page", ["jobs", "roles"])
def test_jobs_and_roles_are_there_with_their_descriptions(pages: Path, page: str) -> None:
    text = text_of(pages / f"{page}.html")
    if page == "roles":
        names = [path.parent.name for path in ROOT.glob("**/roles/*/README.rst") if ".venv" not in path.parts]
    else:
        names = re.findall(
            r"^- job:\n    name: (\S+)", "".join(f.read_text() for f in ROOT.glob("zuul.d/*.yaml")), re.M
        )
    assert len(names) > 3
    assert [name for name in names if name not in text] == []
