# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Translates between Nodepool's state machine framework and the fleet.

One per provider and configuration; Nodepool makes it in its main thread and ends it with `stop`. The constructor
touches no network (a constructor that raises would lose the provider until its configuration changes); the fleet
begins to poll when it is first needed, so a builder polls nothing. Lists and sums come from memory and never raise:
an exception there would abort a whole pass of Nodepool's PoolWorker.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nodepool.driver import statemachine
from nodepool.driver.utils import QuotaInformation

from nodepool import exceptions  # type: ignore[attr-defined]
from zuul_suse.datacenter import DatacenterError, Gone, ImageFile, Quota, Server
from zuul_suse.datacenter.kinds import load_kind
from zuul_suse.fleet import Fleet, Member, split_server
from zuul_suse.fleet.blame import Subject
from zuul_suse.fleet.console import log_console
from zuul_suse.fleet.deletion import DeleteMachine
from zuul_suse.fleet.launch import CreateMachine
from zuul_suse.nodepool_driver import options
from zuul_suse.nodepool_driver.config import SuseLabel, SuseProviderConfig
from zuul_suse.nodepool_driver.demand import demand_for, is_spare, need_of
from zuul_suse.nodepool_driver.leftovers import SuseResource, delete_leftover, list_leftovers
from zuul_suse.nodepool_driver.statsd import metrics_of

UPLOAD_KEYS = ("nodepool_provider_name", "nodepool_build_id", "nodepool_upload_id")  # one upload among all


def open_fleet(config: SuseProviderConfig, log: logging.Logger) -> Fleet:
    """The fleet that a provider's configuration describes; nothing is contacted. Nodepool shows only its own logs."""
    own = {option.name for option in options.DATACENTER}
    defaults = {option.name: option.default for option in options.DATACENTER}
    members = []
    for given in config.provider["datacenters"]:
        settings = {key: value for key, value in given.items() if key not in own}
        datacenter = load_kind(given["kind"]).open_datacenter(given["name"], settings)
        rate, creates, weight = (given.get(key, defaults[key]) for key in ("rate", "creates", "weight"))
        members.append(
            Member(
                datacenter,
                rate=rate,
                creates=creates,
                weight=weight,
                log=log,
                metrics=metrics_of(config.name, given["name"]),
                owns=lambda server: server.metadata.get("nodepool_provider_name") == config.name,
            )
        )
    return Fleet(members, log)


def quota_information(quota: Quota) -> QuotaInformation:
    """A Quota in Nodepool's words."""
    return QuotaInformation(instances=quota.instances, cores=quota.cores, ram=quota.ram)


class SuseInstance(statemachine.Instance):  # type: ignore[misc]
    """A server as Nodepool wants it. Cloud and zone are the datacenter: nodes of one request share them."""

    def __init__(self, address: str, server: Server) -> None:
        super().__init__()
        datacenter, _ = split_server(address)
        self.ready = server.ready
        self.external_id = address
        self.interface_ip = server.address or server.ipv4 or server.ipv6
        self.public_ipv4 = server.ipv4
        self.public_ipv6 = server.ipv6
        self.private_ipv4 = server.private_ipv4
        self.cloud = self.region = self.az = datacenter
        self.host_id = server.host
        self.metadata = dict(server.metadata)
        self._need = server.need

    def getQuotaInformation(self) -> QuotaInformation:
        return quota_information(self._need)


class SuseCreateMachine(statemachine.StateMachine):  # type: ignore[misc]
    """Nodepool's view of a launch; `external_id` follows the launch from datacenter to datacenter.

    While a launch waits for room its time doesn't run: Nodepool's launch-timeout is for those under way. A complete one
    begins again, in the same attempt, where its group has moved meanwhile.
    """

    def __init__(self, machine: CreateMachine) -> None:
        super().__init__()
        self.machine = machine
        self.state = machine.state

    def stirs(self) -> bool:
        """See `loop`."""
        return self.machine.stirs()

    def reopen(self) -> None:
        """Its server is given up: others of the request's have left the datacenter."""
        self.complete = False
        self.start_time = time.monotonic()

    def advance(self) -> SuseInstance | None:
        try:
            server = self.machine.advance()
        except DatacenterError as error:
            raise exceptions.LaunchNodepoolException(str(error)) from error
        finally:
            self.state = self.machine.state
            self.external_id = self.machine.address
        if self.machine.waits:
            self.start_time = time.monotonic()
        if server is None or self.machine.address is None:
            return None
        self.complete = True
        return SuseInstance(self.machine.address, server)


