# SPDX-License-Identifier: Apache-2.0
"""As much of a Gerrit as the import speaks to: REST over a dictionary, in front of a real git server.

It holds to what matters: nobody pushes without the import's right and membership of its group. Its faults are those
that a real one can't be made to have when a test wants them.
"""

import base64
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

USER, PASSWORD = "mover", "s3cret&/word"
GROUP = "seed-import"


@dataclass
class FakeGerrit:
    """The server's state, and what it is to do wrong."""

    folder: Path
    url: str = ""
    groups: dict[str, set[str]] = field(default_factory=dict)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    pushes: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)  # projects whose pushes fail
    after_push: Callable[[str], None] | None = None
    in_push: threading.Event = field(default_factory=threading.Event)
    may_push: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_push.set()
        self.projects["All-Projects"] = {"parent": None, "labels": {}, "access": {}}

    def bare(self, project: str) -> Path:
        return self.folder / f"{project}.git"

    def references(self, project: str) -> dict[str, str]:
        text = git(self.bare(project), "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split(" ") for line in text.splitlines())

    def rights(self, project: str) -> dict[str, Any]:
        """What stands in the project's own access section for everything."""
        found: dict[str, Any] = self.projects[project]["access"].get("refs/*", {})
        return found

    def may(self, project: str) -> bool:
        push = self.rights(project).get("permissions", {}).get("push", {}).get("rules", {})
        return f"id-{GROUP}" in push and USER in self.groups.get(GROUP, set())

    def make(self, project: str, body: dict[str, Any]) -> None:
        self.projects[project] = {"parent": body.get("parent", "All-Projects"), "labels": {}, "access": {}}
        if not body.get("permissions_only"):
            bare = self.bare(project)
            bare.mkdir(parents=True)
            git(bare, "init", "-q", "--bare", "-b", body["branches"][0])
            for key in ("http.receivepack", "receive.advertisePushOptions"):
                git(bare, "config", key, "true")

    def change_access(self, project: str, body: dict[str, Any]) -> None:
        access = self.projects[project]["access"]
        for references, section in body.get("remove", {}).items():
            permissions = access[references]["permissions"]
            for name, permission in section["permissions"].items():
                for group in permission.get("rules", {}):
                    del permissions[name]["rules"][group]
                if not permission:
                    del permissions[name]
            if not permissions:
                del access[references]
        for references, section in body.get("add", {}).items():
            permissions = access.setdefault(references, {"permissions": {}})["permissions"]
            for name, permission in section["permissions"].items():
                permissions.setdefault(name, {"rules": {}})["rules"].update(permission["rules"])


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def serving(folder: Path) -> Iterator[FakeGerrit]:
    """A fake Gerrit on a free port."""
    gerrit = FakeGerrit(folder)
    handler = type("Bound", (_Handler,), {"gerrit": gerrit})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    gerrit.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield gerrit
    finally:
        gerrit.may_push.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    gerrit: FakeGerrit

    def log_message(self, *_: object) -> None:
        """Tests want no log."""

    def _any(self) -> None:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        body = self._body()
        if self.headers.get("Authorization") != f"Basic {token}":
            self._answer(401, b"Unauthorized")
            return
        path = urlsplit(self.path).path.removeprefix("/a/")
        if path.split("/")[0] in ("config", "groups", "projects"):
            self._rest([unquote(part) for part in path.split("/")], json.loads(body) if body else {})
        else:
            self._git(f"/{unquote(path)}", body)

    do_GET = do_PUT = do_POST = do_DELETE = _any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":  # as git sends what is over a megabyte
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, code: int, text: bytes, kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _json(self, data: object, code: int = 200) -> None:
        self._answer(code, b")]}'\n" + json.dumps(data).encode(), "application/json")

    def _rest(self, path: list[str], body: dict[str, Any]) -> None:
        if self.command != "GET":
            self.gerrit.writes.append(f"{self.command} {'/'.join(path)}")
        kind, name, *rest = path
        if kind == "config":
            self._json("3.10.2")
        elif kind == "groups":
            self._group(name, rest)
        elif self.command == "PUT" and not rest:
            self.gerrit.make(name, body)
            self._json({}, 201)
        elif name in self.gerrit.projects:
            self._project(name, rest, body)
        else:
            self._answer(404, b"Not found")

    def _group(self, name: str, rest: list[str]) -> None:
        groups = self.gerrit.groups
        if self.command == "PUT" and not rest:
            groups[name] = {USER}
        if name not in groups or (rest and self.command in ("GET", "DELETE") and USER not in groups[name]):
            self._answer(404, b"Not found")
            return
        if rest and self.command != "GET":
            groups[name] = groups[name] | {USER} if self.command == "PUT" else groups[name] - {USER}
        self._json({"id": f"id-{name}"})

    def _project(self, name: str, rest: list[str], body: dict[str, Any]) -> None:
        project, what = self.gerrit.projects[name], rest[0] if rest else ""
        if what == "access":
            if self.command == "POST":
                self.gerrit.change_access(name, body)
            self._json({"local": project["access"]})
        elif what == "labels":
            if self.command == "PUT":
                project["labels"][rest[1]] = body
            self._json({}, 200 if rest[1] in project["labels"] else 404)
        elif what == "HEAD":
            if self.command == "PUT":
                git(self.gerrit.bare(name), "symbolic-ref", "HEAD", body["ref"])
            self._json(git(self.gerrit.bare(name), "symbolic-ref", "HEAD"))
        else:
            if what == "parent":
                project["parent"] = body["parent"]
            self._json({"parent": project["parent"]})

    def _git(self, path: str, body: bytes) -> None:
        push = path.endswith("/git-receive-pack")
        name = path.removesuffix("/git-receive-pack").removesuffix("/git-upload-pack").removesuffix("/info/refs")[1:]
        if push:
            self.gerrit.in_push.set()
            self.gerrit.may_push.wait(60)
            if name in self.gerrit.refuses or not self.gerrit.may(name):
                self._answer(403, b"prohibited by Gerrit")
                return
            self.gerrit.pushes.append(name)
        environment = {
            "GIT_PROJECT_ROOT": str(self.gerrit.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.replace(name, f"{name}.git", 1),
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": urlsplit(self.path).query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        if push and self.gerrit.after_push:
            self.gerrit.after_push(name)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._answer(int(headers.get("Status", "200").split()[0]), content, headers.get("Content-Type", "text/plain"))
