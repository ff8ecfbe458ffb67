# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - arguments that requests knows
"""The way to one OpenStack region: clouds.yaml, authentication, end points, and every single HTTP request.

openstacksdk reads clouds.yaml and gives a keystoneauth session; the requests are plain REST. Nothing is read or
contacted before the first request. All threads of a datacenter share one `Region`; `close` drops its connections.
Every request that leaves, those for tokens and versions too, passes the datacenter's gate, has a time-out and is
made once: nothing is retried but a request whose token had expired.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import session as keystone_session
from keystoneauth1.exceptions import ClientException, EndpointNotFound
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import SDKException

from zuul_suse.datacenter import DatacenterError, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.errors import error_of, translate
from zuul_suse.datacenter.openstack.http import GatedRequests, Pass, name_of
from zuul_suse.datacenter.openstack.turn import Turn

Json = dict[str, Any]

REMEMBERED = 30.0  # seconds that a fault in clouds.yaml is told from memory
ENDPOINT_AGE = 600.0  # the catalogue may change when the token is renewed
# A compute microversion: flavors are embedded in servers from 2.47 on, a volume's type can be given from 2.67 on.
MICROVERSION = (2, 67)
_VERSIONS = {"compute": "v2.1", "image": "v2", "network": "v2.0", "block-storage": "v3"}
_VERSIONED = re.compile(r"/v\d+(\.\d+)?(/|$)")


class Region:
    """See the module. Raises nothing but DatacenterError."""

    def __init__(
        self, place: str, cloud: str, region: str | None, clouds_file: str | None, timeout: float, gate: Pass
    ) -> None:
        self._place = place
        self._cloud = cloud
        self._region = region
        self._clouds_file = clouds_file
        self.timeout = timeout
        self._http = GatedRequests(gate, timeout)
        self._lock = threading.RLock()  # worker threads that come first meet where the session is made
        self._login = Turn()
        self._config: CloudRegion | None = None
        self._session: keystone_session.Session | None = None
        self._fault: tuple[DatacenterError, float] | None = None
        self._endpoints: dict[str, tuple[str | None, float]] = {}
        self._microversion: str | None = None

    @property
    def config(self) -> CloudRegion:
        """What clouds.yaml says of this cloud."""
        self.session()
        return cast(CloudRegion, self._config)

    def session(self) -> keystone_session.Session:
        """The session; no request is made for it yet."""
        with self._lock:
            if self._session is None:
                if self._fault is not None and time.monotonic() < self._fault[1]:
                    raise self._fault[0]
                try:
                    self._config = self._read_clouds()
                    self._session = self._config.get_session()
                except (SDKException, ClientException, OSError, ValueError, KeyError, TypeError) as error:
                    said = f"datacenters[{self._place}].cloud: {' '.join(str(error).split())}"
                    self._fault = (WrongConfiguration(said), time.monotonic() + REMEMBERED)
                    raise self._fault[0] from error
            return self._session

    def _read_clouds(self) -> CloudRegion:
        constructor = functools.partial(keystone_session.Session, session=self._http)
        files = [self._clouds_file] if self._clouds_file else None
        config = OpenStackConfig(
            config_files=files,
            session_constructor=cast(type[keystone_session.Session], constructor),
            app_name="zuul-suse",
            load_envvars=not files,  # OS_CLIENT_CONFIG_FILE would beat what nodepool.yaml says
        )
        if self._clouds_file and self._clouds_file != config.config_filename:
            raise ValueError(f"{self._clouds_file} can't be read or is empty")
        known = sorted(config.get_cloud_names())
        if self._cloud not in known:
            raise ValueError(f'"{self._cloud}" not found in clouds.yaml (has {", ".join(known) or "none"})')
        return config.get_one(cloud=self._cloud, region_name=self._region)

    # Who we are

    def authenticate(self) -> float | None:
        """Get a token now; returns the cloud's clock, as far as the token tells it."""
        issued = getattr(self._login.take(self._access), "issued", None)
        return None if issued is None else float(issued.timestamp())

    def _access(self) -> object:
        """A token and what came with it, the one there is as long as it is good."""
        session = self.session()
        try:
            return session.auth.get_access(session)  # type: ignore[union-attr]
        except (ClientException, SDKException, requests.RequestException, OSError) as error:
            raise translate(self._place, error) from error

    def project(self) -> str:
        """The project's name or id."""
        access = self._login.take(self._access)
        return str(getattr(access, "project_name", None) or getattr(access, "project_id", None))

    # End points

    def url(self, service: str) -> str | None:
        """Where a service is; None if the cloud has none."""
        return self._endpoint(service)

    def has(self, service: str) -> bool:
        """Whether the cloud offers this service in this region."""
        return self._endpoint(service) is not None

    def _endpoint(self, service: str) -> str | None:
        url, until = self._endpoints.get(service, (None, 0.0))
        if time.monotonic() >= until:
            url = self._find_endpoint(service)
            self._endpoints[service] = (url, time.monotonic() + ENDPOINT_AGE)
        return url

    def _find_endpoint(self, service: str) -> str | None:
        session, config = self.session(), self.config
        self._login.take(self._access)
        try:
            url = config.get_endpoint(service) or session.get_endpoint(
                service_type=config.get_service_type(service),
                service_name=config.get_service_name(service),
                interface=config.get_interface(service),
                region_name=config.get_region_name(service),
                skip_discovery=True,
            )
        except EndpointNotFound:
            return None
        except (ClientException, SDKException, requests.RequestException, OSError) as error:
            raise translate(self._place, error) from error
        if not url:
            return None
        url = url.rstrip("/")
        return url if _VERSIONED.search(urlsplit(url).path) else f"{url}/{_VERSIONS[service]}"

    def microversion(self) -> str:
        """The compute microversion that is spoken: ours, or the cloud's newest if that is older."""
        if self._microversion is None:
            url = self._endpoint("compute") or ""
            root = re.sub(r"(/v2(?:\.\d+)?)/.*", r"\1", url)
            answer = self._send("GET", f"{root}/", (200, 300, 404), {})
            try:
                newest = str(answer.json()["version"]["version"] or "2.1")
            except (ValueError, KeyError, TypeError):
                newest = "2.1"
            major, minor = (int(part) for part in newest.split("."))
            self._microversion = "{}.{}".format(*min(MICROVERSION, (major, minor)))
        return self._microversion

    def describes(self) -> bool:
        """Whether servers can have a description."""
        return int(self.microversion().split(".")[1]) >= 19

    # Requests

    def call(self, service: str, method: str, path: str, *, ok: tuple[int, ...] = (), **more: Any) -> requests.Response:
        """One request; an answer with an error status is raised, but those in `ok`."""
        url = self._endpoint(service)
        if url is None:
            raise WrongConfiguration(f"{self._place}: the cloud has no {service} service in this region")
        if service == "compute":
            more["headers"] = {"OpenStack-API-Version": f"compute {self.microversion()}"}
        return self._send(method, url + path, ok, more)

    def _send(self, method: str, url: str, ok: tuple[int, ...], more: Json) -> requests.Response:
        self._login.take(self._access)
        try:
            answer = self.session().request(
                url,
                method,
                raise_exc=False,
                log=False,
                connect_retries=0,
                status_code_retries=0,
                **more,
            )
        except (ClientException, SDKException, requests.RequestException, OSError) as error:
            raise translate(self._place, error) from error
        if answer.status_code >= 400 and answer.status_code not in ok:
            raise error_of(self._place, name_of(method, url), answer)
        return answer

    def get(self, service: str, path: str, **params: str) -> Json:
        """One GET; its JSON."""
        return self.json(self.call(service, "GET", path, params=params))

    def json(self, answer: requests.Response) -> Json:
        """An answer's JSON object."""
        try:
            content = answer.json()
        except (ValueError, RecursionError) as error:
            raise TryElsewhere(f"{self._place}: the answer is no JSON: {answer.text[:80]!r}") from error
        if not isinstance(content, dict):
            raise TryElsewhere(f"{self._place}: the answer is no JSON object: {answer.text[:80]!r}")
        return content

    def pages(
        self,
        service: str,
        path: str,
        key: str,
        params: Mapping[str, Sequence[str]] | None = None,
        on_date: Callable[[str], object] | None = None,
        **more: Any,
    ) -> Iterator[list[Json]]:
        """A list, one request per page; most clouds give all in one. A page that comes again ends it."""
        query: Json = dict(params or {})
        seen: set[str] = set()
        while True:
            answer = self.call(service, "GET", path, params=query, **more)
            if on_date is not None and "Date" in answer.headers:
                on_date(answer.headers["Date"])
            content = self.json(answer)
            yield self._items(content.get(key), path, key)
            link = _next_link(content, key)
            if not link or link in seen:
                return
            seen.add(link)
            query |= dict(parse_qsl(urlsplit(link).query))

    def _items(self, listed: object, path: str, key: str) -> list[Json]:
        """The maps in a list; what else is in it is left out, unless nothing remains."""
        items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        if not items and listed != []:
            raise TryElsewhere(f"{self._place}: GET {path.strip('/')}: the answer has no list of {key}")
        return items

    def all(
        self, service: str, path: str, key: str, params: Mapping[str, Sequence[str]] | None = None, **more: Any
    ) -> list[Json]:
        """All items of a list."""
        return [item for page in self.pages(service, path, key, params, **more) for item in page]

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def _next_link(content: Json, key: str) -> str | None:
    """Where the next page is: nova, neutron and cinder say it in KEY_links, glance in `next`."""
    for link in content.get(f"{key}_links") or []:
        if link.get("rel") == "next":
            return str(link.get("href") or "")
    following = content.get("next")
    return str(following) if following else None