class SuseDeleteMachine(statemachine.StateMachine):  # type: ignore[misc]
    """Nodepool's view of a deletion."""

    def __init__(self, machine: DeleteMachine, log: Any) -> None:
        super().__init__()
        self.machine = machine
        self.external_id = machine.address
        self._log = log

    def stirs(self) -> bool:
        """See `loop`."""
        return self.machine.stirs()

    def advance(self) -> None:
        try:
            self.complete = self.machine.advance()
        except Gone as error:
            self._log.warning("Nothing to delete, as far as this configuration reaches: %s", error)
            raise exceptions.NotFound(str(error)) from error
        self.state = self.machine.state


class SuseAdapter(statemachine.Adapter):  # type: ignore[misc]
    """See the module."""

    REMEMBERED = 2000  # launches; one that is asked for again has failed before

    def __init__(self, provider_config: SuseProviderConfig) -> None:
        self.log = logging.getLogger(f"nodepool.driver.suse.{provider_config.name}")
        self.config = provider_config
        self.fleet = open_fleet(provider_config, self.log)
        self._launches: OrderedDict[str, CreateMachine] = OrderedDict()
        self._on_news: Callable[[], None] = lambda: None

    def stop(self) -> None:
        self.fleet.close()

    def listen(self, on_news: Callable[[], None]) -> None:
        """Be told when a datacenter answered or was listed, and when a launch was made."""
        self._on_news = on_news
        for member in self.fleet.members.values():
            member.on_news = on_news

    # Launches

    def getCreateStateMachine(
        self,
        hostname: str,
        label: SuseLabel,
        image_external_id: str | None,
        metadata: dict[str, str],
        request: Any,
        az: str | None,
        log: Any,
    ) -> SuseCreateMachine:
        self.fleet.start()
        node_id = metadata["nodepool_node_id"]
        images = self.fleet.images.locate(image_external_id) if image_external_id else None
        machine = CreateMachine(
            self.fleet,
            node_id,
            demand_for(label, images, hostname, self._properties(label, request) | metadata, is_spare(request)),
            prefer=az,
            avoid=self._forget_launch(node_id),
            boot_timeout=self.config.boot_timeout,
            console_log=label.console_log,
            checked=True,
            log=log,
        )
        self._launches[node_id] = machine
        while len(self._launches) > self.REMEMBERED:
            self._launches.popitem(last=False)
        self._on_news()
        return SuseCreateMachine(machine)

    def _properties(self, label: SuseLabel, request: Any) -> dict[str, str]:
        """Metadata that depends on the request. One that can't be worked out is left out: the node matters more."""
        known = {}
        for key, text in label.dynamic_properties.items():
            try:
                known[key] = text.format(request=request.getSafeAttributes())
            except (AttributeError, KeyError, IndexError, ValueError) as error:
                self.log.error("dynamic-instance-properties of label %s: %s: %r", label.name, key, error)
        return known

    def _forget_launch(self, node_id: str) -> set[str]:
        """End an earlier launch of this node; returns the datacenter in which it failed, to avoid it."""
        earlier = self._launches.pop(node_id, None)
        if earlier is None:
            return set()
        earlier.abandon()
        return {earlier.datacenter} if earlier.datacenter else set()

    def getDeleteStateMachine(self, external_id: Any, log: Any) -> SuseDeleteMachine:
        """The id may be one that another driver stored, which may have been no text."""
        self.fleet.start()
        address = external_id if isinstance(external_id, str) else ""
        return SuseDeleteMachine(DeleteMachine(self.fleet, address), log)

    def notifyNodescanFailure(self, label: SuseLabel, external_id: str) -> None:
        """The server started but can't be reached: that too is a failure, of its datacenter or its label."""
        reason = "the server's host keys could not be read"
        datacenter = split_server(external_id)[0]
        machine = next((one for one in list(self._launches.values()) if one.address == external_id), None)
        if machine is not None:
            machine.reject(reason)
        elif datacenter in self.fleet.members:
            self.fleet.blame.failed(Subject(label.name, label.name), datacenter, reason)

    def getConsoleLog(self, label: SuseLabel, external_id: Any) -> None:
        """Called in the create loop, which must not wait: it goes to the log from a worker thread, then comes the
        deletion."""
        name, server_id = split_server(external_id)
        if label.console_log and name in self.fleet.members:
            log_console(self.fleet.members[name], server_id, self.log)

    # Lists and sums

    def listInstances(self) -> Iterator[SuseInstance]:
        self.fleet.start()
        return iter([SuseInstance(address, server) for address, server in self.fleet.servers()])

    def listResources(self) -> Iterator[SuseResource]:
        """Called in Nodepool's clean-up thread, for all that bears our mark; deletes nothing by itself."""
        self.fleet.start()
        for address, server in self.fleet.servers():
            datacenter, server_id = split_server(address)
            if not self.fleet.member(datacenter).reaper.has(server_id):  # else it is being deleted already
                yield SuseResource(dict(server.metadata), "instance", datacenter, server_id)
        yield from list_leftovers(self.fleet, self.log)

    def deleteResource(self, resource: SuseResource) -> None:
        """In the background: the next clean-up sees whether it worked."""
        delete_leftover(self.fleet.member(resource.datacenter), resource, self.log)

    def getQuotaLimits(self) -> QuotaInformation:
        self.fleet.start()
        return quota_information(self.fleet.limits())

    def getQuotaForLabel(self, label: SuseLabel) -> QuotaInformation:
        return quota_information(need_of(label, self.fleet))

    def labelReady(self, label: SuseLabel) -> bool:
        """Nodepool itself looks whether a built image was uploaded."""
        self.fleet.start()
        return True

    # Images

    def uploadImage(
        self,
        provider_image: Any,
        image_name: str,
        filename: str,
        image_format: str | None = None,
        metadata: dict[str, Any] | None = None,
        md5: str | None = None,
        sha256: str | None = None,
    ) -> str:
        return self.fleet.upload_image(self.image_files(provider_image, image_name, filename, metadata or {}))

    def image_files(
        self, provider_image: Any, image_name: str, filename: str, metadata: dict[str, Any]
    ) -> dict[str, ImageFile]:
        """The file for each datacenter that is to have the image."""
        known = {key: str(value) for key, value in metadata.items()}
        proof = UPLOAD_KEYS if known.keys() >= set(UPLOAD_KEYS) else ()
        built = Path(filename)
        return {
            name: ImageFile(image_name, built.with_suffix(f".{kind}"), kind, known, proof)
            for name, kind in self.config.uploads[provider_image.name].items()
        }

    def files_of(self, upload: Any) -> dict[str, ImageFile]:
        """The same for an upload of which Nodepool has a record; none if it isn't to be uploaded (any more)."""
        image = self.config.diskimages.get(upload.image_name)
        if image is None or image.pause or not self.config.images_dir:
            return {}
        ids = (self.config.name, upload.build_id, upload.id)
        filename = Path(self.config.images_dir) / f"{upload.image_name}-{upload.build_id}.{self.config.image_type}"
        metadata = {**image.built_meta, **image.meta, **dict(zip(UPLOAD_KEYS, ids, strict=True))}
        return self.image_files(image, upload.external_name, str(filename), metadata)

    def deleteImage(self, external_id: str) -> None:
        self.fleet.delete_image(external_id)
