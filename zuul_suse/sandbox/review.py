# SPDX-License-Identifier: Apache-2.0
"""Gerrit's REST, as far as the sandbox needs it: accounts, projects, rights, comments, and what a change says.

Owns nothing but a connection. Called by `gerrit.py` to seed the server and by the demonstration. API shapes are those
of Gerrit's "REST API" documentation.
"""

from typing import Any
from urllib.parse import quote

from zuul_suse.sandbox import SandboxError
from zuul_suse.seeds.gerrit import Gerrit


class Review(Gerrit):
    """One user's session with a Gerrit server."""

    error = SandboxError

    def is_accepted(self) -> bool:
        """Whether the server lets this user in.

        :raises SandboxError: it does not answer.
        """
        return self._send("GET", "accounts/self", None).status_code == 200

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
