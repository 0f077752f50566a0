"""``accord retention``: a tenant's retention limits."""

from __future__ import annotations

import click

from recorder.catalogue import queries
from recorder.catalogue.records import TenantRow
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.holds import OPERATOR
from recorder.cli.line_number import find_line
from recorder.cli.output import Record, is_json, json_option, print_json, print_list
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.lifecycle import limits, preview
from recorder.lifecycle.preview import LimitPreview
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.processes.services import Context
from recorder.seal.usage_terms import RetentionLimit

COLUMNS = ("keep_days", "purpose", "number", "covers_consents", "since", "applied_at")


@click.group()
def retention() -> None:
    """Retention limits: retention shorter than announced."""


@retention.command("set")
@TENANT
@click.option("--purpose", help="For this purpose only.")
@click.option("--line", "number", help="For calls on this number only.")
@click.option("--days", type=click.IntRange(min=1), help="The retention, counted from the call.")
@click.option("--as-announced", is_flag=True, help="Lift the limit for recordings made from now on.")
@click.option(
    "--also-agreed", is_flag=True, help="Also shorten recordings that were agreed to be kept longer."
)
@json_option
@confirmation_options
@click.pass_obj
def set_retention(
    context: Context,
    tenant_name: str,
    purpose: str | None,
    number: str | None,
    days: int | None,
    as_announced: bool,
    also_agreed: bool,
) -> None:
    """Shorten the retention of recordings, existing ones included.

    A purpose that a law requires is shortened only if it is named. Recordings that were agreed to be kept
    longer last until the agreed day, unless --also-agreed ends them, too."""
    if (days is None) != as_announced or (as_announced and also_agreed):
        raise click.UsageError("give either --days (with or without --also-agreed) or --as-announced")
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    line = None if number is None else find_line(owner, number).id
    limits.check_limit(owner.id, purpose, line, days)
    if days is not None:
        limit = RetentionLimit(days, purpose, line, utc_now(), covers_consents=also_agreed)
        forecast = preview.preview_limit(owner.id, limit, limit.since, context.trust())
        confirm(
            f"Set the limit of {days} days?",
            {
                "tenant": owner.id,
                "keep_days": days,
                "purpose": purpose,
                "line": line,
                **_forecast_record(forecast),
            },
            f"{owner.name}: at most {days} days for {purpose or 'any purpose'} on {number or 'any line'}.",
            *_forecast_sentences(forecast, limit),
        )
    else:
        confirm(
            "Lift the limit?",
            {"tenant": owner.id, "keep_days": None, "purpose": purpose, "line": line},
            f"{owner.name}: recordings from now on are kept as long as announced.",
        )
    set_limit(context.changes(), owner.id, NewLimit(purpose, line, days, also_agreed), OPERATOR)
    _print_limits(context, owner)


@retention.command("show")
@TENANT
@json_option
@click.pass_obj
def show_retention(context: Context, tenant_name: str) -> None:
    """Show a tenant's limits.

    Without a time of application, the worker is still applying a limit to existing recordings."""
    context.open_catalogue()
    _print_limits(context, find_tenant(tenant_name))


def _forecast_record(forecast: LimitPreview) -> Record:
    return {
        "recordings": forecast.there,
        "ending_earlier": forecast.earlier,
        "ending_by_day": {day.isoformat(): count for day, count in forecast.ends.items()},
        "erased": forecast.alone,
        "erased_on_hold": forecast.on_hold,
        "agreed_longer": forecast.agreed,
    }


def _forecast_sentences(forecast: LimitPreview, limit: RetentionLimit) -> list[str]:
    end = ":" if forecast.ends else "."
    found = [f"{forecast.there} recordings are kept for this now; {forecast.earlier} end earlier{end}"]
    found += [f"  {max(day, limit.since.date())}  {count}" for day, count in forecast.ends.items()]
    if forecast.earlier:
        on_hold = (
            f"; {forecast.on_hold} are on legal hold and stay until it is lifted" if forecast.on_hold else ""
        )
        found.append(f"{forecast.alone} of these have no other purpose and are erased then{on_hold}.")
    if forecast.agreed and limit.covers_consents:
        on_hold = f", {forecast.agreed_on_hold} of these on legal hold" if forecast.agreed_on_hold else ""
        found.append(f"For {forecast.agreed} of these a longer time was agreed{on_hold}.")
    elif forecast.agreed:
        found.append(f"For {forecast.agreed} more a longer time was agreed: they stay until that day.")
    return found


def _print_limits(context: Context, owner: TenantRow) -> None:
    numbers = {line.id: line.number for line in queries.lines(owner.id, ended=True)}
    rows = [
        {
            "keep_days": each.limit.keep_days,
            "purpose": each.limit.purpose,
            "line": each.limit.line,
            "number": None if each.limit.line is None else numbers.get(each.limit.line, each.limit.line),
            "covers_consents": each.limit.covers_consents,
            "since": each.limit.since,
            "applied_at": each.applied_at,
        }
        for each in limits.in_force(owner.id, context.trust())
    ]
    if is_json():
        print_json({"tenant": owner.id, "limits": rows})
    elif rows:
        print_list("limits", rows, COLUMNS)
    else:
        click.echo("Recordings are kept as long as announced.")
