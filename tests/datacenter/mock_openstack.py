# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - JSON as a service writes it
"""An OpenStack region made of canned answers, by requests-mock; no socket is opened.

Holds servers, ports, addresses and volumes as lists that a test changes; `calls` tells what was asked, by the names
that the gate is given too. For what only a real cloud can show, see the tests marked `cloud`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests_mock
import yaml

from zuul_suse.datacenter import Belonging, Datacenter

Json = dict[str, Any]
HOST = "http://cloud.example"
NETWORKS = [
    {"id": "11111111-0000-4000-8000-000000000001", "name": "ci-net", "router:external": False},
    {"id": "11111111-0000-4000-8000-000000000002", "name": "public", "router:external": True},
]
FLAVORS = [
    {"id": "1", "name": "m1.small", "ram": 2048, "vcpus": 1, "disk": 20},
    {"id": "2", "name": "m1.large", "ram": 8192, "vcpus": 4, "disk": 80},
    {"id": "3", "name": "c1.large", "ram": 8192, "vcpus": 8, "disk": 80},
    {"id": "4", "name": "h1.huge", "ram": 1024, "vcpus": 64, "disk": 10},
]
OURS = {"nodepool_provider_name": "suse", "nodepool_node_id": "0000000001"}


def uuid(number: int) -> str:
    return f"22222222-0000-4000-8000-{number:012d}"


class MockCloud:
    """See the module."""

    def __init__(self, mock: requests_mock.Mocker, folder: Path, services: tuple[str, ...] | None = None) -> None:
        self.mock = mock
        self.clouds_yaml = folder / "clouds.yaml"
        auth = {"auth_url": f"{HOST}/identity/v3", "username": "ci", "password": "x", "project_name": "ci"}
        auth |= {"user_domain_name": "Default", "project_domain_name": "Default"}
        self.clouds_yaml.write_text(yaml.safe_dump({"clouds": {"nbg": {"auth": auth, "region_name": "one"}}}))
        self.services = services or ("compute", "network", "image")
        self.now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
        self.tokens = 0
        self.good_token = "token-1"
        self.servers: list[Json] = []
        self.ports: list[Json] = []
        self.floating: list[Json] = []
        self.volumes: list[Json] = []
        self.images: list[Json] = []
        self.flavors = FLAVORS
        self.networks = NETWORKS
        self.limits = {"maxTotalInstances": 10, "maxTotalCores": -1, "maxTotalRAMSize": 51200}
        self.newest = "2.96"
        self.page = 1000
        self._mount()

    # What was asked

    @property
    def calls(self) -> list[str]:
        """As METHOD and path behind the version."""
        return [f"{r.method} {re.sub(r'^.*?/v[0-9.]+', '', urlsplit(r.url).path)}" for r in self.mock.request_history]

    def forget(self) -> None:
        self.mock.reset_mock()

    def last(self) -> Any:
        return self.mock.request_history[-1]

    def server(self, number: int, status: str = "ACTIVE", **more: Any) -> Json:
        """Add a server as nova lists it."""
        raw = {
            "id": uuid(number),
            "name": f"np{number}",
            "status": status,
            "hostId": "h1",
            "metadata": {},
            "updated": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "OS-EXT-STS:task_state": None,
            "flavor": {"vcpus": 1, "ram": 2048, "disk": 20, "original_name": "m1.small"},
            "addresses": {"ci-net": [address(f"10.0.0.{number}")]},
        } | more
        self.servers.append(raw)
        return raw

    # Answers

    def _mount(self) -> None:
        add = self.mock.register_uri
        add("GET", re.compile(f"{HOST}/identity/v3/?$"), json={"version": {"id": "v3.14", "status": "stable", "links": [
            {"rel": "self", "href": f"{HOST}/identity/v3"}]}})  # fmt: skip
        add("POST", f"{HOST}/identity/v3/auth/tokens", json=self._token)
        compute, network, image = f"{HOST}/compute/v2.1", f"{HOST}:9696/networking/v2.0", f"{HOST}/image/v2"
        add("GET", f"{compute}/", json=lambda *_: {"version": {"version": self.newest, "min_version": "2.1"}})
        add("GET", f"{compute}/flavors/detail", json=self._known(lambda: {"flavors": self.flavors}))
        add("GET", f"{compute}/limits", json=self._known(lambda: {"limits": {"absolute": self.limits}}))
        add("GET", f"{compute}/servers/detail", json=self._list_servers)
        add("GET", f"{compute}/servers", json=self._list_servers)
        add("POST", f"{compute}/servers", json=self._create, status_code=202)
        add("DELETE", re.compile(f"{compute}/servers/[^/]+$"), text=self._delete)
        add("POST", re.compile(f"{compute}/servers/[^/]+/action$"), json={"output": "login:"})
        add("GET", f"{compute}/os-keypairs", json={"keypairs": [{"keypair": {"name": "ci-key"}}]})
        zones = [{"zoneName": "nova", "zoneState": {"available": True}}]
        add("GET", f"{compute}/os-availability-zone", json={"availabilityZoneInfo": zones})
        add("GET", f"{network}/networks", json=lambda *_: {"networks": self.networks})
        add("GET", f"{network}/ports", json=self._list_ports)
        add("DELETE", re.compile(f"{network}/ports/"), status_code=204)
        add("GET", f"{network}/floatingips", json=lambda *_: {"floatingips": self.floating})
        add("POST", f"{network}/floatingips", json=self._float, status_code=201)
        add("DELETE", re.compile(f"{network}/floatingips/"), status_code=204)
        add("GET", f"{HOST}/volume/v3/p1/volumes/detail", json=lambda *_: {"volumes": self.volumes})
        add("DELETE", re.compile(f"{HOST}/volume/v3/p1/volumes/"), status_code=202)
        add("GET", f"{image}/images", json=self._list_images)

    def _token(self, _request: Any, context: Any) -> Json:
        self.tokens += 1
        self.good_token = f"token-{self.tokens}"
        context.status_code = 201
        context.headers["X-Subject-Token"] = self.good_token
        urls = {
            "compute": f"{HOST}/compute/v2.1",
            "network": f"{HOST}:9696/networking",
            "image": f"{HOST}/image",
            "block-storage": f"{HOST}/volume/v3/p1",
        }
        kinds = {"block-storage": "volumev3"}
        catalog = [
            {
                "type": kinds.get(name, name),
                "name": name,
                "endpoints": [{"interface": "public", "region": "one", "region_id": "one", "url": urls[name]}],
            }
            for name in self.services
        ]
        issued = datetime.now(UTC)
        text = "%Y-%m-%dT%H:%M:%S.000000Z"
        return {
            "token": {
                "methods": ["password"],
                "user": {"id": "u1", "name": "ci", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "p1", "name": "ci", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "r1", "name": "member"}],
                "issued_at": issued.strftime(text),
                "expires_at": (issued + timedelta(hours=1)).strftime(text),
                "catalog": catalog,
            }
        }

    def _known(self, answer: Callable[[], Json]) -> Callable[[Any, Any], Json]:
        """Only a token that still counts gets an answer."""

        def answered(request: Any, context: Any) -> Json:
            if request.headers.get("X-Auth-Token") != self.good_token:
                context.status_code = 401
                return {"error": {"message": "The request you have made requires authentication.", "code": 401}}
            return answer()

        return answered

    def _list_servers(self, request: Any, context: Any) -> Json:
        query = parse_qs(urlsplit(request.url).query)
        context.headers["Date"] = format_datetime(self.now, usegmt=True)
        servers = self.servers
        if "changes-since" in query:
            servers = [raw for raw in servers if raw["updated"] >= query["changes-since"][0]]
        else:
            servers = [raw for raw in servers if raw["status"] != "DELETED"]
        ids = [raw["id"] for raw in servers]
        start = ids.index(query["marker"][0]) + 1 if "marker" in query else 0
        page = servers[start : start + self.page]
        answer: Json = {"servers": page}
        if start + self.page < len(servers):
            href = f"{HOST}/compute/v2.1/servers/detail?marker={page[-1]['id']}"
            answer["servers_links"] = [{"rel": "next", "href": href}]
        return answer

    def _create(self, request: Any, _context: Any) -> Json:
        body = request.json()["server"]
        raw = self.server(100 + len(self.servers), "BUILD", name=body["name"], metadata=body["metadata"], addresses={})
        return {"server": {"id": raw["id"], "adminPass": "x"}}

    def _delete(self, request: Any, context: Any) -> str:
        server_id = request.path.rsplit("/", 1)[-1]
        known = [raw for raw in self.servers if raw["id"] == server_id]
        context.status_code = 204 if known else 404
        return "" if known else '{"itemNotFound": {"message": "Instance could not be found.", "code": 404}}'

    def _list_ports(self, request: Any, _context: Any) -> Json:
        query = parse_qs(urlsplit(request.url).query)
        ports = [raw for raw in self.ports if raw["status"] == query.get("status", [raw["status"]])[0].upper()]
        return {"ports": [raw for raw in ports if raw["device_id"] == query.get("device_id", [raw["device_id"]])[0]]}

    def _float(self, request: Any, _context: Any) -> Json:
        raw = request.json()["floatingip"] | {"id": "fip-1", "floating_ip_address": "203.0.113.9"}
        self.floating.append(raw)
        return {"floatingip": raw}

    def _list_images(self, request: Any, _context: Any) -> Json:
        query = parse_qs(urlsplit(request.url).query)
        keys = ("name", "zuul_suse_image", "status", "visibility")
        return {"images": [raw for raw in self.images if all(raw.get(k) == query[k][0] for k in keys if k in query)]}


def left_by(datacenter: Datacenter) -> list[Belonging]:
    """Belongings of all kinds."""
    return [found for kind in datacenter.belonging_kinds for found in datacenter.list_belongings(kind)]


def address(text: str, kind: str = "fixed", version: int = 4) -> Json:
    return {"addr": text, "version": version, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:0:0:1"}
