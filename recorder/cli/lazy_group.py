"""Groups of commands that are imported when they are called for.

A daemon that starts again while calls wait for it, and a command that only lists something, need few modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class LazyCommand(NamedTuple):
    """A command by its module in ``recorder.cli`` and its function there. With the ``summary``, its first
    sentence, the group's help does not import it."""

    module: str
    function: str
    summary: str = ""


class LazyGroup(click.Group):
    """A group with commands of its own, and others (``lazy``) by name."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        lazy = self.lazy[cmd_name]
        found: click.Command = getattr(import_module(f"recorder.cli.{lazy.module}"), lazy.function)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        described = click.Group()
        for name in self.list_commands(ctx):
            lazy = self.lazy.get(name)
            if lazy is not None and lazy.summary:
                described.add_command(click.Command(name, help=lazy.summary))
            elif (command := self.get_command(ctx, name)) is not None:
                described.add_command(command, name)
        described.format_commands(ctx, formatter)
