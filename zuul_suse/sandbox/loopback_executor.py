# SPDX-License-Identifier: Apache-2.0
"""Upstream's zuul-executor, never as root, its log streamer on loopback, and no password in the commands it runs.

Zuul 14.3 binds the streamer to `::` with no option to choose (zuul/cmd/executor.py), and everything in a sandbox
listens on loopback only. It also clones from Gerrit with the password in the URL, which every user of the machine then
sees in the list of processes; here git finds it in its configuration. Run by the supervisor in place of
`zuul-executor`; ends as that does.
"""

import os
import sys
from typing import Any

import zuul.driver.gerrit.gerritconnection
import zuul.lib.log_streamer
from zuul.cmd.executor import main


class LoopbackLogStreamer(zuul.lib.log_streamer.LogStreamer):  # type: ignore[misc]
    """Zuul's streamer on 127.0.0.1, whatever address it is told."""

    def __init__(self, _host: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__("127.0.0.1", *arguments, **options)


def git_url(connection: Any, project: Any) -> str:  # noqa: ANN401  Zuul has no types
    """A project's address; who asks is told by `etc/zuul.gitconfig`."""
    return f"{connection.baseurl}/a/{project.name}"


if __name__ == "__main__":
    if os.geteuid() == 0:
        # bubblewrap leaves /proc/sys uncovered: as root, a play of any change would write the host's kernel settings.
        sys.exit("zuul-executor: refuses to run as root, for the plays of every change would be; start it as a user")
    zuul.lib.log_streamer.LogStreamer = LoopbackLogStreamer
    zuul.driver.gerrit.gerritconnection.GerritConnection.getGitUrl = git_url
    main()
