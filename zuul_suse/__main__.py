# SPDX-License-Identifier: Apache-2.0
"""`python -m zuul_suse` is the command `zuul-suse`."""

from zuul_suse.cli import main

if __name__ == "__main__":
    main()
