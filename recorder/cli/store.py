"""``accord store``: the object store."""

from __future__ import annotations

import click

from recorder.cli.output import json_option, print_result
from recorder.errors import ConfigError
from recorder.processes import object_store
from recorder.processes.services import Context


@click.group()
def store() -> None:
    """The object store of the recordings."""


@store.command()
@json_option
@click.pass_obj
def init(context: Context) -> None:
    """Create the mount file in the store's folder, once its disk is mounted.

    Nothing is stored in a folder without that file. Only for [store] kind = "directory"."""
    if context.settings.store.kind != "directory":
        raise ConfigError(
            "store.no_folder",
            "the store is not a folder, so it has no mount file",
            'this command is for [store] kind = "directory"',
        )
    object_store.directory(context.settings).init()
    folder = context.settings.store_folder
    print_result({"folder": folder}, f"{folder} is the store")
