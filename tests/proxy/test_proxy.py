# SPDX-License-Identifier: Apache-2.0
"""The proxy before a web server of the test's own: what passes, what is broken, what is counted, and that others are
not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import requests
import yaml

from ..cloud.cloud import Cloud
from .proxy import SERVICES, Proxy, Way

ID = "0f0e0d0c-0b0a-0908-0706-050403020100"


class Region(ThreadingHTTPServer):
    """Answers with what it was asked, and remembers it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        assert isinstance(self.server, Region)
        self.server.asked.append(f"{self.command} {self.path}")
        said = {"path": self.path, "body": body, "me": f"http://127.0.0.1:{self.server.server_port}/v3"}
        text = json.dumps(said).encode()
        self.send_response(202 if body else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def regions() -> Iterator[dict[str, Region]]:
    made = {name: Region() for name in ("region1", "region2")}
    yield made
    for one in made.values():
        one.shutdown()
        one.server_close()


@pytest.fixture
def proxy(regions: dict[str, Region], tmp_path: Path) -> Iterator[Proxy]:
    ports = {f"{name}-{service}": one.server_port for name, one in regions.items() for service in SERVICES}
    names = {"region1": "region1", "region2": "region2", "admin-region1": "region1"}
    clouds = {name: {"region_name": one, "auth": {"auth_url": "http://127.0.0.1:1/v3"}} for name, one in names.items()}
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump({"clouds": clouds}))
    layout = SimpleNamespace(ports={**ports, "keystone": regions["region1"].server_port})
    cloud = cast(Cloud, SimpleNamespace(layout=layout, regions=list(regions), clouds_yaml=plain))
    with Proxy(cloud, tmp_path) as made:
        yield made


def call(way: Way, path: str = "/v2.1/servers", service: str = "nova", data: str = "", seconds: float = 5.0) -> int:
    url = f"http://127.0.0.1:{way.ports[service]}{path}"
    return requests.request("POST" if data else "GET", url, data=data, timeout=seconds).status_code


def test_requests_pass_with_their_bodies_and_are_counted_by_template(proxy: Proxy) -> None:
    way = proxy.ways["region1"]
    assert call(way, f"/v2.1/servers/{ID}/action?x={ID}", data="x" * 200_000) == 202
    assert call(way, f"/v2.0/ports?device_id={ID}", "neutron") == 200
    assert way.counts() == {"nova POST /v2.1/servers/{id}/action": 1, "neutron GET /v2.0/ports": 1}
    assert proxy.ways["region2"].counts() == {}
    way.reset()
    assert way.counts() == {}


def test_catalogue_and_auth_url_lead_over_the_proxy_but_not_for_administrators(proxy: Proxy) -> None:
    way = proxy.ways["region1"]
    url = f"http://127.0.0.1:{way.ports['keystone']}/v3"
    said = requests.get(url, timeout=5).json()
    assert said["me"].split(":")[2].split("/")[0] in {str(port) for port in way.ports.values()}
    clouds = yaml.safe_load(proxy.clouds_yaml.read_text())["clouds"]
    assert clouds["region1"]["auth"]["auth_url"] == url
    assert clouds["region2"]["auth"]["auth_url"] != url
    assert clouds["admin-region1"]["auth"]["auth_url"] == "http://127.0.0.1:1/v3"


def test_a_refusing_way_resets_what_is_under_way_and_comes_back(proxy: Proxy) -> None:
    way, other = proxy.ways.values()
    with way.late(20):
        faults: list[BaseException] = []

        def wait() -> None:
            try:
                call(way, seconds=20)
            except requests.ConnectionError as fault:
                faults.append(fault)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.3)
        with way.refused():
            waiting.join(timeout=5)
            assert len(faults) == 1
            with pytest.raises(requests.ConnectionError, match="refused"):
                call(way)
            assert call(other) == 200
    assert call(way) == 200


def test_a_black_hole_takes_connections_and_never_answers(proxy: Proxy, regions: dict[str, Region]) -> None:
    way = proxy.ways["region1"]
    with way.silent("GET .*/servers"):
        with pytest.raises(requests.ReadTimeout):
            call(way, seconds=0.5)
        assert call(way, "/v2.1/limits") == 200
    assert regions["region1"].asked == ["GET /v2.1/limits"]
    assert call(way) == 200


def test_answers_of_our_own_have_status_words_and_headers(proxy: Proxy, regions: dict[str, Region]) -> None:
    way = proxy.ways["region1"]
    url = f"http://127.0.0.1:{way.ports['nova']}/v2.1/servers"
    with way.says(429, message="slow down", headers={"Retry-After": "7"}, times=1) as fault:
        answer = requests.get(url, timeout=5)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert answer.json()["overLimit"]["message"] == "slow down"
        assert call(way) == 200
        assert fault.hits == 1
    with way.over_quota():
        answer = requests.post(url, data="x" * 100_000, timeout=5)
        assert answer.status_code == 403
        assert answer.json()["forbidden"]["message"].startswith("Quota exceeded for instances")
    assert regions["region1"].asked == ["GET /v2.1/servers"]


def test_a_share_of_calls_fails(proxy: Proxy) -> None:
    way = proxy.ways["region1"]
    with way.says(500, share=0.5):
        seen = {call(way) for _ in range(20)}
    assert seen == {200, 500}


def test_a_lost_answer_means_that_the_region_did_it(proxy: Proxy, regions: dict[str, Region]) -> None:
    with proxy.ways["region1"].lost("^POST"), pytest.raises(requests.ConnectionError):
        call(proxy.ways["region1"], data="x")
    assert regions["region1"].asked == ["POST /v2.1/servers"]


def test_latency_delays_one_region_only(proxy: Proxy) -> None:
    way, other = proxy.ways.values()
    way.latency = 0.3
    call(way)
    call(other)
    assert way.calls[0].seconds >= 0.3 > other.calls[0].seconds
