# SPDX-License-Identifier: Apache-2.0
"""Gerrit's REST, as far as the sandbox needs it: accounts, projects, rights, comments, and what a change says.

Owns nothing but a connection. Called by `gerrit.py` to seed the server and by the demonstration. API shapes are those
of Gerrit's "REST API" documentation.
"""

import json
from typing import Any
from urllib.parse import quote

import requests

from zuul_suse.sandbox import SandboxError

TIMEOUT = 60  # seconds; the first request after a start waits for Gerrit's caches


class Review:
    """One user's session with a Gerrit server."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self.password = password
        self._session = requests.Session()
        self._session.auth = (user, password)

    def get(self, path: str) -> Any:  # noqa: ANN401  JSON
        return self._ask("GET", path)

    def put(self, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        return self._ask("PUT", path, body)

    def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        return self._ask("POST", path, body)

    def exists(self, path: str) -> bool:
        return self._send("GET", path, None).status_code == 200

    def git_url(self, project: str) -> str:
        """Where this user pushes; the password is in it, so it is for configuration files only, never for output."""
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}/a/{project}"

    def ensure_account(self, name: str, full_name: str, password: str, groups: list[str], ssh_key: str | None) -> None:
        """Make an account, or give the existing one this password and key."""
        body: dict[str, object] = {
            "name": full_name,
            "display_name": full_name,
            "email": f"{name}@sandbox.example.com",
            "http_password": password,
            "groups": groups,
        }
        if not self.exists(f"accounts/{name}"):
            self.put(f"accounts/{name}", body)
        else:
            self.put(f"accounts/{name}/password.http", {"http_password": password})
        if ssh_key and ssh_key.split()[1] not in {key["encoded_key"] for key in self.get(f"accounts/{name}/sshkeys")}:
            self._ask("POST", f"accounts/{name}/sshkeys", ssh_key.encode(), content_type="text/plain")

    def ensure_project(self, name: str) -> bool:
        """Make an empty project; returns whether it was missing."""
        path = f"projects/{quote(name, safe='')}"
        if self.exists(path):
            return False
        self.put(path, {"create_empty_commit": False, "branches": ["master"]})
        return True

    def branch(self, project: str, branch: str) -> str | None:
        """The commit that a branch stands at, None where it is not there yet."""
        path = f"projects/{quote(project, safe='')}/branches/{quote(branch, safe='')}"
        return str(self.get(path)["revision"]) if self.exists(path) else None

    def change(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(
            f"changes/{number}/detail?o=CURRENT_REVISION&o=MESSAGES&o=DETAILED_ACCOUNTS&o=DETAILED_LABELS"
        )
        return found

    def comment(self, number: int, message: str, inline: dict[str, str] | None = None) -> None:
        """Say something on a change's newest patch set; `inline` is file → text for its first line."""
        body: dict[str, object] = {"message": message}
        if inline:
            body["comments"] = {path: [{"line": 1, "message": text}] for path, text in inline.items()}
        self.post(f"changes/{number}/revisions/current/review", body)

    def _ask(self, method: str, path: str, body: object = None, content_type: str | None = None) -> Any:  # noqa: ANN401
        answer = self._send(method, path, body, content_type)
        if not answer.ok:
            raise SandboxError(f"Gerrit: {method} {path}: {answer.status_code} {answer.text.strip()[:200]}")
        text = answer.text.removeprefix(")]}'").strip()
        return json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else text

    def _send(self, method: str, path: str, body: object, content_type: str | None = None) -> requests.Response:
        raw = {"data": body, "headers": {"Content-Type": content_type}} if content_type else {"json": body}
        try:
            return self._session.request(method, f"{self.url}/a/{path}", timeout=TIMEOUT, **raw)  # type: ignore[arg-type]
        except requests.RequestException as fault:
            raise SandboxError(f"Gerrit: {method} {path}: {fault}") from fault
