# SPDX-License-Identifier: Apache-2.0
"""The cloud's MariaDB: a private one on a Unix socket, its schemas loaded from dumps.

Owns `mysql/` and `mysql.sock` below the cloud's folder, and `schemas/` in the virtual environment's, where the schemas
lie once OpenStack's own tools have made them: they take a minute, loading a dump takes a second. Called by `cloud.py`.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess

from zuul_suse.sandbox.service import Service

from .environment import program
from .layout import CloudError, Layout

SCHEMAS = {
    "keystone": ("keystone-manage", "keystone/keystone.conf", "db_sync"),
    "placement": ("placement-manage", "placement/placement.conf", "db", "sync"),
    "glance": ("glance-manage", "glance/glance-api.conf", "db_sync"),
    "neutron": ("neutron-db-manage", "neutron/neutron.conf", "upgrade", "heads"),
    "nova_api": ("nova-manage", "nova/nova.conf", "api_db", "sync"),
    "nova": ("nova-manage", "nova/nova.conf", "db", "sync", "--local_cell"),
}
CELL0 = "00000000-0000-0000-0000-000000000000"


class Database:
    """One cloud's MariaDB."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._socket = layout.folder / "mysql.sock"
        self._data = layout.folder / "mysql"

    def initialise(self) -> None:
        _run([program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", f"--user={getpass.getuser()}",
              "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-file-per-table=0"])  # fmt: skip

    def service(self) -> Service:
        # Nothing here outlives the machine: no double writes, no waiting for the disk.
        command = (
            program("mariadbd"), "--no-defaults", f"--datadir={self._data}", f"--socket={self._socket}",
            f"--pid-file={self._layout.folder / 'mysql.pid'}", f"--user={getpass.getuser()}", "--skip-networking",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-file-per-table=0",
            "--innodb-buffer-pool-size=192M", "--max-connections=2000", "--character-set-server=utf8mb3",
        )  # fmt: skip
        return Service("mariadb", command, self.answers, user=getpass.getuser(), stop_seconds=2)

    def answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except CloudError:
            return False
        return True

    def run(self, statements: str, schema: str = "") -> None:
        _run([program("mariadb"), "--no-defaults", f"--socket={self._socket}", "--user=root", schema], statements)

    def fill(self, name: str, region: str = "") -> None:
        """Make a service's database, or for nova those of both cells."""
        prefix = f"{region}_" if region else ""
        schemas = [f"{prefix}{name}", *([f"{prefix}nova_cell0"] if name == "nova" else [])]
        self.run("".join(f"CREATE DATABASE {schema};" for schema in schemas))
        dump = self._layout.environment / "schemas" / f"{name}.sql"
        if not dump.exists():
            self._make(name, schemas[0], region)
            schemas = schemas[1:]
        for schema in schemas:
            self.run(dump.read_text(), schema)

    def map_cells(self, region: str) -> None:
        """What nova-manage's `map_cell0`, `create_cell` and `discover_hosts` would write, without their imports."""
        layout = self._layout
        urls = (layout.database("nova_cell0", region), layout.transport_url(region), layout.database("nova", region))
        self.run(  # our own words only
            "INSERT INTO cell_mappings (created_at, uuid, name, transport_url, database_connection, disabled) VALUES"  # noqa: S608
            f" (now(), '{CELL0}', 'cell0', 'none:///', '{urls[0]}', 0),"
            f" (now(), uuid(), 'cell1', '{urls[1]}', '{urls[2]}', 0);"
            "INSERT INTO host_mappings (created_at, cell_id, host)"
            f" SELECT now(), id, '{region}' FROM cell_mappings WHERE name = 'cell1';",
            f"{region}_nova_api",
        )

    def _make(self, name: str, schema: str, region: str) -> None:
        """Let the service's own tool make the schema, and keep it for later."""
        tool, config, *arguments = SCHEMAS[name]
        file = self._layout.folder / "etc" / region / config
        _run([self._layout.program(tool), "--config-file", str(file), *arguments])
        folder = self._layout.environment / "schemas"
        folder.mkdir(exist_ok=True)
        part = folder / f"{name}.part"
        with part.open("w") as output:
            subprocess.run(
                [program("mariadb-dump"), "--no-defaults", f"--socket={self._socket}", "--user=root", schema],
                stdout=output, check=True,
            )  # fmt: skip
        shutil.move(part, folder / f"{name}.sql")


def _run(command: list[str], text: str | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        fault = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise CloudError(f"{command[0].rpartition('/')[2]} {' '.join(command[3:5])}: {' '.join(fault)}")
