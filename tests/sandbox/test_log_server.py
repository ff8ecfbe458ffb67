# SPDX-License-Identifier: Apache-2.0
"""The real log server on a folder as a stranger's build may leave it."""

import gzip
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from zuul_suse.sandbox import log_server, users
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.supervision import MARK, marked_processes

BUILD = "1/1/check/evil/0123456"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a build's folder is served."""
    users.ensure()
    with tempfile.TemporaryDirectory(prefix="zsl-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        (Path(name) / "secret").write_text("open sesame")
        state = State(Path(name) / "s")
        with state.locked():
            state.choose_ports({}, frozenset())
        fill(state.folder("build-logs", *BUILD.split("/")), Path(name))
        log_server.configure(state)
        users.give(state.root)
        service = log_server.service(state)
        marked = {**os.environ, MARK: str(state.root)}
        process = subprocess.Popen(service.command, env=marked, user=service.user, group=service.user, extra_groups=[])
        try:
            end = time.monotonic() + 20
            while not service.check():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
            assert Path(f"/proc/{process.pid}").stat().st_uid == pwd.getpwnam(users.LOGS).pw_uid
            assert [found.pid for found in marked_processes(state.root)] == [process.pid], "it would outlive `down`"
            yield f"{log_server.url(state)}/{BUILD}"
        finally:
            process.terminate()
            process.wait()


def fill(folder: Path, outside: Path) -> None:
    for name in ("job-output.txt", "x.html", "x.svg", "x.xml", "devstack.conf", "noext", "<b>&.txt"):
        (folder / name).write_text("text ü")
    (folder / "screen.log.gz").write_bytes(gzip.compress(b"packed"))
    (folder / "sources.tar.gz").write_bytes(gzip.compress(b"packed"))
    (folder / "sub").mkdir()
    (folder / "sub" / "a.log").write_text("a")
    for name, target in {
        "host": "/", "up": "../../../../../..", "file.txt": str(outside / "secret"), "passwd": "/etc/passwd",
        "inner.txt": "job-output.txt", "inner": "sub", "sub/own": str(outside),
    }.items():  # fmt: skip
        (folder / name).symlink_to(target)


@pytest.mark.parametrize(
    "path",
    [
        *("host", "host/", "host/etc/passwd", "host/var/lib/", "up/", "up/secret", "file.txt", "passwd", "inner.txt"),
        *("inner", "inner/", "inner/a.log", "sub/own/", "sub/own/secret"),
        *("../" * 6 + "secret", "%2e%2e/" * 6 + "secret", "..%2f" * 6 + "secret"),
        *("%00", "sub/%00/../../host/etc/passwd"),
    ],
)  # fmt: skip
def test_no_link_and_no_path_leads_out_of_the_folder(url: str, path: str) -> None:
    request = requests.Request("GET", url).prepare()
    request.url = f"{url}/{path}"  # as it stands: requests would take the dots out
    answer = requests.Session().send(request, timeout=10, allow_redirects=False)
    assert answer.status_code in (400, 404), answer.text
    assert "sesame" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("x.html", "text/html; charset=utf-8"),
        ("x.svg", "image/svg+xml"),
        ("x.xml", "application/xml; charset=utf-8"),
        ("job-output.txt", "text/plain; charset=utf-8"),
        ("devstack.conf", "text/plain; charset=utf-8"),
        ("noext", "text/plain; charset=utf-8"),
        ("screen.log.gz", "text/plain; charset=utf-8"),
        ("nothing.html", "text/html; charset=utf-8"),
    ],
)
def test_every_answer_has_its_kind_and_runs_no_script(url: str, path: str, kind: str) -> None:
    headers = requests.get(f"{url}/{path}", timeout=10).headers
    assert headers["Content-Type"] == kind
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].split() == ["sandbox", "allow-downloads"]
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_a_packed_text_is_shown_and_an_archive_stays_one(url: str) -> None:
    assert requests.get(f"{url}/screen.log.gz", timeout=10).text == "packed"
    assert gzip.decompress(requests.get(f"{url}/sources.tar.gz", timeout=10).content) == b"packed"


def test_the_listing_names_what_is_there_as_text(url: str) -> None:
    page = requests.get(f"{url}/", timeout=10).text
    assert 'href="sub/"' in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_it_is_of_another_host_than_zuuls_pages(url: str) -> None:
    assert url.startswith("http://127.0.0.2:")
