# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.cloud up|down|status`: the cloud as `make cloud` and `make cloud-down` know it.

`up` returns when the cloud is ready, which then runs until `down`; a cloud that is well already is kept.
"""

from __future__ import annotations

import argparse
import sys
import time

from . import cloud
from .layout import CloudError, default_folder, session_folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="cloud", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--regions", type=int, default=2)
    choice = parser.parse_args()
    try:
        if choice.command == "down":
            cloud.stop()
            cloud.stop(session_folder())  # a test session that was killed may have left one
            return 0
        found = cloud.running()
        if choice.command == "up" and (found is None or len(found.regions) < choice.regions):
            began = time.monotonic()
            found = cloud.start(regions=choice.regions)
            print(f"cloud: ready after {time.monotonic() - began:.0f} s")
    except CloudError as fault:
        print(f"cloud: {fault}", file=sys.stderr)
        return 1
    if found is None:
        print(f"cloud: none is running well in {default_folder()}", file=sys.stderr)
        return 1
    print(describe(found))
    return 0


def describe(found: cloud.Cloud) -> str:
    """What one needs to use it."""
    return (
        f"clouds.yaml  {found.clouds_yaml}  (OS_CLIENT_CONFIG_FILE)\n"
        f"clouds       {' '.join(found.regions)}; with block storage: NAME-builtin; administrator: admin-NAME\n"
        f"image        {found.image}\n"
        f"flavors      {' '.join(found.flavors)}\n"
        f"networks     {found.network} (loopback addresses), {found.public_network} (floating IPs, loopback too)\n"
        f"key          {found.key}; private half {found.ssh_key}\n"
        f"ssh          ssh -p {found.ssh_port} -i {found.ssh_key} {found.ssh_user}@ADDRESS\n"
        f"sandbox      zuul-suse sandbox up --nodepool-part {found.nodepool_part}  (label {found.label})\n"
        f"logs         {found.folder / 'logs'}"
    )


if __name__ == "__main__":
    sys.exit(main())
