"""``accord take``: takes that are not stored yet."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.cli.output import Record, json_option, print_list, print_result
from recorder.errors import TakeError
from recorder.processes.services import Context
from recorder.spool import disk_space, layout

COLUMNS = ("id", "state", "number", "started_at", "reason", "until")


@click.group()
def take() -> None:
    """Takes: recorded calls that are not stored yet."""


@take.command("list")
@json_option
@click.pass_obj
def list_takes(context: Context) -> None:
    """List the takes in the spool of this machine.

    They are calls in progress, takes waiting for the worker, with the reason where their last step failed,
    and those in quarantine with the reason and the time of their deletion (none: they stay until you
    decide)."""
    spool = context.settings.node.spool_folder.absolute()
    rows = [_record(folder, "recording") for folder in layout.open_takes(spool)]
    rows += [_record(folder, "waiting") for folder in layout.finished_takes(spool)]
    rows += [_record(folder, "quarantined") for folder in layout.quarantined_takes(spool)]
    print_list("takes", rows, COLUMNS)


def _record(folder: Path, state: str) -> Record:
    """A take; without number and start if its ``call.json`` is missing or damaged."""
    number = started_at = None
    try:
        call = layout.read_start(folder)
        number, started_at = call.number, call.started_at
    except TakeError:
        pass
    quarantine = layout.read_quarantine(folder) if state == "quarantined" else {}
    delay = layout.read_delay(folder) if state == "waiting" else {}
    return {
        "id": folder.name,
        "state": state,
        "number": number,
        "started_at": started_at,
        "reason": quarantine.get("reason") or delay.get("reason"),
        "failing_since": delay.get("since"),
        "quarantined_at": quarantine.get("since"),
        "until": quarantine.get("until"),
        "folder": folder,
    }


@take.command()
@click.argument("ids", metavar="TAKE...", nargs=-1, required=True)
@json_option
@click.pass_obj
def retry(context: Context, ids: tuple[str, ...]) -> None:
    """Return takes from quarantine: the worker tries them again.

    Remove the cause first; a take that fails again returns to quarantine unharmed. A take that becomes a
    recording is no longer listed as not recorded."""
    spool = context.settings.node.spool_folder.absolute()
    folders = []
    for name in ids:
        try:
            folders.append(layout.restore_take(spool, name))
        except OSError as error:
            raise TakeError(
                "take.not_moved",
                f"{name} cannot be moved: {error.strerror or error}",
                disk_space.hint_for(error),
            ) from error
    print_result({"takes": [_record(each, "waiting") for each in folders]}, *map(str, folders))
