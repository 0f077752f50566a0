"""``accord store``: the object store."""

from __future__ import annotations

import click

from recorder.errors import ConfigError
from recorder.processes import object_store
from recorder.processes.services import Context


@click.group()
def store() -> None:
    """The place where recordings are kept."""


@store.command()
@click.pass_obj
def init(context: Context) -> None:
    """Say that the store's folder is the right one: its disk is mounted.  Once, for kind = "directory"."""
    if context.settings.store.kind != "directory":
        raise ConfigError(
            "store.no_folder",
            "the store is not a folder, so there is nothing to mark",
            'this command is for [store] kind = "directory"',
        )
    object_store.directory(context.settings).init()
    click.echo(f"{context.settings.store_folder} is the store")
