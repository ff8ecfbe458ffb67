# SPDX-License-Identifier: Apache-2.0
"""The sandbox's Gerrit: a site of its own on loopback, with the CI's account and a developer's.

Owns `gerrit/` of the state folder. `configure` makes the site once and writes its ports each time; `seed` runs when the
server answers and may run again. Changes and accounts outlive `down`.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zuul_suse.sandbox import SandboxError, users
from zuul_suse.sandbox.gerrit_program import GerritProgram, obtain
from zuul_suse.sandbox.review import Review
from zuul_suse.sandbox.service import Service, answers
from zuul_suse.sandbox.state import State

CI_USER = "suse-cloud-ci"
CI_NAME = "SUSE Cloud CI"
DEVELOPER = "developer"
ADMIN = "admin"
KNOWN_PASSWORD = "secret"  # noqa: S105  what `init --dev` gives the administrator; `seed` draws another
# A kind of site on which nobody logs in by a page: its directory answers on no machine. REST and git take the passwords
# that Gerrit keeps itself. (`init --dev` makes one on which everybody may become any account.)
CLOSED = {
    "auth.type": "LDAP",
    "auth.gitBasicAuthPolicy": "HTTP",
    "ldap.server": "ldaps://127.0.0.1:1",
    "ldap.readTimeout": "5 s",
}
INDEXES = ("changes_open", "changes_closed", "accounts", "groups", "projects")


def url(state: State) -> str:
    return f"http://127.0.0.1:{state.port('gerrit-http')}"


def change_page(state: State, project: str, number: int) -> str:
    """The page of a change; a headless Gerrit has no pages, so there it is what REST tells of the change."""
    if obtain().headless:
        return f"{url(state)}/changes/{number}/detail"
    return change_reference(state, project, number)


def change_reference(state: State, project: str, number: int) -> str:
    """How a Depends-On names a change: Zuul reads that address itself and needs no page there."""
    return f"{url(state)}/c/{project}/+/{number}"


def configure(state: State, program: GerritProgram) -> None:
    """Make the site if it is not there, and write what depends on ports.

    :raises SandboxError: Gerrit's own `init` failed; its last line is told.
    """
    site = state.folder("gerrit")
    if not (site / "complete").exists():
        users.give(state.root)
        command = ["java", *program.java_words, "init", "--batch", "--dev", "--no-auto-start", "-d", str(site)]
        done = _run_as_owner(site, command)
        if done.returncode:
            raise SandboxError(f"Gerrit init in {site}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        (site / "complete").touch()
    config = ["git", "config", "-f", str(site / "etc" / "gerrit.config")]
    if _run_as_owner(site, [*config, "auth.type"]).stdout.strip() != CLOSED["auth.type"]:
        for sessions in (site / "cache").glob("web_sessions.*"):  # an older version's, to be had for the asking
            sessions.unlink()
    for key, value in {
        **CLOSED,
        "gerrit.canonicalWebUrl": f"{url(state)}/",
        "httpd.listenUrl": f"{url(state)}/",
        "sshd.listenAddress": f"127.0.0.1:{state.port('gerrit-ssh')}",
        "sshd.advertisedAddress": f"127.0.0.1:{state.port('gerrit-ssh')}",
        "sendemail.enable": "false",
        "index.batchThreads": "1",
        "change.maxFiles": "200000",
        "receive.timeout": "10 min",
        "plugins.allowRemoteAdmin": "false",
        # By default an index reaches the disk every five minutes, and a killed Gerrit forgets what came since.
        **{f"index.{name}.commitWithin": "0" for name in INDEXES},
    }.items():
        _run_as_owner(site, [*config, "--replace-all", key, value]).check_returncode()


def _run_as_owner(site: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as the user whose the site is: what it writes Gerrit must read, and it follows Gerrit's links."""
    owner = site.stat()
    return subprocess.run(
        command,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        umask=0o077,
        cwd=site,
        env={**os.environ, "HOME": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def service(state: State, program: GerritProgram) -> Service:
    words = [
        "java",
        "-Xmx1g",
        f"-Duser.home={state.root / 'gerrit'}",
        *program.java_words,
        "daemon",
        "--console-log",
        "-d",
        str(state.root / "gerrit"),
    ]
    if program.headless:
        words.append("--headless")
    return Service(
        name="gerrit",
        command=tuple(words),
        user=users.GERRIT,
        environment={"HOME": str(state.root / "gerrit")},
        check=lambda: answers(f"{url(state)}/config/server/version"),
        url=f"{url(state)}/",
        port_names=("gerrit-http", "gerrit-ssh"),
    )


def ssh_key(state: State, name: str = "gerrit") -> Path:
    """A private key of the CI, made once; its public half is beside it."""
    key = state.path("ssh", f"{name}_ed25519")
    if not key.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "zuul-suse sandbox", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True)
    return key


def admin(state: State) -> Review:
    return Review(url(state), ADMIN, state.password("gerrit-admin"))


def ci(state: State) -> Review:
    return Review(url(state), CI_USER, state.password("gerrit-ci"))


def developer(state: State) -> Review:
    return Review(url(state), DEVELOPER, state.password("gerrit-developer"))


def _draw_admin_password(state: State) -> None:
    known = Review(url(state), ADMIN, KNOWN_PASSWORD)
    if known.is_accepted():
        drawn = state.password("gerrit-admin")
        state.save()  # before Gerrit has it: a command that is cut short here must find it again
        known.put("accounts/self/password.http", {"http_password": drawn})


def seed(state: State) -> None:
    """Accounts, labels and rights of a third-party CI; harmless when done again."""
    _draw_admin_password(state)
    review = admin(state)
    public_key = ssh_key(state).with_suffix(".pub").read_text().strip()
    review.ensure_account(CI_USER, CI_NAME, state.password("gerrit-ci"), ["Service Users"], public_key)
    review.ensure_account(DEVELOPER, "Devon Developer", state.password("gerrit-developer"), [], None)
    if not review.exists("projects/All-Projects/labels/Verified"):
        values = {" 0": "No score", "-1": "Fails", "+1": "Verified"}
        review.put("projects/All-Projects/labels/Verified", {"function": "NoBlock", "values": values})
    ci = review.get("groups/Service%20Users")["id"]
    vote = {"label": "Verified", "rules": {ci: {"action": "ALLOW", "min": -1, "max": 1}}}
    # What is seeded is the user's checkout: after an amended commit or a rebase it is no descendant of what was there.
    administrators = review.get("groups/Administrators")["id"]
    force = {"rules": {administrators: {"action": "ALLOW", "force": True}}}
    rights = {"refs/heads/*": {"permissions": {"label-Verified": vote, "push": force}}}
    rights["refs/tags/*"] = {"permissions": {"push": force}}
    # A rule that is there is not replaced: the new one would stand after it and not count.
    old: dict[str, Any] = {"refs/heads/*": {"permissions": {"push": {"rules": {administrators: {}}}}}}
    review.post("projects/All-Projects/access", {"remove": old, "add": rights})
