# SPDX-License-Identifier: Apache-2.0
"""Serves saved build logs on loopback, browsable, and readable by Zuul's own pages.

Run by the supervisor as `python -m zuul_suse.sandbox.log_server FOLDER PORT`; ends with its process.
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class LogHandler(SimpleHTTPRequestHandler):
    """Python's own file handler; plain text is shown rather than downloaded."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ext: "text/plain; charset=utf-8" for ext in (".log", ".txt", ".yaml", ".conf", ".ini", ".sh")
    }

    def end_headers(self) -> None:
        """Zuul's pages, from another port, read the manifest and the job's output."""
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


def main(folder: str, port: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", int(port)), partial(LogHandler, directory=folder)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
