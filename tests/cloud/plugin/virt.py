# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202, ANN204, ANN205 - OpenStack has no types
"""nova's fake hypervisor, mended so that it starts twice, and with delays and failures at wish.

Loaded by nova-compute of the test cloud as `nova.virt.zuul_suse_loopback`. What it shall do is read anew for each
server from `control.json` in nova's state folder (written by `Region.control`), and from the server's own metadata:

- `boot_seconds` / metadata `fake-boot-seconds`: how long a server stays in BUILD,
- `failing`: how many of the next servers go ERROR (-1: all) / metadata `fake-failure`: this one does,
- `failing_names`: only servers whose name holds this text.
"""

import json
import pathlib
import threading
import time
import uuid

import nova.conf
from nova import exception
from nova.scheduler.client import report
from nova.virt import fake

CONF = nova.conf.CONF
NAMESPACE = uuid.UUID("6f1d3c1e-7a3b-4b39-9a52-0a4f3d1c5b6e")
CONSOLE = "loopback hypervisor\nbooting {name} ({uuid})\n{name} login: \n"


class LoopbackDriver(fake.FakeDriver):
    """Servers are entries in a dictionary; their addresses are loopback ones, where the test cloud's sshd answers."""

    vcpus = 16000
    memory_mb = 64_000_000
    local_gb = 16_000_000

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        # With every claim nova reads the allocations of every server, one request each: only for PCI devices and
        # reshaped hosts, of which there are none here, and by far most of what a hundred servers would cost.
        report.SchedulerReportClient.get_allocations_for_provider_tree = lambda *_: {}
        self._number, self._failed = None, 0
        self._lock = threading.Lock()

    # The base class draws node ids by chance: after a restart nova refuses to know its host again.

    def get_available_resource(self, nodename):
        return {**super().get_available_resource(nodename), "uuid": self._node_id(nodename)}

    def get_nodenames_by_uuid(self, refresh=False):
        return {self._node_id(name): name for name in self.get_available_nodes()}

    def spawn(self, context, instance, *arguments, **keywords):
        control = self._control()
        wanted = instance.metadata.get("fake-boot-seconds") or control.get("boot_seconds", 0)
        time.sleep(float(wanted))
        if self._shall_fail(instance, control):
            # This exception is not tried on other hosts: the server goes ERROR with these words as its fault.
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="hypervisor failure by wish")
        super().spawn(context, instance, *arguments, **keywords)

    def get_console_output(self, context, instance):
        return CONSOLE.format(name=instance.display_name, uuid=instance.uuid)

    def _control(self):
        try:
            return json.loads((pathlib.Path(CONF.state_path) / "control.json").read_text())
        except (OSError, ValueError):
            return {}

    def _shall_fail(self, instance, control):
        if instance.metadata.get("fake-failure"):
            return True
        if control.get("failing_names", "") not in instance.display_name:
            return False
        with self._lock:
            left = control.get("failing", 0)
            if left < 0:
                return True
            # `failing` counts from when the file was written: its number tells a new wish from an old one.
            if control.get("number") != self._number:
                self._number, self._failed = control.get("number"), 0
            if self._failed >= left:
                return False
            self._failed += 1
            return True

    @staticmethod
    def _node_id(name):
        return str(uuid.uuid5(NAMESPACE, name))
