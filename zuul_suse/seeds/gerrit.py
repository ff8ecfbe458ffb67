# SPDX-License-Identifier: Apache-2.0
"""One user's session with a Gerrit server, by its REST API and by git over HTTP.

Owns nothing but a connection. Called by the import; the sandbox's `Review` adds what a sandbox needs. API shapes are
those of Gerrit's "REST API" documentation.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from zuul_suse.seeds import SeedError

TIMEOUT = 60  # seconds; the first request after a start waits for Gerrit's caches


class Gerrit:
    """A server, as one user sees it."""

    error: type[Exception] = SeedError

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

    def delete(self, path: str) -> Any:  # noqa: ANN401  JSON
        return self._ask("DELETE", path)

    def exists(self, path: str) -> bool:
        """Whether something is there for this user.

        :raises SeedError: the server does not say so or otherwise: no answer, wrong password.
        """
        answer = self._send("GET", path, None)
        if answer.status_code not in (200, 404):
            raise self._fault("GET", path, answer)
        return answer.status_code == 200

    def git_address(self, project: str) -> str:
        """Where git finds a project; who asks is told by `git_environment`."""
        return f"{self.url}/a/{project}"

    def git_environment(self) -> Mapping[str, str]:
        """What lets git in as this user. In the environment, for a command line is seen by everybody."""
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": self.git_header(),
        }

    def git_header(self) -> str:
        """The value of git's `http.extraHeader` that lets it in as this user."""
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return f"Authorization: Basic {token}"

    def _ask(self, method: str, path: str, body: object = None, content_type: str | None = None) -> Any:  # noqa: ANN401
        answer = self._send(method, path, body, content_type)
        if not answer.ok:
            raise self._fault(method, path, answer)
        text = answer.text.removeprefix(")]}'").strip()
        return json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else text

    def _fault(self, method: str, path: str, answer: requests.Response) -> Exception:
        return self.error(f"Gerrit: {method} {path}: {answer.status_code} {answer.text.strip()[:200]}")

    def _send(self, method: str, path: str, body: object, content_type: str | None = None) -> requests.Response:
        raw = {"data": body, "headers": {"Content-Type": content_type}} if content_type else {"json": body}
        try:
            return self._session.request(method, f"{self.url}/a/{path}", timeout=TIMEOUT, **raw)  # type: ignore[arg-type]
        except requests.RequestException as fault:
            raise self.error(f"Gerrit: {method} {path}: {fault}") from fault


def project_path(name: str) -> str:
    """A project in the REST API."""
    return f"projects/{quote(name, safe='')}"


def group_path(name: str) -> str:
    """A group in the REST API."""
    return f"groups/{quote(name, safe='')}"
