# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Our driver under the name that Nodepool's own tests use, `fake`.

Ours, in the path of every launch and deletion of every `fake-*` provider: the configuration (SuseProviderConfig with
its schema), SuseProvider, SuseHandler, SuseAdapter, the create and delete machines, Fleet, Member, Poller, Breaker,
Limiter, Reaper and placement, image upload and deletion. Written for these tests: the translation of a fixture's
openstack section into one of `driver: suse` (below) and the datacenter (`twin`). Upstream's: the tests, their fixtures,
the fake cloud, launcher and builder. Made by Nodepool in its main thread; ends when it calls `stop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import twin
from nodepool.driver.fake.adapter import FakeOpenStackCloud
from nodepool.driver.statemachine import StateMachineDriver
from openstack.cloud.exc import OpenStackCloudCreateException

from zuul_suse.fleet import split_images
from zuul_suse.nodepool_driver.adapter import SuseAdapter
from zuul_suse.nodepool_driver.config import SuseProviderConfig
from zuul_suse.nodepool_driver.provider import SuseProvider
from zuul_suse.nodepool_driver.schema import Schema

Section = dict[str, Any]

# Keys that mean the same in both drivers. `rate` does not: upstream's is seconds between two requests.
SAME = {
    "provider": ("name", "launch-retries", "launch-timeout", "boot-timeout", "max-concurrency", "priority",
                 "image-name-format", "post-upload-hook"),
    "diskimage": ("name", "pause", "meta", "connection-type", "connection-port", "username", "python-path",
                  "shell-type"),
    "cloud-image": ("name", "connection-type", "connection-port", "username", "python-path", "shell-type"),
    "pool": ("name", "max-servers", "max-cores", "max-ram", "node-attributes", "priority", "use-internal-ip"),
    "label": ("name", "diskimage", "cloud-image", "host-key-checking", "console-log", "dynamic-instance-properties"),
}  # fmt: skip


def same(kind: str, section: Section) -> Section:
    return {key: section[key] for key in SAME[kind] if key in section}


def translate(section: Section) -> Section:
    """A fixture's openstack section as one of `driver: suse`: its availability zones become datacenters."""
    zones = list(
        dict.fromkeys(zone for pool in section.get("pools", ()) for zone in pool.get("availability-zones", ()))
    )
    named = [{"name": zone, "zone": zone} for zone in zones] or [{"name": section.get("cloud", "default")}]
    return {
        **same("provider", section),
        "driver": "fake",  # Nodepool asks this one for the provider
        # Upstream takes the format from clouds.yaml, in which these two clouds differ from the others.
        "image-type": {"fake-vhd": "vhd", "fake-raw": "raw"}.get(section.get("cloud", ""), "qcow2"),
        "datacenters": [{"kind": twin.KIND, "rate": 1000.0, **datacenter} for datacenter in named],
        "diskimages": [same("diskimage", image) for image in section.get("diskimages", ())],
        "cloud-images": [_cloud_image(image) for image in section.get("cloud-images", ())],
        "pools": [_pool(pool, section) for pool in section.get("pools", ())],
    }


def _cloud_image(image: Section) -> Section:
    external = image.get("image-id") or image.get("image-name")
    return {**same("cloud-image", image), **({"image": external} if external else {})}


def _pool(pool: Section, provider: Section) -> Section:
    checking = pool.get("host-key-checking", provider.get("host-key-checking", True))
    made = {**same("pool", pool), "host-key-checking": checking}
    if pool.get("availability-zones"):
        made["datacenters"] = pool["availability-zones"]
    return {**made, "labels": [_label(label, pool) for label in pool.get("labels", ())]}


def _label(label: Section, pool: Section) -> Section:
    known = {option.name for option in twin.LABEL_OPTIONS}
    settings = {key: value for key, value in label.items() if key in known}
    for key in ("networks", "security-groups"):
        if pool.get(key) and key not in settings:
            settings[key] = pool[key]
    return {**same("label", label), twin.KIND: settings}


class TwinSchema(Schema):
    """What `config-validate` is given: the fixture's section, translated, against our schema."""

    def __call__(self, provider: Section) -> Any:
        return super().__call__(translate(provider))


class TwinConfig(SuseProviderConfig):
    """Our configuration from a fixture's section."""

    def __init__(self, section: Section) -> None:
        super().__init__(translate(section))

    def getSchema(self) -> TwinSchema:
        return TwinSchema()


class TwinAdapter(SuseAdapter):
    """Our adapter, and what upstream's tests reach for in theirs to look at the cloud or to make it fail."""

    fake_cloud = FakeOpenStackCloud
    IMAGE_CHECK_TIMEOUT = 300

    def __init__(self, provider_config: TwinConfig) -> None:
        self.createServer_fails = 0
        self.createServer_fails_with_external_id = 0
        self.__client = TwinAdapter.fake_cloud()
        super().__init__(provider_config)
        self._client = self._getClient()
        for member in self.fleet.members.values():
            member.datacenter.adapter = self

    def _getClient(self) -> Any:
        return self.__client

    def _createServer(self, arguments: Mapping[str, Any]) -> Any:
        if self.createServer_fails:
            self.createServer_fails -= 1
            raise Exception("Expected createServer exception")
        if self.createServer_fails_with_external_id:
            self.createServer_fails_with_external_id -= 1
            raise OpenStackCloudCreateException("server", "fakeid")
        return self._client.create_server(**arguments)

    def _deleteServer(self, external_id: str) -> None:
        self._client.delete_server(external_id)

    def _listServers(self) -> Any:
        return list(self._client.list_servers())

    def _getServer(self, external_id: str) -> Any:
        return self._client.get_server(external_id)

    def _findImage(self, external_id: str) -> Any:
        """A built image is known in each datacenter by an id of its own."""
        ids = split_images(external_id)
        return self._client.get_image(next(iter(ids.values()), external_id))

    def _listPorts(self, status: str | None = None) -> Any:
        return self._client.list_ports(filters={"status": status} if status else None)


class TwinDriver(StateMachineDriver):
    """Stands where FakeDriver stands."""

    def getProviderConfig(self, provider: Section) -> TwinConfig:
        return TwinConfig(provider)

    def getAdapter(self, provider_config: TwinConfig) -> TwinAdapter:
        return TwinAdapter(provider_config)

    def getProvider(self, provider_config: TwinConfig) -> SuseProvider:
        return SuseProvider(self.getAdapter(provider_config), provider_config)
