"""``accord take``: takes that are not stored yet."""

from __future__ import annotations

import click

from recorder.errors import TakeError
from recorder.processes.services import Context
from recorder.spool import disk_space, layout


@click.group()
def take() -> None:
    """Recorded calls on this machine that are not stored yet."""


@take.command()
@click.argument("ids", nargs=-1, required=True)
@click.pass_obj
def retry(context: Context, ids: tuple[str, ...]) -> None:
    """Bring takes back from quarantine, by their IDS (their folders' names): the worker tries them again.

    First do something about why they were set aside; one that is set aside again comes to no harm. What
    becomes a recording is not listed as not recorded any longer."""
    folder = context.settings.node.spool_folder.absolute()
    for name in ids:
        try:
            click.echo(layout.restore_take(folder, name))
        except OSError as error:
            raise TakeError(
                "take.not_moved",
                f"{name} cannot be moved: {error.strerror or error}",
                disk_space.hint_for(error),
            ) from error
