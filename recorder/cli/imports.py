"""``accord recording import``: import recordings from elsewhere."""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import date, datetime, time
from pathlib import Path

import click

from recorder import csv_rows
from recorder.catalogue.records import FORMATS
from recorder.cli.day import DAY
from recorder.cli.output import json_option, print_result
from recorder.cli.output_files import check_output, open_output
from recorder.cli.progress import ProgressLine
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.domain import time_zones
from recorder.features.imports import table as import_table
from recorder.processes.services import Context

MAX_FAILURES = 20


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@TENANT
@click.option(
    "--table",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="CSV with file, began_at, number, line, direction, note; default: recordings.csv in FOLDER.",
)
@click.option(
    "--until",
    required=True,
    type=DAY,
    help="The day on which recordings without a purpose are erased; within a year.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="A format of the recordings; repeatable. Default: the plan's usual one.",
)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write all failures to a CSV."
)
@json_option
@click.pass_obj
def import_recordings(
    context: Context,
    folder: Path,
    tenant_name: str,
    table: Path | None,
    until: date,
    formats: tuple[str, ...],
    report: Path | None,
) -> None:
    """Import the recordings in a FOLDER, not announced.

    Nobody hears them until the tenant has stated a purpose for each. A file is imported once;
    interrupted, the import continues where it was."""
    from recorder.features.imports import service
    from recorder.features.notifications import service as notifications
    from recorder.lifecycle import plans

    context.open_catalogue()
    owner, now = find_tenant(tenant_name), utc_now()
    zone = time_zones.require_zone(owner.time_zone)
    kept_until = datetime.combine(until, time(), zone)
    service.check_until(kept_until, now)
    service.check_not_leaving(owner.id)
    listed = table or folder / "recordings.csv"
    check_output(report)
    good, wrong = import_table.read_table(listed, folder, zone, now)
    stored = plans.choose_formats(owner.id, formats)
    importer = service.Importer(owner, kept_until, context.services(), stored)
    outcomes = list(wrong)
    with ProgressLine() as progress:
        for count, row in enumerate(good, 1):
            outcomes.append(importer.bring(row))
            progress.tell("recordings imported", count, len(good))
    counts = dict(sorted(Counter(each.what for each in outcomes).items()))
    failed = sorted((each for each in outcomes if each.error is not None), key=lambda each: each.row)
    notifications.note_import(
        owner.id, listed.read_bytes(), imported=len(outcomes) - len(failed), failed=len(failed),
        until=kept_until, now=utc_now(), entropy=os.urandom,
    )  # fmt: skip
    failures = [
        {"line": each.row, "file": each.file, "message": each.error.message, "hint": each.error.hint}
        for each in failed
        if each.error is not None
    ]
    print_result(
        {"outcomes": counts, "failures": failures},
        *(f"{count:>7}  {what.replace('_', ' ')}" for what, count in counts.items()),
    )
    for each in failed[:MAX_FAILURES]:
        assert each.error is not None
        click.echo(f"line {each.row}, {each.file}: {each.error}", err=True)
    if len(failed) > MAX_FAILURES and report is None:
        click.echo(
            f"… and {len(failed) - MAX_FAILURES} more: --report FILE writes all of them to a file", err=True
        )
    with open_output(report) as file:
        if file is not None:
            file.write(csv_rows.row(["line", "file", "error", "hint"]))
            for each in failed:
                assert each.error is not None
                file.write(csv_rows.row([each.row, each.file, each.error.message, each.error.hint]))
    if failed:
        click.echo("Correct these and run the command again: it skips what was imported.", err=True)
    sys.exit(1 if failed else 0)
