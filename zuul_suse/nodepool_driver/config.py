# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""A provider's section of nodepool.yaml as the objects that Nodepool reads.

Made anew by Nodepool whenever the file changed and compared with the old ones to see whether the provider must be
restarted; so `pool` and `provider`, which lead back up, are left out of comparisons. Attributes are the configuration
keys with `_`. Touches neither network nor file.
"""

from __future__ import annotations

import math
from typing import Any

from nodepool.driver import ConfigPool, ConfigValue, ProviderConfig

from zuul_suse.datacenter import Quota
from zuul_suse.datacenter.kinds import KINDS, load_kind, with_defaults
from zuul_suse.nodepool_driver import options, schema


class SuseImage(ConfigValue):  # type: ignore[misc]
    """An image of the provider, built or existing; access data come from the built image where it has them."""

    def __init__(self, given: dict[str, Any], built: Any = None) -> None:
        known = options.CLOUD_IMAGE if built is None else options.DISKIMAGE
        values = with_defaults(known, given)
        self.name: str = values["name"]
        self.image: str = values.get("image") or self.name
        self.images: dict[str, str] = values.get("images") or {}
        self.pause: bool = values.get("pause", False)
        self.meta: dict[str, Any] = values.get("meta", {})
        self.built_meta: dict[str, Any] = dict(built.meta) if built else {}
        self.username: str | None = values["username"] or (built.username if built else None)
        self.python_path: str = values["python-path"] or (built.python_path if built else "auto")
        self.shell_type: str | None = values["shell-type"] or (built.shell_type if built else None)
        self.connection_type: str = values["connection-type"]
        self.connection_port: int = values["connection-port"] or (5986 if self.connection_type == "winrm" else 22)

    def image_in(self, datacenter: str) -> str:
        """The image's alias or id in a datacenter."""
        return self.images.get(datacenter, self.image)

    @property
    def external_name(self) -> str:
        """What Nodepool shows."""
        return self.image


class SuseLabel(ConfigValue):  # type: ignore[misc]
    """A label as this provider makes it."""

    ignore_equality = ["pool"]  # noqa: RUF012

    def __init__(self, given: dict[str, Any], pool: SusePool) -> None:
        values = with_defaults(options.LABEL, given)
        self.pool = pool
        self.name: str = values["name"]
        self.diskimage: SuseImage | None = pool.provider.diskimages.get(values["diskimage"])
        self.cloud_image: SuseImage | None = pool.provider.cloud_images.get(values["cloud-image"])
        self.cpus: int = values["cpus"] or 0
        self.ram: int = values["ram"] or 0
        self.config: dict[str, str] = values["config"]
        self.dynamic_properties: dict[str, str] = values["dynamic-instance-properties"]
        checking, console = values["host-key-checking"], values["console-log"]
        self.host_key_checking: bool = pool.host_key_checking if checking is None else checking
        self.console_log: bool = pool.console_log if console is None else console
        self.datacenters: list[str] | None = values["datacenters"] or pool.datacenters
        self.weights: dict[str, float] = {**pool.weights, **(values["weights"] or {})}
        self.settings: dict[str, dict[str, Any]] = {kind: values[kind] or {} for kind in KINDS}

    @property
    def need(self) -> Quota:
        """What one node takes."""
        return Quota(1, self.cpus, self.ram)


class SusePool(ConfigPool):  # type: ignore[misc]
    """A pool of labels. Limits of datacenters are not its concern: the fleet sees to them, per datacenter."""

    ignore_equality = ["provider"]  # noqa: RUF012

    def __init__(self, given: dict[str, Any], provider: SuseProviderConfig) -> None:
        super().__init__()
        self.provider = provider
        self.load(given)

    def load(self, pool_config: dict[str, Any]) -> None:
        super().load(pool_config)
        values = with_defaults(options.POOL, pool_config)
        self.name: str = values["name"]
        self.max_cores: float = math.inf if values["max-cores"] is None else values["max-cores"]
        self.max_ram: float = math.inf if values["max-ram"] is None else values["max-ram"]
        self.use_internal_ip: bool = values["use-internal-ip"]
        checking = values["host-key-checking"]
        self.host_key_checking: bool = self.provider.host_key_checking if checking is None else checking
        self.ignore_provider_quota = True
        self.console_log: bool = values["console-log"]
        self.datacenters: list[str] | None = values["datacenters"]
        self.weights: dict[str, float] = values["weights"] or {}
        labels = [SuseLabel(given, self) for given in values["labels"]]
        self.labels: dict[str, SuseLabel] = {label.name: label for label in labels}


