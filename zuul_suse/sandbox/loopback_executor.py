# SPDX-License-Identifier: Apache-2.0
"""Upstream's zuul-executor, but for the address of its log streamer.

Zuul 14.3 binds that streamer to `::` with no option to choose (zuul/cmd/executor.py), and everything in a sandbox
listens on loopback only. Run by the supervisor in place of `zuul-executor`; ends as that does.
"""

from typing import Any

import zuul.lib.log_streamer
from zuul.cmd.executor import main


class LoopbackLogStreamer(zuul.lib.log_streamer.LogStreamer):  # type: ignore[misc]
    """Zuul's streamer on 127.0.0.1, whatever address it is told."""

    def __init__(self, _host: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__("127.0.0.1", *arguments, **options)


if __name__ == "__main__":
    zuul.lib.log_streamer.LogStreamer = LoopbackLogStreamer
    main()
