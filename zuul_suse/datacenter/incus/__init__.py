# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - pylxd has no types
"""One Incus or LXD server, whose REST APIs are the same here; this package is the only user of pylxd.

Owns the translation of pylxd's and requests' errors. Instances and images live in one project and carry our metadata
as `user.*` configuration keys and as image properties. A create or delete waits for the server's background
operation, so call it in a worker thread. Each calling thread has its own connection; `close` drops the caller's.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import pylxd
import pylxd.exceptions
import requests
from pylxd.client import get_session_for_url
from requests_toolbelt import MultipartEncoder  # type: ignore[import-untyped]

from zuul_suse.datacenter import (
    Datacenter,
    DatacenterError,
    Finding,
    Gone,
    Image,
    ImageFile,
    NoCapacity,
    Order,
    PlainDatacenter,
    Quota,
    Server,
    TryElsewhere,
    WrongConfiguration,
)
from zuul_suse.datacenter.incus.examination import Examination
from zuul_suse.datacenter.incus.image import metadata_tarball
from zuul_suse.datacenter.incus.instance import FAMILIES, name_of, server_of
from zuul_suse.datacenter.kinds import MANY, MOST_RAM, Option, with_defaults
from zuul_suse.datacenter.retry_after import retry_after

OPTIONS = (
    Option("url", str, "path of the server's unix socket, or https://host:port", required=True),
    Option("project", str, "project in which instances and images are kept", default="default"),
    Option("profiles", [str], "profiles that every instance gets, in this order", default=["default"]),
    Option("client-cert", str, "path of the client's certificate, for https"),
    Option("client-key", str, "path of the client's key, for https"),
    Option("server-cert", str, "path of the server's certificate, which is pinned; default: the host's own CAs"),
    Option(
        "max-servers",
        int,
        "how many instances may exist in the project, 0: no more are made; default: no limit",
        least=0,
        most=MANY,
    ),
    Option(
        "max-cores",
        int,
        "how many cores all instances may have; default: no limit, containers share cores",
        least=0,
        most=MANY,
    ),
    Option(
        "max-ram",
        int,
        "how much RAM all instances may have, in MiB; default: the host's RAM",
        least=0,
        most=MOST_RAM,
    ),
    Option(
        "address-family",
        str,
        "the kind of address without which a server isn't ready, and by which it is reached; any: the first that comes",
        default="ipv4",
        choices=FAMILIES,
    ),
    Option("nic", str, "name of the profiles' device by which servers are reached; default: any, in order of names"),
    Option(
        "timeout",
        int,
        "seconds until a request or a background operation counts as failed",
        default=120,
        least=1,
        most=3600,
    ),
)

PROJECT = ("url", "project")
LABEL_OPTIONS: tuple[Option, ...] = ()
IMAGE_TYPE = "tar"

UPLOAD_TIMEOUT = 3600.0  # a gigabyte to a slow disk far away
_FULL = re.compile(r"no space left|reached maximum|exceed|quota|not enough|cannot allocate memory", re.IGNORECASE)
_WRONG = re.compile(r"unknown configuration key|invalid ", re.IGNORECASE)
_UNLIMITED = float("inf")


def rest_of(response: requests.Response) -> float | None:
    """For how long an answer with an error status asks its client to stay away: a proxy before the server may."""
    return retry_after(response.headers) if response.status_code >= 400 else None


def translate(place: str, error: Exception) -> DatacenterError:
    """The house's word for a foreign error."""
    said = f"{place}: {error}"
    if isinstance(error, pylxd.exceptions.NotFound):
        return Gone(said)
    if isinstance(error, pylxd.exceptions.LXDAPIException):
        rest = rest_of(error.response)
        if _FULL.search(str(error)) or error.response.status_code == 429:
            return NoCapacity(said, rest)
        if error.response.status_code in (400, 401, 403):
            return WrongConfiguration(said)
        return TryElsewhere(said, rest)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return WrongConfiguration(said)  # a certificate that can't be read
    return TryElsewhere(said)


