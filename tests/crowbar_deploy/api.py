# SPDX-License-Identifier: Apache-2.0
"""A site on one loopback port: Crowbar's web API, crowbar-init's, and an operator's mirror.

It answers as crowbar-core does: crowbar_framework/app/controllers/installer/installers_controller.rb and
lib/crowbar/installer.rb (paths, codes, fields and steps of the installer), machines_controller.rb and models/node.rb
(nodes, their statuses, allocate and rename), crowbar-init's lib/crowbar/init/application.rb (GET /api/status). Each
question takes the installation, or a node, one step further. Faults are made by setting `fail_at`, `hang_at` and
`stuck`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STEPS = [
    "pre_sanity_checks", "run_services", "initial_chef_client", "barclamp_install", "bootstrap_crowbar_setup",
    "apply_crowbar_config", "transition_crowbar", "chef_client_daemon", "post_sanity_checks",
]  # fmt: skip
STATUSES = ["building", "unready", "ready"]
REALM = "Crowbar - By selecting OK, you agree to the License Agreement"
ADMIN = "crowbar.cloud.test"


class Crowbar:
    """What the API knows."""

    def __init__(self, mirror: Path, password: str) -> None:
        self.mirror = mirror
        self.password = password
        self.lock = threading.Lock()
        self.calls: list[str] = []
        self.steps: list[str] = []
        self.flags = {"installing": False, "failed": False, "success": False}
        self.network = {"valid": True, "msg": ""}
        self.fail_at = self.hang_at = ""
        self.late = 0
        self.nodes: dict[str, dict[str, Any]] = {}
        self.stuck: dict[str, str] = {}

    def status(self) -> dict[str, Any]:
        """GET status.json; a step is in the list once it is done."""
        if self.late > 0:
            # The script that was spawned has not begun: all is as it was.
            self.late -= 1
            if not self.late:
                self.begin()
        elif self.flags["installing"]:
            upcoming = STEPS[len(self.steps)] if len(self.steps) < len(STEPS) else ""
            if upcoming and upcoming == self.fail_at:
                self.flags.update(installing=False, failed=True)
            elif upcoming and upcoming != self.hang_at:
                self.steps.append(upcoming)
            elif not upcoming:
                self.flags.update(installing=False, success=True)
                self.nodes.setdefault(ADMIN, {"name": ADMIN, "alias": "crowbar", "group": "", "status": "ready"})
        error = "Installation failed. Please check the log at /var/log/crowbar/install.log"
        return {
            "steps": list(self.steps), **self.flags, "network": {"mtime": "2026-11-25T12:00:00Z", **self.network},
            "errorMsg": error if self.flags["failed"] else "", "successMsg": None, "noticeMsg": "",
        }  # fmt: skip

    def start(self) -> HTTPStatus:
        """POST start.json."""
        if self.flags["success"]:
            return HTTPStatus.GONE
        if not self.network["valid"]:
            return HTTPStatus.PRECONDITION_FAILED
        if self.flags["installing"]:
            return HTTPStatus.IM_USED
        if not self.late:
            self.begin()
        return HTTPStatus.OK

    def begin(self) -> None:
        """What the installer's script does first."""
        self.flags.update(installing=True, failed=False)
        self.steps = []

    def list_nodes(self) -> list[dict[str, Any]]:
        """GET machines/1.0: a node goes on from status to status, unless it is stuck."""
        for node in self.nodes.values():
            goal = self.stuck.get(node["alias"]) or self.stuck.get(node["name"])
            if goal:
                node["status"] = goal
            elif node["status"] in STATUSES[:-1]:
                node["status"] = STATUSES[STATUSES.index(node["status"]) + 1]
        return [dict(node) for node in self.nodes.values()]

    def act(self, action: str, name: str, body: dict[str, Any]) -> tuple[HTTPStatus, str]:
        """POST machines/1.0/ACTION/NAME."""
        node = self.nodes.get(name)
        if node is None:
            return HTTPStatus.NOT_FOUND, "not found"
        if action == "allocate":
            node["status"] = "building"
        elif action == "rename":
            if any(other["alias"] == body["alias"] for other in self.nodes.values() if other is not node):
                return HTTPStatus.NOT_ACCEPTABLE, f"Alias already in use: {body['alias']}"
            node["alias"] = body["alias"]
        return HTTPStatus.OK, ""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    crowbar: Crowbar

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def answer(self, code: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, content: object, code: HTTPStatus = HTTPStatus.OK) -> None:
        self.answer(code, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def known(self) -> bool:
        """Tell whether the caller has Crowbar's password, by digest; answers if not."""
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization", "").replace("Digest ", "")))
        nonce = "abc"

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        one, two = md5(f"crowbar:{REALM}:{self.crowbar.password}"), md5(f"{self.command}:{self.path}")
        middle = f"{given.get('nc')}:{given.get('cnonce')}:auth:" if "qop" in given else ""
        if given.get("response") == md5(f"{one}:{nonce}:{middle}{two}"):
            return True
        self.answer(
            HTTPStatus.UNAUTHORIZED, b"",
            {"WWW-Authenticate": f'Digest realm="{REALM}", qop="auth", algorithm=MD5, nonce="{nonce}"'},
        )  # fmt: skip
        return False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.crowbar.lock:
            self.crowbar.calls.append(f"{self.command} {self.path}")
            if self.path.startswith("/mirror/"):
                path = self.crowbar.mirror / self.path.removeprefix("/mirror/").partition("?")[0]
                found = path.is_file()
                self.answer(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, path.read_bytes() if found else b"")
            elif self.path == "/api/status":
                self.json({"code": 200, "body": {"crowbar": "ok"}})
            elif self.path == "/installer/installer/status.json":
                self.json(self.crowbar.status())
            elif self.path == "/crowbar/machines/1.0":
                if self.known():
                    self.json({"nodes": self.crowbar.list_nodes()})
            else:
                self.answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.crowbar.lock:
            self.crowbar.calls.append(f"POST {self.path}")
            machine = re.fullmatch(r"/crowbar/machines/1\.0/(\w+)/(.+)", self.path)
            if self.path == "/installer/installer/start.json":
                self.answer(self.crowbar.start())
            elif self.path.startswith("/test/register/"):
                name = self.path.rpartition("/")[2]
                node = {"name": name, "alias": name.split(".")[0], "group": "", "status": "pending"}
                self.crowbar.nodes.setdefault(name, node)
                self.answer(HTTPStatus.OK)
            elif machine and self.known():
                code, error = self.crowbar.act(machine[1], machine[2], json.loads(body or b"{}"))
                self.json({"error": error} if error else {}, code)
            elif not machine:
                self.answer(HTTPStatus.NOT_FOUND)


class Site:
    """The server; a context in which it answers."""

    def __init__(self, crowbar: Crowbar) -> None:
        self.crowbar = crowbar
        handler = type("SiteHandler", (Handler,), {"crowbar": crowbar})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Site:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
