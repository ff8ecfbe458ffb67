# SPDX-License-Identifier: Apache-2.0
"""The command `zuul-suse`. Owns the way a fault is told and the exit codes; each command is a file below.

Exit codes: 0 done; 1 something is wrong with the machine, the configuration or a service, or the command's extra is
not installed, told in one line; 2 wrong usage; 3 the sandbox works, but a verdict was not the expected one; 4
`seeds import` left incomplete clones out; 130 interrupted.
"""

import io
import logging
import sys

import click

from zuul_suse.cli.loading import LazyGroup, MissingExtraError
from zuul_suse.sandbox import SandboxError, UnexpectedVerdictError
from zuul_suse.seeds import SeedError


@click.group(
    cls=LazyGroup,
    files={
        "doctor": "zuul_suse.cli.doctor:doctor",
        "sandbox": "zuul_suse.cli.sandbox:sandbox",
        "seeds": "zuul_suse.cli.seeds:seeds",
        "simulate": "zuul_suse.cli.simulate:simulate",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="zuul-suse")
def commands() -> None:
    """OpenSUSE nodes for Zuul, and the jobs that use them.

    \b
    Exit codes: 0 done; 1 a fault, told in one line; 2 wrong usage;
    3 a verdict was not the expected one; 4 incomplete clones were left out; 130 interrupted.
    """


def main() -> None:
    """Run the command line; every fault that we know becomes one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal can't show ends no command
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")
    try:
        commands(prog_name="zuul-suse", standalone_mode=False)
    except click.exceptions.Abort:
        _end("interrupted", 130)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except MissingExtraError as fault:
        click.echo(str(fault), err=True)  # begins with the command's name
        sys.exit(1)
    except UnexpectedVerdictError as fault:
        _end(str(fault), 3)
    except (SandboxError, SeedError) as fault:
        _end(str(fault), 1)


def _end(text: str, code: int) -> None:
    click.echo(f"zuul-suse: {text}", err=True)
    sys.exit(code)