class IncusDatacenter(PlainDatacenter):
    """See the module. The constructor does not touch the network."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        given = with_defaults(OPTIONS, options)
        self._url: str = given["url"]
        self._project: str = given["project"]
        self._profiles: list[str] = given["profiles"]
        self._cert = (given["client-cert"], given["client-key"]) if given["client-cert"] else None
        self._server_cert: str | bool = given["server-cert"] or True
        self._max = (given["max-servers"], given["max-cores"], given["max-ram"])
        self._family: str = given["address-family"]
        self._nic: str | None = given["nic"]
        self._timeout: int = given["timeout"]
        self._connections = threading.local()

    # Connection

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """This thread's connection, with errors translated."""
        try:
            if not hasattr(self._connections, "client"):
                self._connections.client = self._connect()
            yield self._connections.client
        except DatacenterError:
            raise
        except (pylxd.exceptions.LXDAPIException, pylxd.exceptions.ClientConnectionFailed) as error:
            raise translate(self.name, error) from error
        except (requests.RequestException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise translate(self.name, error) from error

    def _connect(self) -> Any:
        """pylxd takes a path that doesn't exist for a host name, so such a socket is refused here."""
        url = self._url
        if url.startswith("/"):
            url = "http+unix://" + quote(url, safe="")
        session = get_session_for_url(url, verify=self._server_cert, cert=self._cert)
        # In requests, REQUESTS_CA_BUNDLE beats what the session was told; a pinned certificate must not lose to it.
        session.trust_env = self._server_cert is True and url.startswith("https://")
        self._hang_gate_before(session)
        timeout = (10, self._timeout)
        client = pylxd.Client(endpoint=url, session=session, timeout=timeout, project=self._project)
        if not client.trusted:
            raise WrongConfiguration(f"{self.name}: {self._url} does not trust the certificate {self._cert}")
        return client

    def _hang_gate_before(self, session: requests.Session) -> None:
        """Every request of this session passes the gate."""
        send = session.send

        def gated(request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            parts = urlsplit(str(request.url)).path.split("/")  # /1.0/instances/...
            with self.gate(f"{request.method} {parts[2] if len(parts) > 2 else 'server'}") as passage:
                response = send(request, **kwargs)
                passage.status = str(response.status_code)
                passage.rest = rest_of(response)
                return response

        session.send = gated  # type: ignore[method-assign]

    def _finish(self, client: Any, response: Any, seconds: float | None = None) -> dict[str, Any]:
        """Wait for a background operation; returns its metadata."""
        seconds = seconds or self._timeout
        operation = response.json()["operation"].rsplit("/", 1)[-1].split("?")[0]
        deadline = time.monotonic() + seconds
        while True:
            wait = client.api.operations[operation].wait.get(params={"timeout": 10}).json()["metadata"]
            if wait["status_code"] == 200:
                return wait.get("metadata") or {}
            if wait["status_code"] >= 400:
                raise self._failure(wait.get("err") or wait["status"])
            if time.monotonic() > deadline:
                raise TryElsewhere(f"{self.name}: {wait['description']} took more than {seconds} s")

    def _failure(self, error: str) -> DatacenterError:
        """The house's word for a background operation that failed; Incus gives no code, only text."""
        kind: type[DatacenterError] = TryElsewhere
        if _FULL.search(error):
            kind = NoCapacity
        elif _WRONG.search(error):
            kind = WrongConfiguration
        return kind(f"{self.name}: {error}")

    # Servers

    def create(self, order: Order) -> str:
        """The instance's name, its id, is unique per call: an earlier attempt's remains may still be around."""
        name = name_of(order.name, secrets.token_hex(2))
        config = {f"user.{key}": value for key, value in order.metadata.items()}
        if order.need.cores:
            config["limits.cpu"] = f"{order.need.cores:.0f}"
        if order.need.ram:
            config["limits.memory"] = f"{order.need.ram:.0f}MiB"
        kind_of_id = "fingerprint" if re.fullmatch("[0-9a-f]{64}", order.image) else "alias"
        body: dict[str, Any] = {
            "name": name,
            "type": "container",
            "profiles": self._profiles,
            "config": config | dict(order.config),
            "source": {"type": "image", kind_of_id: order.image},
        }
        with self._client() as client:
            starts_itself = client.has_api_extension("instance_create_start")
            if starts_itself:
                body["start"] = True
            try:
                response = client.api.instances.post(json=body)
            except pylxd.exceptions.NotFound as error:
                raise WrongConfiguration(f'{self.name}: image "{order.image}": {error}') from error
            self._finish(client, response)
            if not starts_itself:
                self._change_state(client, name, "start")
        return name

    def _change_state(self, client: Any, name: str, action: str) -> None:
        body = {"action": action, "timeout": self._timeout, "force": True}
        self._finish(client, client.api.instances[name].state.put(json=body))

    def list_servers(self) -> Sequence[Server]:
        """One request for all instances with state and addresses."""
        with self._client() as client:
            listed = client.api.instances.get(params={"recursion": 2}).json()["metadata"]
            return [server_of(instance, self._family, self._nic) for instance in listed]

    def delete(self, server_id: str) -> None:
        with self._client() as client:
            instance = client.api.instances[server_id]
            if instance.get().json()["metadata"]["status"] not in ("Stopped", "Error"):
                try:
                    self._change_state(client, server_id, "stop")
                except (TryElsewhere, pylxd.exceptions.LXDAPIException) as error:
                    if "already stopped" not in str(error):  # it stopped by itself meanwhile
                        raise
            self._finish(client, instance.delete())

    def console_log(self, server_id: str) -> str:
        with self._client() as client:
            return str(client.api.instances[server_id].console.get(is_api=False).text)

    def limits(self) -> Quota:
        servers, cores, ram = self._max
        if ram is None:
            try:
                with self._client() as client:
                    ram = int(client.api.resources.get().json()["metadata"]["memory"]["total"]) // 2**20
            except WrongConfiguration as error:  # a restricted certificate may not ask
                raise WrongConfiguration(f"{error}; `max-ram` does without the host's own RAM") from error
        return Quota(_UNLIMITED if servers is None else servers, _UNLIMITED if cores is None else cores, ram)

    # Images

    def upload_image(self, image: ImageFile) -> str:
        """Streams the root tarball from disk; Incus wants its own metadata tarball before it."""
        if image.format != "tar":
            raise WrongConfiguration(f'{self.name}: image format "{image.format}" is not one of tar')
        with self._client() as client, image.path.open("rb") as root:
            parts = MultipartEncoder(
                {
                    "metadata": ("metadata.tar", metadata_tarball(image), "application/octet-stream"),
                    "rootfs": ("rootfs.tar", root, "application/octet-stream"),
                }
            )
            kind = {"Content-Type": parts.content_type}
            response = client.api.images.post(data=parts, headers=kind, timeout=(60, UPLOAD_TIMEOUT))
            return str(self._finish(client, response, UPLOAD_TIMEOUT)["fingerprint"])

    def list_images(self) -> Sequence[Image]:
        with self._client() as client:
            return [_image(raw) for raw in client.api.images.get(params={"recursion": 1}).json()["metadata"]]

    def find_image(self, image_id: str) -> Image:
        with self._client() as client:
            return _image(client.api.images[image_id].get().json()["metadata"])

    def delete_image(self, image_id: str) -> None:
        with self._client() as client:
            self._finish(client, client.api.images[image_id].delete())

    def examine(self, orders: Sequence[Order]) -> Iterator[Finding]:
        examination = Examination(self.name, self._client, self._project, self._profiles, self._nic)
        return examination.run(orders, self.limits, self._timeout)

    def close(self) -> None:
        client = getattr(self._connections, "client", None)
        if client is not None:
            client.api.session.close()


def _image(raw: Mapping[str, Any]) -> Image:
    """Incus knows no half images: one whose upload broke isn't made."""
    properties = raw.get("properties") or {}
    return Image(raw["fingerprint"], properties.get("name", ""), properties)


def open_datacenter(name: str, options: Mapping[str, Any]) -> Datacenter:
    """See `kinds.Kind`."""
    return IncusDatacenter(name, options)
