# SPDX-License-Identifier: Apache-2.0
"""A Crowbar API for `crowbar_batch`: enough of machines and proposals to build a scenario, on a tree and no machine.

Owns a thread and a Ruby process that judges proposals by the tree's schemas; both end with the context. A proposal
that is created is the tree's template; one that is edited or committed is refused with 400 where it breaks its schema;
what is committed is applied at once.
"""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from .programs import RUBY


class Judge:
    """The Ruby process."""

    def __init__(self, tree: Path) -> None:
        command = ["ruby", "-Eutf-8:utf-8", str(RUBY / "judge.rb"), str(tree)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question: dict[str, Any]) -> Any:  # noqa: ANN401  what JSON holds
        """Put one question."""
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101, PT018  both are pipes
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise OSError("judge.rb ended")
        return json.loads(line)[0]

    def end(self) -> None:
        """End it."""
        self.process.communicate()


class Api:
    """The state of one run: machines by alias, proposals by barclamp and name, and what was committed."""

    def __init__(self, judge: Judge, domain: str) -> None:
        self.judge = judge
        self.domain = domain
        self.aliases: list[str] = []
        self.proposals: dict[tuple[str, str], dict[str, Any]] = {}
        self.committed: list[str] = []

    def begin(self, aliases: list[str]) -> None:
        """Forget the run before."""
        self.aliases, self.proposals, self.committed = aliases, {}, []

    def get(self, barclamp: str, path: list[str]) -> tuple[int, Any]:
        """Answer what is read."""
        if barclamp == "machines" and not path:
            return 200, {"nodes": [{"name": f"{a}.{self.domain}", "alias": a} for a in self.aliases]}
        if path == ["proposals"]:
            return 200, [name for (owner, name) in self.proposals if owner == barclamp]
        if len(path) == 2 and (barclamp, path[1]) in self.proposals:
            return 200, self.proposals[barclamp, path[1]]
        return 404, {"error": f"no {barclamp} {'/'.join(path)}"}

    def create(self, barclamp: str, name: str) -> tuple[int, Any]:
        """Make a proposal of the template."""
        made = self.judge.ask({"barclamp": barclamp, "name": name})
        if made is None:
            return 404, {"error": f"no barclamp {barclamp}"}
        self.proposals[barclamp, name] = made
        return 200, {}

    def edit(self, barclamp: str, name: str, document: dict[str, Any]) -> tuple[int, Any]:
        """Take a changed proposal."""
        faults = self.judge.ask({"barclamp": barclamp, "name": name, "document": document})
        if faults:
            return 400, {"error": "; ".join(faults)}
        self.proposals[barclamp, name] = document
        return 200, {}

    def commit(self, barclamp: str, name: str) -> tuple[int, Any]:
        """Apply a proposal."""
        document = self.proposals.get((barclamp, name))
        if document is None:
            return 404, {"error": f"no {barclamp} {name}"}
        faults = self.judge.ask({"barclamp": barclamp, "name": name, "document": document})
        if faults:
            return 400, {"error": "; ".join(faults)}
        document["deployment"][barclamp].update({"crowbar-committing": False, "crowbar-status": "success"})
        document["deployment"][barclamp]["crowbar-queued"] = False
        self.committed.append(f"{barclamp}.{name}")
        return 200, {}


class Handler(BaseHTTPRequestHandler):
    """HTTP around it: /crowbar/BARCLAMP/1.0/PATH."""

    api: Api

    def answer(self) -> None:
        """Answer any request."""
        parts = [p for p in self.path.split("/") if p]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        try:
            status, content = self.decide(parts, body)
        except (KeyError, ValueError, TypeError) as error:
            status, content = 400, {"error": f"{type(error).__name__}: {error}"}
        sent = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_PUT = do_POST = answer

    def decide(self, parts: list[str], body: str) -> tuple[int, Any]:
        """Say what a request brings."""
        if len(parts) < 3 or parts[0] != "crowbar":
            return 404, {"error": f"no {self.path}"}
        barclamp, path = parts[1], parts[3:]
        if self.command == "GET":
            return self.api.get(barclamp, path)
        if self.command == "PUT" and path == ["proposals"]:
            return self.api.create(barclamp, json.loads(body)["id"])
        if self.command == "POST" and path[:2] == ["proposals", "commit"] and len(path) == 3:
            return self.api.commit(barclamp, path[2])
        if self.command == "POST" and path[:1] == ["proposals"] and len(path) == 2:
            return self.api.edit(barclamp, path[1], json.loads(body))
        return 404, {"error": f"no {self.command} {self.path}"}

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server:
    """The API on a port of the loopback address, as a context."""

    def __init__(self, tree: Path, domain: str) -> None:
        self.api = Api(Judge(tree), domain)
        handler = type("BoundHandler", (Handler,), {"api": self.api})
        self.server = HTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.api.judge.end()
