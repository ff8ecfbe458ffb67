# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - arguments that requests knows
"""The way to one OpenStack region: authentication, end points, and every single HTTP request.

openstacksdk reads clouds.yaml and gives a keystoneauth session; the requests are plain REST. Nothing is read or
contacted before the first request. All threads of a datacenter share one `Region`; `close` drops its connections.
Every request that leaves, those for tokens and versions too, passes the datacenter's gate, has a time-out and is
made once: nothing is retried but a request whose token had expired, or whose credentials were changed.

A request uses one `Login` from its beginning to its end. The files are read again when they changed and when
credentials are refused. A new login replaces the old one once it has a token; files that can't be read and credentials
that don't count (yet) leave the old one.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import session as keystone_session
from keystoneauth1.exceptions import EndpointNotFound
from openstack.config.cloud_region import CloudRegion

from zuul_suse.datacenter import DatacenterError, NoCapacity, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.clouds import CloudsFiles, Stamp
from zuul_suse.datacenter.openstack.errors import error_of
from zuul_suse.datacenter.openstack.http import GatedRequests, Pass, name_of
from zuul_suse.datacenter.openstack.login import FOREIGN, Login, RefusedLogin, RefusedToken
from zuul_suse.datacenter.openstack.microversion import PLAIN, Version, headers, spoken

Json = dict[str, Any]
T = TypeVar("T")

LOOK_EVERY = 5.0  # seconds between looks whether clouds.yaml was changed
REMEMBERED = 30.0  # seconds that a fault in clouds.yaml is told from memory, and that a failed discovery is good for
ENDPOINT_AGE = 600.0  # the catalogue may change when the token is renewed, and a cloud may be upgraded
_VERSIONS = {"compute": "v2.1", "image": "v2", "network": "v2.0", "block-storage": "v3"}
_VERSIONED = re.compile(r"/v\d+(\.\d+)?(/|$)")


class Region:
    """See the module. Raises nothing but DatacenterError. `warn` is told when clouds.yaml was changed to no use."""

    def __init__(
        self,
        place: str,
        cloud: str,
        region: str | None,
        clouds_file: str | None,
        timeout: float,
        gate: Pass,
        warn: Callable[[str], object] = lambda _text: None,
    ) -> None:
        self._place = place
        self._warn = warn
        self.timeout = timeout
        self._http = GatedRequests(gate, timeout)
        new_session = functools.partial(keystone_session.Session, session=self._http)
        self._clouds = CloudsFiles(place, cloud, region, clouds_file, new_session)
        self._lock = threading.Lock()  # the login is made and replaced by one thread at a time
        self._login: Login | None = None
        self._fault: tuple[DatacenterError, float] | None = None
        self._stamp: Stamp = ()  # of the files when they were last read
        self._look_at = 0.0
        self._read_again_at = 0.0  # not before, unless the files changed
        self._pending = False  # the files hold what can't be used yet
        self._told = ""

    # The login

    def _current(self) -> Login:
        """The login that counts now; no request is made for the first one yet."""
        login = self._login
        if login is None:
            with self._lock:
                self._login = login = self._login or self._first()
        elif time.monotonic() >= self._look_at and self._lock.acquire(blocking=False):  # the others use the old one
            try:
                self._look_at = time.monotonic() + LOOK_EVERY
                if self._login is login:
                    login = self._login = self._renewed(login, read_again=self._pending)
            finally:
                self._lock.release()
        return login

    def _first(self) -> Login:
        if self._fault is not None and time.monotonic() < self._fault[1]:
            raise self._fault[0]
        self._stamp, self._look_at = self._clouds.stamp(), time.monotonic() + LOOK_EVERY
        try:
            return Login(self._place, *self._clouds.read())
        except DatacenterError as error:
            self._fault = (error, time.monotonic() + REMEMBERED)
            raise

    def _renewed(self, login: Login, *, read_again: bool) -> Login:
        """The login that the files give now, with a token; the same one if nothing changed or what is new is of no use.

        `read_again`: though nothing shows that they changed, but not more often than every REMEMBERED seconds.
        """
        stamp, now = self._clouds.stamp(), time.monotonic()
        if stamp == self._stamp and not (read_again and now >= self._read_again_at):
            return login
        self._stamp, self._read_again_at = self._clouds.settled(), now + REMEMBERED
        try:
            fresh = Login(self._place, *self._clouds.read())
            if (fresh.given, fresh.config.name) != (login.given, login.config.name):
                fresh.access()
                login = fresh
        except DatacenterError as error:
            self._pending = True
            if self._told != str(error):
                self._warn(f"clouds.yaml was changed; the connection from before is kept: {error}")
            self._told = str(error)
        else:
            self._pending, self._told = False, ""
        return login

    def _logged_in(self, work: Callable[[Login], T]) -> T:
        """Do something with the login that counts, and once more if it is refused and clouds.yaml has another."""
        login = self._current()
        try:
            return work(login)
        except (RefusedLogin, RefusedToken):
            with self._lock:
                if self._login is login:
                    self._login = self._renewed(login, read_again=True)
                fresh = self._login
            if fresh is None or fresh is login:
                raise
            return work(fresh)

    def identity(self) -> object:
        """Whatever was learnt while this was another object may be of another project."""
        return self._current()

    @property
    def config(self) -> CloudRegion:
        """What clouds.yaml says of this cloud."""
        return self._current().config

    def session(self) -> keystone_session.Session:
        """The session; no request is made for it yet."""
        return self._current().session

    def authenticate(self) -> float | None:
        """Get a token now; returns the cloud's clock, as far as the token tells it."""
        issued = getattr(self._logged_in(Login.access), "issued", None)
        return None if issued is None else float(issued.timestamp())

    def project(self) -> str:
        """The project's name or id."""
        access = self._logged_in(Login.access)
        return str(getattr(access, "project_name", None) or getattr(access, "project_id", None))

    # End points

    def url(self, service: str) -> str | None:
        """Where a service is; None if the cloud has none."""
        return self._logged_in(lambda login: self._endpoint(login, service))

    def has(self, service: str) -> bool:
        """Whether the cloud offers this service in this region."""
        return self.url(service) is not None

    def _endpoint(self, login: Login, service: str) -> str | None:
        url, until = login.endpoints.get(service, (None, 0.0))
        if time.monotonic() >= until:
            url = self._find_endpoint(login, service)
            login.endpoints[service] = (url, time.monotonic() + (REMEMBERED if url is None else ENDPOINT_AGE))
        return url

    def _find_endpoint(self, login: Login, service: str) -> str | None:
        login.access()
        config = login.config
        try:
            url = config.get_endpoint(service) or login.session.get_endpoint(
                service_type=config.get_service_type(service),
                service_name=config.get_service_name(service),
                interface=config.get_interface(service),
                region_name=config.get_region_name(service),
                skip_discovery=True,
            )
        except EndpointNotFound:
            return None
        except FOREIGN as error:
            raise login.translated(error) from error
        if not url:
            return None
        url = url.rstrip("/")
        return url if _VERSIONED.search(urlsplit(url).path) else f"{url}/{_VERSIONS[service]}"

    def microversion(self) -> str:
        """The compute microversion that is spoken, see `microversion`."""
        return "{}.{}".format(*self.compute_version())

    def compute_version(self) -> Version:
        """The same as numbers."""
        return self._logged_in(self._version)

    def _version(self, login: Login) -> Version:
        def discover() -> Version:
            if login.version is None or time.monotonic() >= login.version_until:
                login.version, seconds = self._discover(login)
                login.version_until = time.monotonic() + seconds
            return login.version

        return login.discovery.take(discover)

    def _discover(self, login: Login) -> tuple[Version, float]:
        """The version to speak, and for how many seconds. What can't be found out now is asked again soon."""
        url = self._endpoint(login, "compute") or ""
        root = re.sub(r"(/v2(?:\.\d+)?)/.*", r"\1", url)
        try:
            answer = self._send(login, "GET", f"{root}/", range(300, 600), {})
            if answer.status_code >= 400:
                said = error_of(self._place, "GET versions", answer)
                if isinstance(said, NoCapacity):
                    raise said
            return spoken(answer.json()), ENDPOINT_AGE
        except (ValueError, RecursionError):
            return login.version or PLAIN, REMEMBERED
        except DatacenterError:
            if login.version is None:
                raise
            return login.version, REMEMBERED

    # Requests

    def call(self, service: str, method: str, path: str, *, ok: Sequence[int] = (), **more: Any) -> requests.Response:
        """One request; an answer with an error status is raised, but those in `ok`."""
        if more.get("allow_reauth") is False:  # its body can't be sent once more
            return self._ask(self._current(), service, method, path, ok, more)
        return self._logged_in(lambda login: self._ask(login, service, method, path, ok, more))

    def _ask(
        self, login: Login, service: str, method: str, path: str, ok: Sequence[int], more: Json
    ) -> requests.Response:
        url = self._endpoint(login, service)
        if url is None:
            raise WrongConfiguration(f"{self._place}: the cloud has no {service} service in this region")
        if service != "compute":
            return self._send(login, method, url + path, ok, more)
        more = more | {"headers": headers(self._version(login))}
        answer = self._send(login, method, url + path, (*ok, 406), more)
        if answer.status_code == 406 and 406 not in ok:  # the cloud speaks another version than it did
            login.version_until = 0.0
            raise error_of(self._place, name_of(method, url + path), answer)
        return answer

    def _send(self, login: Login, method: str, url: str, ok: Sequence[int], more: Json) -> requests.Response:
        login.access()
        try:
            answer = login.session.request(
                url,
                method,
                raise_exc=False,
                log=False,
                connect_retries=0,
                status_code_retries=0,
                **more,
            )
        except FOREIGN as error:
            raise login.translated(error) from error
        if answer.status_code >= 400 and (answer.status_code not in ok or answer.status_code == 401):
            said = error_of(self._place, name_of(method, url), answer)
            raise RefusedToken(str(said), said.rest) if answer.status_code == 401 else said
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

    def made(self, answer: requests.Response, kind: str, *keys: str) -> list[str]:
        """What an answer says of the one thing that was made, by these keys."""
        content = self.json(answer).get(kind)
        values = [content.get(key) for key in keys] if isinstance(content, dict) else []
        if not values or not all(isinstance(value, str) and value for value in values):
            raise TryElsewhere(f"{self._place}: the answer lacks the {' and '.join(keys)} of a {kind}")
        return [str(value) for value in values]

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
        login: Login | None = None  # all pages are read with one
        seen: set[str] = set()
        while True:
            login, answer = self._logged_in(
                functools.partial(self._page, login, service, path, {"params": query} | more)
            )
            if on_date is not None and "Date" in answer.headers:
                on_date(answer.headers["Date"])
            content = self.json(answer)
            yield self._items(content.get(key), path, key)
            link = _next_link(content, key)
            if not link or link in seen:
                return
            seen.add(link)
            query |= dict(parse_qsl(urlsplit(link).query))

    def _page(
        self, first: Login | None, service: str, path: str, more: Json, login: Login
    ) -> tuple[Login, requests.Response]:
        used = first or login
        return used, self._ask(used, service, "GET", path, (), more)

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
