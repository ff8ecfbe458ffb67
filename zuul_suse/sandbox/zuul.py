# SPDX-License-Identifier: Apache-2.0
"""The sandbox's Zuul: scheduler, executor, web and finger gateway, and the tenant file.

Owns `zuul/` of the state folder, `etc/zuul.conf`, `etc/main.yaml` and the executor's Ansible. All listen on loopback.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
import yaml

from zuul_suse.sandbox import SandboxError, environment, gerrit, log_server
from zuul_suse.sandbox.certificates import Certificates
from zuul_suse.sandbox.gerrit import CI_USER, ssh_key
from zuul_suse.sandbox.service import Service, answers, wait_until
from zuul_suse.sandbox.state import BUILDS, State, cache_folder, cache_lock
from zuul_suse.sandbox.supervision import is_connected, listens
from zuul_suse.sandbox.templates import render
from zuul_suse.sandbox.users import ZUUL
from zuul_suse.seeds.render import TENANT_LIMITS

TENANT = "zuul-suse"
# The organisation of config projects and this project in the sandbox's Gerrit.
CONFIG_PROJECT = "suse/config-project"
# Zuul asks for these names of Ansible roots; both lead to the one that it uses by default.
ANSIBLE_VERSIONS = ("11", "9")
ANSIBLE_PACKAGES = (
    "ansible>=11,<12",  # upstream's jobs want ansible.posix and community.general
    "google-re2",
    "voluptuous",
    "jmespath",
    "netaddr",
    "passlib",
)
# Zuul's callback connects to nodes in threads, and the first connection imports these; Ansible forks meanwhile, and its
# worker then waits for ever for an import that no thread of its own will end (seen: passlib imports stringprep).
# Python reads this line at its start, so that no import is under way at a fork.
PRELOAD = "import encodings.idna, stringprep\n"
# A virtual environment is visible in bubblewrap only if its Python is: that of the system.
SYSTEM_PYTHON = "/usr/bin/python3"


def url(state: State) -> str:
    return f"http://127.0.0.1:{state.port('zuul-web')}"


def status_page(state: State) -> str:
    return f"{url(state)}/t/{TENANT}/status"


def nodes_key(state: State) -> Path:
    """The private key that opens nodes; made once."""
    return ssh_key(state, "nodes")


def ca_bundle() -> str:
    """This machine's certificate authorities, which nodes are to trust as well; empty where there are none."""
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem"):
        if Path(path).exists():
            return path
    return ""


def configure(state: State, files: Certificates) -> None:
    site = state.path("etc", "site-variables.yaml")
    variables = {
        "site_log_root": str(state.folder("build-logs")),
        "site_log_url": log_server.url(state),
        "site_ca_bundle": ca_bundle(),
    }
    site.write_text(yaml.safe_dump(variables))
    database = state.choices.database_uri or f"sqlite:///{state.path('zuul', 'zuul.sqlite')}"
    render(
        "zuul.conf.j2",
        state.path("etc", "zuul.conf"),
        root=state.root,
        builds=state.root / BUILDS,
        port=state.port,
        tls=files.zuul,
        keystore_password=state.password("zuul-keystore"),
        database=database,
        ansible_root=ansible_root(),
        nodes_key=nodes_key(state),
        site_variables=site,
        ca_bundle=ca_bundle(),
        tenant_file=tenant_file(state),
        web_url=url(state),
        review=state.choices.review,
        gerrit_user=CI_USER,
        gerrit_key=ssh_key(state),
        gerrit_password=state.password("gerrit-ci"),
        auth_secret=state.password("zuul-auth"),
    )
    render(
        "zuul.gitconfig.j2",
        state.path("etc", "zuul.gitconfig"),
        gerrit_url=gerrit.url(state),
        gerrit_header=gerrit.ci(state).git_header() if state.choices.review == "gerrit" else "",
    )
    for name in ("git", "executor", "run"):
        state.folder("zuul", name)
    state.folder(BUILDS)


def tenant_file(state: State) -> Path:
    return state.path("etc", "main.yaml")


def write_tenant(state: State) -> bool:
    """Write the tenant with the projects chosen so far; returns whether it changed."""
    projects = state.choices.untrusted_projects
    untrusted = [{name: options} if options else name for name, options in projects.items()]
    source = {"config-projects": [CONFIG_PROJECT], "untrusted-projects": untrusted}
    sources = {state.choices.review or "gerrit": source}
    tenant = {"name": TENANT, **TENANT_LIMITS, "report-build-page": False, "source": sources}
    text = yaml.safe_dump([{"tenant": tenant}], sort_keys=False)
    if tenant_file(state).exists() and tenant_file(state).read_text() == text:
        return False
    tenant_file(state).write_text(text)
    return True


def reconfigure(state: State) -> None:
    """Let the running scheduler read the tenant file and every branch again, and wait until it has.

    Zuul's Gerrit driver reads a branch's configuration again when a change merges, not when somebody pushes to it.
    """
    before = _last_reconfigured(state)
    command = [_command("zuul-scheduler"), "-c", str(state.root / "etc" / "zuul.conf"), "full-reconfigure"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"zuul-scheduler full-reconfigure: {(done.stderr or done.stdout).strip()[-300:]}")
    wait_until(lambda: _last_reconfigured(state) > before, "Zuul's reconfiguration", 300, lambda: None)


