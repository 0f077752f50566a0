"""``accord retention``: a customer's retention limits."""

from __future__ import annotations

import click

from recorder.catalogue import queries
from recorder.cli.holds import OPERATOR
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.lifecycle import limits, preview
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.processes.services import Context
from recorder.seal.usage_terms import RetentionLimit


@click.group()
def retention() -> None:
    """How long a customer keeps recordings, at most as long as announced."""


@retention.command("set")
@TENANT
@click.option("--purpose", help="For this purpose only.")
@click.option("--line", "number", help="Of calls on this number only.")
@click.option("--days", type=click.IntRange(min=1), help="So many days from the call on.")
@click.option("--as-announced", is_flag=True, help="As announced again, for what is recorded from now on.")
@click.option(
    "--also-agreed", is_flag=True, help="Also recordings that it was agreed to keep longer; asks back."
)
@click.option("--yes", is_flag=True, help="Do not ask back.")
@click.pass_obj
def set_retention(
    context: Context,
    tenant_name: str,
    purpose: str | None,
    number: str | None,
    days: int | None,
    as_announced: bool,
    also_agreed: bool,
    yes: bool,
) -> None:
    """Keep recordings for a shorter time than announced, those that are there too. A purpose that a law asks
    for is shortened only where it is named. What it was agreed to keep lasts until its own day, unless
    --also-agreed ends it too."""
    if (days is None) != as_announced or (as_announced and also_agreed):
        raise click.UsageError("give either --days (with or without --also-agreed) or --as-announced")
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    line = None
    if number is not None:
        found = [each.id for each in queries.lines(tenant) if number in (each.number, each.id)]
        if not found:
            raise CatalogueError(
                "line.unknown", f"the customer has no line {number}", "`accord line list` shows its lines"
            )
        line = found[0]
    limits.check_limit(tenant, purpose, line, days)
    if days is not None:
        forecast = _foresee(
            context, tenant, RetentionLimit(days, purpose, line, utc_now(), covers_consents=also_agreed)
        )
        if also_agreed and forecast.agreed and not yes:
            question = f"End {forecast.agreed} recordings before the day that was agreed?"
            click.confirm(question, abort=True, err=True)
    set_limit(context.changes(), tenant, NewLimit(purpose, line, days, also_agreed), OPERATOR)
    _show(context, tenant)


@retention.command("show")
@TENANT
@click.pass_obj
def show_retention(context: Context, tenant_name: str) -> None:
    """What is set, and whether every recording of before has been looked at."""
    context.open_catalogue()
    _show(context, find_tenant(tenant_name).id)


def _foresee(context: Context, tenant: str, limit: RetentionLimit) -> preview.LimitPreview:
    """Print which recordings a limit would end, before it is set."""
    forecast = preview.preview_limit(tenant, limit, limit.since, context.trust())
    click.echo(
        f"{forecast.there} recordings are kept for this now; {forecast.earlier} will end earlier.", err=True
    )
    for day, count in forecast.ends.items():
        click.echo(f"  {max(day, limit.since.date())}  {count}", err=True)
    if forecast.earlier:
        hold_note = (
            f"; {forecast.on_hold} are on legal hold and stay until it is lifted" if forecast.on_hold else ""
        )
        click.echo(
            f"{forecast.alone} of these have no other purpose and are destroyed then{hold_note}.", err=True
        )
    if forecast.agreed and limit.covers_consents:
        hold_note = f", {forecast.agreed_on_hold} of these on legal hold" if forecast.agreed_on_hold else ""
        click.echo(f"For {forecast.agreed} of these a longer time was agreed{hold_note}.", err=True)
    elif forecast.agreed:
        click.echo(
            f"For {forecast.agreed} more a longer time was agreed: they stay until that day.", err=True
        )
    return forecast


def _show(context: Context, tenant: str) -> None:
    numbers = {line.id: line.number for line in queries.lines(tenant, ended=True)}
    found = limits.in_force(tenant, context.trust())
    for each in found:
        limit = each.limit
        on = "any line" if limit.line is None else numbers.get(limit.line, limit.line)
        state = "" if each.applied_at else "  (the worker is applying it to existing recordings)"
        also = ", agreements too" if limit.covers_consents else ""
        click.echo(f"{limit.keep_days:>5} days  {limit.purpose or 'any purpose'}  {on}{also}{state}")
    if not found:
        click.echo("Recordings are kept as long as announced.")
