# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack control plane on this machine, for tests: where its files lie and on which ports it listens.

Written as `cloud.json` when a cloud starts and read by whoever uses a running one. `ready` turns true as the last step
of a start, so that a half-started cloud is never taken for a whole one.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jinja2

from zuul_suse.sandbox.state import cache_folder, free_port

SHARED_PORTS = ("keystone", "rabbitmq", "rabbitmq-dist", "epmd", "ssh", "volumes")
REGION_PORTS = ("placement", "glance", "neutron", "nova")
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    autoescape=False,  # noqa: S701  ini files
)


class CloudError(Exception):
    """The cloud can't be started or is not well; the message is one line and says what to do."""


def default_folder() -> Path:
    """The state folder of the cloud that a developer keeps running, and that tests use when it is well."""
    named = os.environ.get("ZUUL_SUSE_CLOUD")
    return Path(named) if named else cache_folder() / "cloud"


def session_folder() -> Path:
    """That of the cloud which a test session starts for itself; a session that was killed leaves it to the next one."""
    return default_folder().with_name(f"{default_folder().name}-tests")


@dataclass
class Layout:
    """One cloud's choices: `regions` are also the names of the clouds in clouds.yaml."""

    folder: Path
    environment: Path
    regions: list[str]
    ports: dict[str, int] = field(default_factory=dict)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    ready: bool = False

    @classmethod
    def read(cls, folder: Path) -> Layout:
        values = json.loads((folder / "cloud.json").read_text())
        return cls(**{**values, "folder": Path(values["folder"]), "environment": Path(values["environment"])})

    def write(self) -> None:
        part = self.folder / "cloud.json.part"
        part.write_text(json.dumps({**asdict(self), "folder": str(self.folder), "environment": str(self.environment)}))
        part.replace(self.folder / "cloud.json")

    def choose_ports(self) -> None:
        names = [*SHARED_PORTS, *(f"{region}-{name}" for region in self.regions for name in REGION_PORTS)]
        for name in names:
            self.ports[name] = free_port(taken=frozenset(self.ports.values()))

    def url(self, name: str) -> str:
        """The address of an API: `keystone`, `volumes`, or `REGION-nova` and the like."""
        path = {"keystone": "/v3", "volumes": "/v3"}.get(name, "/v2.1" if name.endswith("-nova") else "")
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def path(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def program(self, name: str) -> str:
        return str(self.environment / "bin" / name)

    def database(self, name: str, region: str = "") -> str:
        """SQLAlchemy's address of a database; keystone's is the only one without a region."""
        schema = f"{region}_{name}" if region else name
        return f"mysql+mysqldb://root@localhost/{schema}?unix_socket={self.folder / 'mysql.sock'}"

    def transport_url(self, region: str) -> str:
        return f"rabbit://cloud:{self.password}@127.0.0.1:{self.ports['rabbitmq']}/{region}"

    def render(self, template: str, target: Path, region: str = "") -> None:
        """Write a configuration file from templates/."""
        text = TEMPLATES.get_template(template).render(
            folder=target.parent,
            environment=self.environment,
            region=region,
            password=self.password,
            keystone_url=self.url("keystone"),
            database=lambda name: self.database(name, "" if name == "keystone" else region),
            transport_url=self.transport_url(region) if region else "",
            port=self.ports["rabbitmq"],
            definitions=target.parent / "definitions.json",
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