def _last_reconfigured(state: State) -> int:
    """When the tenant was read last, in milliseconds; 0 where Zuul does not answer."""
    try:
        return int(requests.get(f"{url(state)}/api/tenant/{TENANT}/status", timeout=10).json()["last_reconfigured"])
    except (requests.RequestException, ValueError, KeyError):
        return 0


def knows_job(state: State, job: str) -> bool:
    """Whether the tenant has the job with all its parents: Zuul can then freeze it for a change."""
    path = f"api/tenant/{TENANT}/job/{job}"
    return answers(f"{url(state)}/{path}")


def builds_of(state: State, commit: str) -> list[dict[str, Any]]:
    """Zuul's account of the builds of a commit that was pushed; empty until all of them are finished."""
    finished = _ask(state, f"buildsets?newrev={commit}&complete=true")
    return _ask(state, f"builds?newrev={commit}&complete=true") if finished else []


def log_folder(state: State, build_url: str | None) -> str | None:
    """Where the logs of a build are served, by the build's page in a verdict; None if it left none."""
    if not build_url:
        return None
    uuid = build_url.rstrip("/").rsplit("/", 1)[-1]
    found = _ask(state, f"builds?uuid={uuid}")
    return found[0].get("log_url") if found else None


def _ask(state: State, path: str) -> list[dict[str, Any]]:
    """A list from Zuul's REST; empty where it does not answer."""
    try:
        answer = requests.get(f"{url(state)}/api/tenant/{TENANT}/{path}", timeout=10)
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
    except (requests.RequestException, ValueError):
        return []
    return rows


def services(state: State) -> list[Service]:
    config = str(state.root / "etc" / "zuul.conf")
    options = ("-c", config, "-f", "-d")
    variables = {"HOME": str(state.root / "zuul"), "GIT_CONFIG_GLOBAL": str(state.root / "etc" / "zuul.gitconfig")}
    return [
        Service(
            name="zuul-scheduler",
            command=(*environment.script(state, "zuul-scheduler"), *options),
            user=ZUUL,
            environment=variables,
            check=lambda: _scheduler_is_well(state),
            port_names=("scheduler-health",),
        ),
        Service(
            name="zuul-executor",
            command=(environment.python(state), "-m", "zuul_suse.sandbox.loopback_executor", *options),
            user=ZUUL,
            environment=variables,
            check=lambda: answers(f"http://127.0.0.1:{state.port('executor-health')}/health/ready"),
            port_names=("executor-health", "executor-finger"),
        ),
        Service(
            name="zuul-web",
            command=(*environment.script(state, "zuul-web"), *options),
            user=ZUUL,
            environment=variables,
            check=lambda: answers(f"{url(state)}/api/tenant/{TENANT}/status"),
            url=status_page(state),
            port_names=("zuul-web",),
        ),
        Service(
            name="zuul-fingergw",
            command=(*environment.script(state, "zuul-fingergw"), *options),
            user=ZUUL,
            environment=variables,
            check=lambda: listens(state.port("zuul-fingergw")),
            port_names=("zuul-fingergw",),
        ),
    ]


def _scheduler_is_well(state: State) -> bool:
    """Ready, and listening to Gerrit: what happens there before is lost, for the event stream has no memory.

    After a crash the stream is opened only when ZooKeeper has forgotten the scheduler that died.
    """
    ready = answers(f"http://127.0.0.1:{state.port('scheduler-health')}/health/ready")
    return ready and (state.choices.review != "gerrit" or is_connected(state.port("gerrit-ssh")))


def ansible_root() -> Path:
    """Where it lies, links followed: bubblewrap shows the executor's jobs this very path, and its scripts name it."""
    return (cache_folder() / "ansible").resolve()


def ensure_ansible() -> None:
    """The executor's Ansible, installed once per user; much smaller than what zuul-manage-ansible makes.

    :raises SandboxError: pip or venv failed; the last line is told, and nothing half-made is left.
    """
    root = ansible_root()
    with cache_lock():
        wanted = "\n".join([*ANSIBLE_PACKAGES, PRELOAD])
        mark = root / "complete"
        if not mark.exists() or mark.read_text() != wanted:
            mark.unlink(missing_ok=True)
            _install_ansible(root)
            mark.write_text(wanted)


def _install_ansible(root: Path) -> None:
    main = root / ANSIBLE_VERSIONS[0]
    pip = [str(main / "bin" / "pip"), "install", "-q", "--no-compile", *ANSIBLE_PACKAGES]
    for command in ([SYSTEM_PYTHON, "-m", "venv", "--clear", str(main)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = ((done.stderr or done.stdout).strip().splitlines() or ["no output"])[-1]
            raise SandboxError(f"Ansible for the executor: {' '.join(command[:4])} … failed: {last}")
    for site_packages in main.glob("lib/python*/site-packages"):
        (site_packages / "zuul_suse_preload.pth").write_text(PRELOAD)
    for name in ANSIBLE_VERSIONS[1:]:
        link = root / name
        link.unlink(missing_ok=True)
        link.symlink_to(main)


def _command(name: str) -> str:
    """An upstream command from the environment that this package is installed in."""
    return os.path.join(os.path.dirname(sys.executable), name)
