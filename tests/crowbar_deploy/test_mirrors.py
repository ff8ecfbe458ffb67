# SPDX-License-Identifier: Apache-2.0
"""Addresses of mirrors as zypper takes them, against web servers that want a token, a password, or answer oddly."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_modules import mirrors

USER = "Basic " + base64.b64encode(b"joe:hunter2@home").decode()
ODD = {
    "/no-status/": b"hello\r\n\r\n",
    "/cut/": b"HTTP/1.1 20",
    "/nothing/": b"",
    "/code/": b"HTTP/1.1 abc x\r\n\r\n",
    "/header/": b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70000 + b"\r\n\r\n",
    "/headers/": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    "/port/": b"HTTP/1.1 302 Found\r\nLocation: http://h:port/\r\nContent-Length: 0\r\n\r\n",
    "/loop/": b"HTTP/1.1 302 Found\r\nLocation: /loop/content\r\nContent-Length: 0\r\n\r\n",
    "/file/": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Below /token a query is wanted, below /basic a user; the rest is odd."""

    elsewhere = ""
    seen: list[str | None] = []  # noqa: RUF012 - one server at a time

    def do_GET(self) -> None:
        Handler.seen.append(self.headers.get("Authorization"))
        for prefix, answer in ODD.items():
            if self.path.startswith(prefix):
                self.wfile.write(answer)
                self.close_connection = True
                return
        if self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", Handler.elsewhere + "/plain/repodata/repomd.xml")
        else:
            good = {
                "/token/repodata/repomd.xml?t0ken-of-ours": True,
                "/a%20b/repodata/repomd.xml": True,
                "/gr%C3%BC%C3%9Fe/repodata/repomd.xml": True,
                "/plain/repodata/repomd.xml": True,
                "/basic/repodata/repomd.xml": self.headers.get("Authorization") == USER,
            }
            self.send_response(200 if good.get(self.path) else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[str]]:
    """Two servers, by host and port."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    found = [f"127.0.0.1:{server.server_port}" for server in servers]
    Handler.elsewhere = f"http://{found[1]}"
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}/plain", "HTTP://{host}/plain/", "http://{host}/token?t0ken-of-ours",
        "http://{host}/token/?t0ken-of-ours", "http://{host}/token?ssl_verify=no&t0ken-of-ours&timeout=7",
        "http://joe:hunter2%40home@{host}/basic", "http://{host}/basic?credentials=joe", "http://{host}/a b",
        "http://{host}/a%20b", "http://{host}/grüße", "http://joe:hunter2%40home@{host}/away",
    ],
)  # fmt: skip
def test_what_zypper_takes_can_be_read(
    hosts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (tmp_path / "joe").write_text("username = joe\npassword=hunter2@home\n")
    monkeypatch.setattr(mirrors, "CREDENTIALS", str(tmp_path))
    Handler.seen.clear()
    assert mirrors.fault_of(url.format(host=hosts[0]), False, 5) == ""
    if "away" in url:
        assert Handler.seen == [USER, None], "a password went to another host"


@pytest.mark.parametrize("odd", sorted(ODD))
def test_an_odd_answer_is_a_fault_in_one_line(hosts: list[str], odd: str) -> None:
    said = mirrors.fault_of(f"http://joe:hunter2@{hosts[0]}{odd}?t0ken-of-ours", False, 5)
    assert said.startswith("repodata/repomd.xml: ")
    assert len(said) > len("repodata/repomd.xml: ")
    assert "\n" not in said
    assert not [word for word in ("joe", "hunter2", "t0ken", "root:") if word in said]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://joe:hunter2@127.0.0.1:x/pool", "repodata/repomd.xml: Port could not be cast"),
        ("http://joe:hunter2@/pool", "repodata/repomd.xml: no host in it"),
        ("http:///pool", "repodata/repomd.xml: no host in it"),
        ("http://[::1/pool", "repodata/repomd.xml: Invalid IPv6 URL"),
        ("http://" + "a" * 70 + ".test/", "repodata/repomd.xml: "),
        ("http://..test/", "repodata/repomd.xml: "),
        ("https://joe@127.0.0.1:9/?credentials=nobody-at-all", "repodata/repomd.xml: "),
        ("http://127.0.0.1:9/?credentials=nobody-at-all", "repodata/repomd.xml: [Errno 2]"),
        ("cd:///", "no address (known: http://, https://, ftp://, dir:, file:, /)"),
        ("iso:/?iso=a.iso&url=smb://joe:hunter2@h/x", "no address (known: "),
        ("hd:/pool?device=/dev/sda1", "no address (known: "),
        ("nfs://host/pool", "no address (known: "),
        ("pool", "no address (known: "),
        ("dir:pool", "no address (known: "),
    ],
)
def test_what_can_not_be_asked_is_one_line(url: str, fault: str) -> None:
    said = mirrors.problems_of("cloud9", [("pool", {"image": False})], {"pool": url}, 2)
    assert len(said) == 1
    assert f"can't be read: {fault}" in said[0]
    assert not [word for word in ("joe", "hunter2") if word in said[0]]


def test_a_silent_mirror_is_given_up() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as silent:
        assert mirrors.ask(f"http://127.0.0.1:{silent.server_port}/", 1) == "no answer within 1 s"


@pytest.mark.parametrize("url", ["dir:{}", "dir://{}", "file://localhost{}", "FILE:{}", "{}", "dir:{}?mediahandler=x"])
def test_a_folder_by_all_its_names(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "a b" / "repodata"
    folder.mkdir(parents=True)
    (folder / "repomd.xml").touch()
    path = str(tmp_path / "a b")
    assert mirrors.fault_of(url.format(path if url == "{}" else path.replace(" ", "%20")), False, 5) == ""
