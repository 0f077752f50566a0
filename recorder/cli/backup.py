"""``accord backup`` and ``accord restore``: the rows that the bucket does not hold."""

from __future__ import annotations

import os
from pathlib import Path

import click

from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.output import json_option, print_result
from recorder.cli.progress import ProgressLine
from recorder.clock import to_iso, utc_now
from recorder.processes.services import Context

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@json_option
@click.pass_obj
def backup(context: Context, file: Path) -> None:
    """Back up everything that the bucket does not hold.

    It has tenants, people, lines, announcements and the log, in a new FILE, encrypted under the
    key-encryption key; it holds no keys. Accord may run meanwhile."""
    from recorder.features.recovery import backup as backups

    context.open_catalogue()
    rows = _RowCounts()
    with ProgressLine() as progress:
        rows.progress = progress
        header = backups.write(file, context.keyring(), utc_now(), os.urandom, rows.tell)
    size = file.stat().st_size
    print_result(
        {"file": file, "bytes": size, "key_id": header.kek, "made_at": header.made_at, "rows": rows.counts},
        f"{file}: {rows.total} rows, {size} bytes, verified; key {header.kek}",
        "Store it apart from the catalogue, and the keys apart from both.",
    )


@click.command()
@click.argument("file", type=FILE)
@click.option("--check", is_flag=True, help="Only verify FILE to its end; the catalogue is not opened.")
@json_option
@confirmation_options
@click.pass_obj
def restore(context: Context, file: Path, check: bool) -> None:
    """Restore a backup's FILE into an empty catalogue.

    `accord migrate` creates one, SQLite or PostgreSQL, whichever the backup was made from. Everybody is
    logged out, and nothing expires until the legal holds are confirmed."""
    from recorder.features.recovery import backup as backups

    header = backups.read_header(file)
    origin = f"made {to_iso(header.made_at)} by {header.software}"
    record = {"file": file, "made_at": header.made_at, "software": header.software, "key_id": header.kek}
    if check:
        counts = backups.check(file, context.keyring())
        print_result({**record, "rows": counts}, f"{file} is complete: {sum(counts.values())} rows, {origin}")
        return
    context.open_catalogue()
    confirm("Restore it?", record, f"{file}: {origin}. The catalogue must be empty.")
    rows = _RowCounts()
    with ProgressLine() as progress:
        rows.progress = progress
        header = backups.restore(file, context.keyring(), utc_now(), os.urandom, rows.tell)
    print_result(
        {**record, "rows": rows.counts},
        f"Restored {rows.total} rows, as of {to_iso(header.made_at)}.",
        "Now run `accord rebuild`: it adds the bucket's recordings, later ones included, and removes those",
        "that were erased since. Everybody is logged out; nothing expires until the holds are confirmed.",
    )


class _RowCounts:
    """The number of rows by table, and the progress of all."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.progress = ProgressLine()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def tell(self, table: str, rows: int) -> None:
        self.counts[table] = rows
        self.progress.tell("rows", self.total)
