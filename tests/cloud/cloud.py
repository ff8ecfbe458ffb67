# SPDX-License-Identifier: Apache-2.0
"""Starts, examines and ends the test cloud; what tests and benchmarks hold in their hands.

`start()` makes a cloud and returns when every region can boot a server; `running()` finds one that someone else
started. Real are keystone, and placement, glance, neutron and nova of each region. Not real are the hypervisor (nova's
fake driver, see plugin/virt.py) and the network's back end (plugin/network.py): servers get loopback addresses, and one
sshd answers on all of them. The processes are a supervisord's, which carry the cloud's folder in their environment:
`Cloud.stop()` ends all of them, also those of a start that was killed half-way.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zuul_suse.sandbox import SandboxError
from zuul_suse.sandbox.service import Service
from zuul_suse.sandbox.state import State
from zuul_suse.sandbox.supervision import Supervision

from . import environment, seed, services
from .database import SCHEMAS, Database
from .layout import CloudError, Layout, default_folder

MAX_FOLDER = 80  # of characters: Unix sockets lie below it


class Cloud:
    """A running cloud. `regions` are the cloud names in `clouds_yaml`; with `-builtin` they have block storage too."""

    image, network, public_network, key = seed.IMAGE, seed.NETWORK, seed.PUBLIC, seed.KEY
    flavors, label = seed.FLAVORS, seed.LABEL

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._supervision = Supervision(State(layout.folder))

    @property
    def folder(self) -> Path:
        return self.layout.folder

    @property
    def regions(self) -> list[str]:
        return self.layout.regions

    @property
    def clouds_yaml(self) -> Path:
        return self.folder / "clouds.yaml"

    @property
    def nodepool_part(self) -> Path:
        """A file for `zuul-suse sandbox up --nodepool-part`; its label is `label`."""
        return self.folder / "nodepool-part.yaml"

    @property
    def ssh_port(self) -> int:
        return self.layout.ports["ssh"]

    @property
    def ssh_key(self) -> Path:
        """The private half of `key`."""
        return self.folder / "etc" / "ssh" / "id"

    ssh_user = getpass.getuser()

    def connect(self, cloud: str) -> Any:  # noqa: ANN401  the SDK has no types
        """An openstacksdk connection to a cloud of `clouds_yaml`."""
        return seed.connect(self.layout, cloud)

    def admin(self, region: str) -> Any:  # noqa: ANN401
        return self.connect(f"admin-{region}")

    # Faults that the cloud itself can have; those of the way to it are the proxy's (tests/proxy)

    def control(self, region: str, **wishes: object) -> None:
        """What the hypervisor does to the next servers, see plugin/virt.py; without wishes: boot at once, all well."""
        file = self.folder / "etc" / region / "nova" / "control.json"
        part = file.with_suffix(".part")
        part.write_text(json.dumps({**wishes, "number": time.monotonic_ns()}))
        part.replace(file)

    @contextlib.contextmanager
    def without_hosts(self, region: str) -> Iterator[None]:
        """The scheduler finds "No valid host" for every server of the region."""
        compute = self.admin(region).compute
        (service,) = compute.services(binary="nova-compute")
        compute.disable_service(service, disabled_reason="a test wants no valid host")
        try:
            yield
        finally:
            compute.enable_service(service)

    def close_ssh(self, *addresses: str) -> None:
        """Let sshd answer nowhere but at these addresses' neighbours; without addresses: everywhere again."""
        (self.folder / "etc" / "ssh" / "closed").write_text("\n".join(addresses))

    def set_quota(self, region: str, **limits: int) -> None:
        """Of nova, for project `ci`: `instances`, `cores`, `ram`; -1 is unlimited."""
        admin = self.admin(region)
        admin.compute.update_quota_set(admin.identity.find_project(seed.PROJECT), force=True, **limits)

    # Health and end

    def trouble(self) -> str | None:
        """Why the cloud is not well, in a line; None if it is."""
        if not self.layout.ready:
            return "its start did not end"
        pids = self._supervision.pids()
        dead = sorted(service.name for service in self._services() if pids.get(service.name) is None)
        if dead:
            return f"not running: {', '.join(dead)}; see {self.folder / 'logs'}"
        silent = sorted(service.name for service in self._services() if not service.check())
        return f"no answer from {', '.join(silent)}; see {self.folder / 'logs'}" if silent else None

    def stop(self) -> None:
        """End every process of the cloud and remove its folder; does nothing to a cloud that is gone."""
        stop(self.folder)

    def _services(self) -> list[Service]:
        return [
            *services.shared(self.layout),
            *(service for region in self.regions for service in services.regional(self.layout, region)),
        ]

    # Start

    def start(self) -> None:
        """Bring up a cloud whose folder is empty but for its description."""
        layout, database = self.layout, Database(self.layout)
        services.configure(layout)
        seed.write_clouds(layout)
        seed.write_nodepool_part(layout)
        database.initialise()
        self._supervision.configure(self._services())
        self._supervision.up()
        shared = list(services.shared(layout))
        for service in shared:
            if service.name != "keystone":
                self._supervision.start(service.name)
        _wait("mariadb", database.answers, 30)
        with ThreadPoolExecutor(2) as pool:
            bootstrapped = pool.submit(self._start_keystone, database)
            for region in layout.regions:
                for name in SCHEMAS:
                    if name != "keystone":
                        database.fill(name, region)
                database.map_cells(region)
            bootstrapped.result()
        _wait("rabbitmq", next(service.check for service in shared if service.name == "rabbitmq"), 60)
        _wait("keystone", next(service.check for service in shared if service.name == "keystone"), 60)
        seed.seed_identity(layout)
        # Each of them logs in when it starts.
        for region in layout.regions:
            for service in services.regional(layout, region):
                self._supervision.start(service.name)
        for region in layout.regions:
            self._await_region(region)
        layout.ready = True
        layout.write()

    def _start_keystone(self, database: Database) -> None:
        database.fill("keystone")
        seed.bootstrap(self.layout)
        self._supervision.start("keystone")

    def _await_region(self, region: str) -> None:
        for service in services.regional(self.layout, region):
            _wait(service.name, service.check, 120, lambda name=service.name: self._supervision.pids()[name] is None)
        seed.seed_region(self.layout, region)
        compute = self.admin(region).compute
        _wait(f"{region}-compute registers", lambda: any(host.state == "up" for host in compute.hypervisors()), 120)


