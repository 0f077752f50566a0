"""``accord usage``: what customers recorded."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime

import click

from recorder import csv_rows
from recorder.catalogue import tenant_queries
from recorder.cli.tenant_name import find_tenant
from recorder.features.usage import service
from recorder.processes.services import Context

DAY = click.DateTime(["%Y-%m-%d"])
HEADING = ("tenant", "name", "day", "part", "time_zone", "line", "number", "calls", "minutes", "bytes")


@click.command()
@click.option("--tenant", "tenant_name", help="Only this customer, by id or name; default: all.")
@click.option("--from", "first", type=DAY, help="The first day, YYYY-MM-DD.")
@click.option("--to", "last", type=DAY, help="The last day.")
@click.option("--csv", "as_csv", is_flag=True, help="A row for each day and line instead of sums.")
@click.pass_obj
def usage(
    context: Context, tenant_name: str | None, first: datetime | None, last: datetime | None, as_csv: bool
) -> None:
    """Show what was recorded: calls, minutes and bytes, by customer. The worker counts a day once it is over
    in the customer's time zone; what is stored later is in a further part of its day. Erased recordings stay
    counted."""
    context.open_catalogue()
    begin, end = _day(first), _day(last)
    if begin and end and end < begin:
        raise click.BadParameter("it is before --from", param_hint="--to")
    if tenant_name:
        tenants = {row.id: row.name for row in [find_tenant(tenant_name)]}
        rows = service.usage_of(next(iter(tenants)), begin, end)
    else:
        tenants = {row.id: row.name for row in tenant_queries.customers()}
        rows = service.everyones_usage(begin, end)
    if as_csv:
        click.echo(csv_rows.row(HEADING), nl=False)
        for row in rows:
            for line in row.lines:
                counted = line.calls, round(line.duration_ms / 60_000, 3), line.bytes
                row_cells = row.tenant, tenants.get(row.tenant, ""), row.day, row.part, row.time_zone
                click.echo(csv_rows.row([*row_cells, line.line, line.number, *counted]), nl=False)
        return
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        for place, value in enumerate((row.calls, row.duration_ms, row.bytes)):
            sums[row.tenant][place] += value
    for identity, name in tenants.items():
        calls, duration_ms, size = sums[identity]
        click.echo(
            f"{identity}  {calls:>9} calls  {duration_ms / 60_000:>12.1f} min  {size:>15} bytes  {name}"
        )


def _day(at: datetime | None) -> date | None:
    return None if at is None else at.date()
