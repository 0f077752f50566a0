"""``accord usage``: recorded calls, minutes and bytes, by tenant."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import click

from recorder import csv_rows
from recorder.catalogue import tenant_queries
from recorder.cli.day import DAY
from recorder.cli.output import is_json, json_option, print_list
from recorder.cli.tenant_name import find_tenant
from recorder.features.usage import service
from recorder.processes.services import Context

HEADING = ("tenant", "name", "day", "part", "time_zone", "line", "number", "calls", "minutes", "bytes")


@click.command()
@click.option(
    "--tenant", "tenant_name", metavar="TENANT", help="Only this tenant, by id or name; default: all."
)
@click.option("--from", "first", type=DAY, help="The first day.")
@click.option("--to", "last", type=DAY, help="The last day.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a row for each day and line.")
@json_option
@click.pass_obj
def usage(
    context: Context, tenant_name: str | None, first: date | None, last: date | None, as_csv: bool
) -> None:
    """Show recorded calls, minutes and bytes by tenant.

    The worker counts a day once it is over in the tenant's time zone; recordings stored later are in a
    further part of their day. Erased recordings stay counted."""
    if as_csv and is_json():
        raise click.UsageError("give either --csv or --json")
    context.open_catalogue()
    if first and last and last < first:
        raise click.BadParameter("it is before --from", param_hint="--to")
    if tenant_name:
        tenants = {row.id: row.name for row in [find_tenant(tenant_name)]}
        rows = service.usage_of(next(iter(tenants)), first, last)
    else:
        tenants = {row.id: row.name for row in tenant_queries.customers()}
        rows = service.everyones_usage(first, last)
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
    records = [
        {
            "tenant": identity,
            "name": name,
            "calls": sums[identity][0],
            "minutes": round(sums[identity][1] / 60_000, 1),
            "bytes": sums[identity][2],
        }
        for identity, name in tenants.items()
    ]
    print_list("usage", records, ("tenant", "name", "calls", "minutes", "bytes"))
