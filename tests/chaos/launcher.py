# SPDX-License-Identifier: Apache-2.0
"""nodepool-launcher with a clean-up every five seconds, in place of every sixty, and a line in its log after each.

Nodepool has no option for that interval and finds a leak only when it saw it twice, so a test of "nothing is left after
two rounds" would take two minutes. Everything else is the launcher as it is shipped; run as `launcher.py ARGUMENTS`.
"""

import functools
import logging
import sys
from typing import Any

from nodepool.cmd.launcher import main

from nodepool import launcher

INTERVAL = 5
ROUND = "chaos: a round of clean-up is over"


def quicken() -> None:
    """Wrap two methods in their classes: the classes themselves can't be replaced, they call each other by name."""
    make, run = launcher.NodePool.__init__, launcher.CleanupWorker._run

    @functools.wraps(make)
    def make_quick(self: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401
        make(self, *arguments, **keywords)
        self.cleanup_interval = INTERVAL

    @functools.wraps(run)
    def run_and_tell(self: Any) -> None:  # noqa: ANN401
        run(self)
        logging.getLogger("nodepool.chaos").info(ROUND)

    launcher.NodePool.__init__ = make_quick
    launcher.CleanupWorker._run = run_and_tell


if __name__ == "__main__":
    quicken()
    sys.exit(main())
