# SPDX-License-Identifier: Apache-2.0
"""The sandbox's log server: nginx on a loopback address of its own, so that no log shares an origin with Zuul's pages.

Owns `log-server/` of the state folder and `etc/nginx.conf`; serves `build-logs/`, which the executor fills. What a
build left is a stranger's: no link is followed, and no document runs scripts.
"""

import shutil
from pathlib import Path

from zuul_suse.sandbox.service import Service, answers
from zuul_suse.sandbox.state import LOG_ADDRESS, State
from zuul_suse.sandbox.templates import render
from zuul_suse.sandbox.users import LOGS

# Debian's package has it as a module; where it is missing, nginx's own listing will do.
MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
FANCY_INDEX = "ngx_http_fancyindex_module.so"


def url(state: State) -> str:
    return f"http://{LOG_ADDRESS}:{state.port('logs')}"


def configure(state: State) -> None:
    state.folder("build-logs")
    found = [path for folder in MODULES if (path := Path(folder) / FANCY_INDEX).exists()]
    render(
        "nginx.conf.j2",
        _config(state),
        root=state.folder("build-logs"),
        scratch=state.folder("log-server"),
        listen=f"{LOG_ADDRESS}:{state.port('logs')}",
        fancy_index=found[0] if found else None,
    )


def service(state: State) -> Service:
    scratch = str(state.root / "log-server")
    return Service(
        name="logs",
        command=(shutil.which("nginx") or "nginx", "-c", str(_config(state)), "-p", scratch, "-e", "stderr"),
        user=LOGS,
        environment={"HOME": scratch},
        check=lambda: answers(f"{url(state)}/"),
        url=f"{url(state)}/",
        port_names=("logs",),
    )


def _config(state: State) -> Path:
    return state.root / "etc" / "nginx.conf"
