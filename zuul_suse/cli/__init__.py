# SPDX-License-Identifier: Apache-2.0
"""The command `zuul-suse`. Owns the way a fault is told and the exit codes; each command is a file below.

Exit codes: 0 done; 1 something is wrong with the machine, the configuration or a service, told in one line; 2 wrong
usage; 3 the sandbox works, but a verdict was not the expected one; 4 `seeds import` left incomplete clones out; 130
interrupted.
"""

import logging
import sys

import click

from zuul_suse.cli.doctor import doctor
from zuul_suse.cli.sandbox import sandbox
from zuul_suse.cli.seeds import seeds
from zuul_suse.cli.simulate import simulate
from zuul_suse.sandbox import SandboxError, UnexpectedVerdictError
from zuul_suse.seeds import SeedError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="zuul-suse")
def commands() -> None:
    """OpenSUSE nodes for Zuul, and the jobs that use them.

    \b
    Exit codes: 0 done; 1 a fault, told in one line; 2 wrong usage;
    3 a verdict was not the expected one; 4 incomplete clones were left out; 130 interrupted.
    """


commands.add_command(doctor)
commands.add_command(sandbox)
commands.add_command(seeds)
commands.add_command(simulate)


def main() -> None:
    """Run the command line; every fault that we know becomes one line."""
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")
    try:
        commands(standalone_mode=False)
    except click.exceptions.Abort:
        _end("interrupted", 130)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except UnexpectedVerdictError as fault:
        _end(str(fault), 3)
    except (SandboxError, SeedError) as fault:
        _end(str(fault), 1)


def _end(text: str, code: int) -> None:
    click.echo(f"zuul-suse: {text}", err=True)
    sys.exit(code)