class SuseProviderConfig(ProviderConfig):  # type: ignore[misc]
    """The provider's section. `provider`, the section as written, is part of the comparison: datacenters are in it."""

    def __init__(self, provider: dict[str, Any]) -> None:
        if not isinstance(provider, dict) or "name" not in provider:
            raise schema.wrong(provider, (), "name is missing")
        super().__init__(provider)
        self._pools: dict[str, SusePool] = {}
        self.diskimages: dict[str, SuseImage] = {}
        self.cloud_images: dict[str, SuseImage] = {}

    @property
    def pools(self) -> dict[str, SusePool]:
        return self._pools

    @property
    def manage_images(self) -> bool:
        return True

    @staticmethod
    def reset() -> None:
        """Nothing outlives a configuration."""

    def load(self, newconfig: Any) -> None:
        """Also puts our pools into the labels at the top level, as Nodepool wants."""
        schema.check(self.provider)
        values = with_defaults(options.PROVIDER, self.provider)
        self.launch_retries: int = values["launch-retries"]
        self.launch_timeout: int = values["launch-timeout"]
        self.boot_timeout: int = values["boot-timeout"]
        self.patience: int = values["patience"]
        self.host_key_checking: bool = values["host-key-checking"]
        self.uploads = _uploads(values)
        self.image_type = _common_type([set(formats.values()) for formats in self.uploads.values()])
        self.image_name_format: str = values["image-name-format"]
        self.post_upload_hook: str | None = values["post-upload-hook"]
        self.images_dir: str | None = getattr(newconfig, "images_dir", None)
        self._load_images(values, newconfig)
        for index, given in enumerate(values["pools"]):
            pool = SusePool(given, self)
            self._pools[pool.name] = pool
            for number, name in enumerate(pool.labels):
                self._known(newconfig.labels, name, "labels", ("pools", index, "labels", number)).pools.append(pool)

        self.kinds: dict[str, str] = {given["name"]: given["kind"] for given in values["datacenters"]}

    def _load_images(self, values: dict[str, Any], newconfig: Any) -> None:
        for index, given in enumerate(values["diskimages"]):
            built = self._known(newconfig.diskimages, given["name"], "diskimages", ("diskimages", index))
            formats = {self.image_type, *self.uploads[given["name"]].values()}
            built.image_types |= formats
            # Nodepool's clean-up knows of one format per provider, and would take the others for uploaded.
            built.keep_image_types |= formats - {self.image_type}
            self.diskimages[given["name"]] = SuseImage(given, built)
        for given in values["cloud-images"]:
            self.cloud_images[given["name"]] = SuseImage(given)

    def _known(self, known: dict[str, Any], name: str, section: str, path: schema.Path) -> Any:
        if name not in known:
            fault = f"not in {section} at the top level (has {', '.join(known) or 'none'})"
            raise schema.wrong(self.provider, path, fault)
        return known[name]

    def getSchema(self) -> schema.Schema:
        return schema.Schema()

    def getSupportedLabels(self, pool_name: str | None = None) -> set[str]:
        return {label for pool in self._pools.values() if pool_name in (None, pool.name) for label in pool.labels}


def _uploads(values: dict[str, Any]) -> dict[str, dict[str, str]]:
    """For each built image: in which format it goes to which datacenters, those where a label may use it."""
    formats = {
        given["name"]: given.get("image-type") or values["image-type"] or load_kind(given["kind"]).IMAGE_TYPE
        for given in values["datacenters"]
    }
    wanted: dict[str, set[str]] = {given["name"]: set() for given in values["diskimages"]}
    for pool in values["pools"]:
        for label in pool["labels"]:
            if label.get("diskimage") in wanted:
                wanted[label["diskimage"]] |= set(label.get("datacenters") or pool.get("datacenters") or formats)
    return {
        image: {name: formats[name] for name in formats if name in (places or formats)}
        for image, places in wanted.items()
    }


def _common_type(formats: list[set[str]]) -> str:
    """The format whose file Nodepool asks for and hands over, of every image; the others lie beside it."""
    shared = set.intersection(*formats) if formats else set()
    return min(shared or set.union({"tar"}, *formats))
