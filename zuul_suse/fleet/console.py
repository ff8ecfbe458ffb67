# SPDX-License-Identifier: Apache-2.0
"""What a server that didn't boot wrote to its console, read before the server is deleted.

Called by launches and by a shell, whose threads must not wait: the console is read in a worker thread of the server's
datacenter, goes to the log from there, and `Member.reading` tells a deletion that it is still wanted.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

from zuul_suse.datacenter import DatacenterError
from zuul_suse.fleet.member import Member

Log = logging.Logger | logging.LoggerAdapter[Any]


def log_console(member: Member, server_id: str, log: Log) -> Future[None]:
    """Begin to read; the future ends when all is logged, and never fails."""

    def read() -> None:
        try:
            text = member.datacenter.console_log(server_id)
        except DatacenterError as error:
            member.heed(error)
            log.warning("No console log of %s in datacenter %s: %s", server_id, member.name, error)
            return
        log.info("Console log of %s in datacenter %s:", server_id, member.name)
        for line in text.splitlines():
            log.info("%s", line.rstrip())

    member.reading.add(server_id)
    call = member.call(read)
    call.add_done_callback(lambda _: member.reading.discard(server_id))
    return call
