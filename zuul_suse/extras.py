# SPDX-License-Identifier: Apache-2.0
"""The extras of this package, and the one line that names an extra whose modules are missing.

`pip install zuul-suse` brings what every command needs to show its options; pyproject.toml lists what each extra adds.
Called by the commands, by the driver and by the kinds of datacenters. Imports nothing else of this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(extra: str, error: type[Exception], what: str) -> Iterator[None]:
    """Translate a failed import of somebody else's module into `error`, which says what to install.

    :param what: what the modules are for; the line begins with it.
    """
    try:
        yield
    except ImportError as fault:
        name = fault.name or ""
        if name.split(".")[0] == "zuul_suse":
            raise  # our own fault: no installation mends it
        reason = f"module {name} is missing" if isinstance(fault, ModuleNotFoundError) else str(fault)
        raise error(f"{what}: needs pip install 'zuul-suse[{extra}]' ({reason})") from fault
