"""The question before a command destroys or narrows something, and ``--dry-run`` and ``--yes``."""

from __future__ import annotations

import sys
from typing import Any, Final, TypeVar

import click

from recorder.cli.output import Record, print_result
from recorder.cli.terminal import printable

CommandFunction = TypeVar("CommandFunction", bound=Any)

_DRY_RUN: Final = "recorder.cli.confirmation.dry_run"
_YES: Final = "recorder.cli.confirmation.yes"


def confirmation_options(command: CommandFunction) -> CommandFunction:
    """Decorates a command that calls :func:`confirm`."""

    def remember(key: str) -> Any:
        def callback(context: click.Context, _option: click.Parameter, value: bool) -> None:
            context.meta[key] = value

        return callback

    yes = click.option(
        "--yes",
        is_flag=True,
        expose_value=False,
        callback=remember(_YES),
        help="Skip the confirmation.",
    )
    dry_run = click.option(
        "--dry-run",
        is_flag=True,
        expose_value=False,
        callback=remember(_DRY_RUN),
        help="Show the consequences, change nothing.",
    )
    return dry_run(yes(command))


class NotConfirmed(click.ClickException):
    """Nobody can be asked; ends a command as wrong usage does."""

    exit_code = 2


def is_dry_run() -> bool:
    """Whether the command that runs changes nothing."""
    return bool(click.get_current_context().meta.get(_DRY_RUN))


def confirm(question: str, consequences: Record, *sentences: str) -> None:
    """Show the ``consequences`` of a command, in ``sentences`` with numbers and names, and ask the
    ``question``; return if the operator agrees. With ``--dry-run``, print them and end the command, as JSON
    if that was asked for; with ``--yes``, do not ask.

    Raises :class:`NotConfirmed` where nobody can be asked, :class:`click.Abort` for a no."""
    context = click.get_current_context()
    if is_dry_run():
        print_result({"dry_run": True, **consequences}, *sentences)
        context.exit()
    for sentence in sentences:
        click.echo(printable(sentence), err=True)
    if context.meta.get(_YES):
        return
    if not sys.stdin.isatty():
        raise NotConfirmed("nothing was changed: there is no terminal to confirm it on; add --yes")
    click.confirm(question, abort=True, err=True)