def start(folder: Path | None = None, regions: int = 2) -> Cloud:
    """A fresh cloud in that folder; whatever was there is ended and removed first.

    :raises CloudError: something is missing on this machine, or a part does not come up; nothing is left running.
    """
    folder = folder or default_folder()
    if len(str(folder)) > MAX_FOLDER:
        raise CloudError(f"{folder}: the path is longer than {MAX_FOLDER} characters; set ZUUL_SUSE_CLOUD to a shorter")
    if not 1 <= regions <= 16:
        raise CloudError(f"regions: {regions} given (1 to 16)")
    programs = environment.ensure()
    stop(folder)
    folder.mkdir(parents=True, mode=0o700)
    layout = Layout(folder, programs, [f"region{number}" for number in range(1, regions + 1)])
    layout.choose_ports()
    layout.write()
    cloud = Cloud(layout)
    try:
        cloud.start()
    except BaseException as fault:
        kept = folder.with_name(f"{folder.name}-failed")
        shutil.rmtree(kept, ignore_errors=True)
        with contextlib.suppress(OSError):
            shutil.copytree(folder / "logs", kept)
        cloud.stop()
        if isinstance(fault, CloudError | SandboxError):
            raise CloudError(f"{fault}; the logs are in {kept}") from fault
        raise
    return cloud


def running(folder: Path | None = None) -> Cloud | None:
    """The cloud that runs in that folder and is well, or None (why not goes to stderr)."""
    folder = folder or default_folder()
    if not (folder / "cloud.json").exists():
        return None
    cloud = Cloud(Layout.read(folder))
    if fault := cloud.trouble():
        print(f"cloud: {folder}: {fault}", file=sys.stderr)
        return None
    return cloud


def stop(folder: Path | None = None) -> None:
    """End what runs in that folder, well or not, and remove the folder."""
    folder = folder or default_folder()
    supervision = Supervision(State(folder))
    supervision.stop(supervision.pids())  # side by side, which supervisord's own shutdown does not
    supervision.stop_all()
    shutil.rmtree(folder, ignore_errors=True)


def _wait(what: str, well: Callable[[], bool], seconds: float, dead: Callable[[], bool] = lambda: False) -> None:
    end = time.monotonic() + seconds
    while not well():
        if dead():
            raise CloudError(f"{what}: ended")
        if time.monotonic() > end:
            raise CloudError(f"{what}: not within {seconds:g} s")
        time.sleep(0.3)
