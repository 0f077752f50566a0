"""``accord backup`` and ``accord restore``: the rows that the bucket does not hold."""

from __future__ import annotations

import os
from pathlib import Path

import click

from recorder.clock import to_iso, utc_now
from recorder.processes.services import Context

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@click.pass_obj
def backup(context: Context, file: Path) -> None:
    """Write customers, people, lines, announcements, the log and all else that the bucket does not hold into
    a new FILE, encrypted under the key-encryption key; no keys are in it. Accord may go on meanwhile."""
    from recorder.features.recovery import backup as backups

    context.open_catalogue()
    header = backups.write(file, context.keyring(), utc_now(), os.urandom, _tell)
    click.echo(f"{file}: {file.stat().st_size} bytes, verified; key {header.kek}")
    click.echo("Keep it apart from the catalogue, and the keys apart from both.")


@click.command()
@click.argument("file", type=FILE)
@click.option("--check", is_flag=True, help="Only read FILE to its end; no catalogue is touched.")
@click.pass_obj
def restore(context: Context, file: Path, check: bool) -> None:
    """Bring the rows of a backup's FILE into an empty catalogue (`accord migrate` makes one), SQLite or
    PostgreSQL, whichever it was made from."""
    from recorder.features.recovery import backup as backups

    if check:
        header = backups.read_header(file)
        for table, rows in backups.check(file, context.keyring()).items():
            _tell(table, rows)
        click.echo(f"{file} is complete: made {to_iso(header.made_at)} by {header.software}")
        return
    context.open_catalogue()
    header = backups.restore(file, context.keyring(), utc_now(), os.urandom, _tell)
    click.echo(f"Restored as it was at {to_iso(header.made_at)}.")
    click.echo("Now run `accord rebuild`: it adds the bucket's recordings, later ones included, and removes")
    click.echo(
        "what was destroyed since. Everybody is logged out; nothing expires until the holds are confirmed."
    )


def _tell(table: str, rows: int) -> None:
    click.echo(f"{rows:>9}  {table}")
