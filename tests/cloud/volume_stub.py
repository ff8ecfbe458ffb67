# SPDX-License-Identifier: Apache-2.0
"""A block storage that has no volumes: `python volume_stub.py PORT`.

Only for Nodepool's built-in openstack driver, which fails where none is in the catalogue or named in clouds.yaml. Run
by the cloud's supervisor; ends with SIGTERM.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = {"id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0"}


class Volumes(BaseHTTPRequestHandler):
    """Answers every GET: the version, or empty lists."""

    def do_GET(self) -> None:
        if self.path.rstrip("/") in ("", "/v3"):
            host, port = self.server.server_address[:2]
            links = [{"rel": "self", "href": f"http://{host!s}:{port}/v3/"}]
            answer: dict[str, object] = {"versions": [{**VERSION, "links": links}]}
        elif "/os-quota-sets/" in self.path or self.path.endswith("/limits"):
            unlimited = {"maxTotalVolumes": -1, "maxTotalVolumeGigabytes": -1}  # Nodepool's driver calculates with them
            answer = {"quota_set": {}, "limits": {"absolute": unlimited, "rate": []}}
        else:
            answer = {"volumes": [], "snapshots": [], "backups": [], "extensions": []}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Volumes).serve_forever()
