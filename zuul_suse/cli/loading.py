# SPDX-License-Identifier: Apache-2.0
"""How commands are loaded: a command's file when it is called, the modules of an extra when the command runs.

So `--version`, and the help of every command, need no extra. A command's file imports at its top only what a plain
installation has; what needs an extra is imported in the function below `needs`.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import click

from zuul_suse import extras

P = ParamSpec("P")
R = TypeVar("R")


class MissingExtraError(Exception):
    """A command's extra is not installed; one line that says which."""


class LazyGroup(click.Group):
    """A group that imports a command's file when the command is asked for."""

    def __init__(self, *words: Any, files: Mapping[str, str], **options: Any) -> None:  # noqa: ANN401  click's
        """:param files: name of each command, in the order of the help → "module:attribute"."""
        super().__init__(*words, **options)
        self._files = files

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._files)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._files:
            return None
        module, _, attribute = self._files[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def needs(extra: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a command that needs an extra; stands below the command's options.

    :raises MissingExtraError: by the command, when a module of the extra can't be imported.
    """

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(command)
        def run(*words: P.args, **options: P.kwargs) -> R:
            with extras.needed(extra, MissingExtraError, click.get_current_context().command_path):
                return command(*words, **options)

        return run

    return decorate
