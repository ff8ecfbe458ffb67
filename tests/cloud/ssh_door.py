# SPDX-License-Identifier: Apache-2.0
"""Answers ssh on one port of every loopback address: `python ssh_door.py PORT SSHD CONFIG CLOSED`.

sshd itself can listen on all addresses or on a list; this listens on all addresses of the loopback interface only, and
hands each connection to an `sshd -i`. An address named in the file CLOSED gets no answer, as of a server whose sshd is
not up yet. Run by the cloud's supervisor; ends with SIGTERM, and sessions end with it (they are of its process group).
"""

import socket
import subprocess
import sys
import threading
from pathlib import Path


def serve(link: socket.socket, command: list[str], closed: Path) -> None:
    with link:
        if closed.exists() and link.getsockname()[0] in closed.read_text().split():
            return
        subprocess.run(command, stdin=link, stdout=link, stderr=subprocess.DEVNULL, check=False)


def main() -> None:
    port, sshd, config, closed = sys.argv[1:]
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        door.bind(("0.0.0.0", int(port)))
        door.listen(256)
        while True:
            link, _ = door.accept()
            command = [sshd, "-i", "-f", config]
            threading.Thread(target=serve, args=(link, command, Path(closed)), daemon=True).start()


if __name__ == "__main__":
    main()
