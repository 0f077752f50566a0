"""``accord keeping`` and ``accord recording``: a customer's retention limits, and amendments to a
recording."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from recorder.catalogue import queries
from recorder.cli.holds import OPERATOR, REASON
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import to_iso, utc_now
from recorder.errors import CatalogueError
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle import limits, preview
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.processes.services import Context
from recorder.seal import signing
from recorder.seal.usage_terms import RetentionLimit

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def keeping() -> None:
    """How long a customer keeps recordings, at most as long as announced."""


@keeping.command("set")
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
def set_keeping(
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


@keeping.command("show")
@TENANT
@click.pass_obj
def show_keeping(context: Context, tenant_name: str) -> None:
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


@click.group(cls=LazyGroup, lazy={"bring-in": LazyCommand("imports", "bring_in")})
def recording() -> None:
    """What is learnt about a recording after its call; each is signed, and stays."""


@recording.command()
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option(
    "--purpose", "purposes", multiple=True, help="Only for these; default: all that rest on consent."
)
@REASON
@click.pass_obj
def withdraw(
    context: Context, recording_id: str, tenant_name: str, purposes: tuple[str, ...], reason: str
) -> None:
    """Consent is withdrawn: what rests on it ends at once, and with the last purpose the recording."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().withdraw(tenant, recording_id, OPERATOR, reason=reason, purposes=purposes or None)
    click.echo("Signed: every use that rested on that consent has ended.")


@recording.command()
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option("--purpose", required=True)
@click.option("--days", required=True, type=click.IntRange(min=1), help="Kept so many days from the call on.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day on which it was agreed.")
@REASON
@click.pass_obj
def agree(
    context: Context,
    recording_id: str,
    tenant_name: str,
    purpose: str,
    days: int,
    on: datetime | None,
    reason: str,
) -> None:
    """It was agreed after the call: for a purpose, as long as the customer's country allows."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().agree(
        tenant,
        recording_id,
        OPERATOR,
        purpose=purpose,
        keep_days=days,
        reason=reason,
        on=None if on is None else on.date(),
    )
    click.echo(f"Signed: it may be used for {purpose}.")


@recording.command()
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option("--purpose", "purposes", multiple=True, required=True)
@REASON
@click.pass_obj
def narrow(
    context: Context, recording_id: str, tenant_name: str, purposes: tuple[str, ...], reason: str
) -> None:
    """End some of its purposes at once."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().narrow(tenant, recording_id, OPERATOR, purposes=purposes, reason=reason)
    click.echo(f"Signed: it may no longer be used for {', '.join(purposes)}.")


@recording.command()
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@REASON
@click.confirmation_option(prompt="Its sound cannot be brought back. Delete it?")
@click.pass_obj
def delete(context: Context, recording_id: str, tenant_name: str, reason: str) -> None:
    """Its customer has it deleted; not where it is held, or a law asks that it be kept."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().delete(tenant, recording_id, OPERATOR, reason=reason)
    click.echo("Signed: nobody can listen to it any more; the worker destroys it within minutes.")


@recording.command("receipt")
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: printed.")
@click.pass_obj
def erasure(context: Context, recording_id: str, tenant_name: str, output: Path | None) -> None:
    """Write the signed receipt of an erasure: what was destroyed, when and why, that it is gone, and from
    when that is complete, with the last backup that had the key."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    backups = timedelta(days=context.settings.keys.backups_kept_days)
    means = context.store(), context.root(), context.signer()
    receipt = receipts.receipt(tenant, recording_id, *means, backups, utc_now())
    if output is None:
        click.echo(receipt.content)
    else:
        output.write_bytes(receipt.content + b"\n")
    click.echo(_sentence(receipt), err=True)


@recording.command("check-receipt")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="The root's public key (PEM); default: this installation's.")
@click.pass_obj
def check_receipt(context: Context, file: Path, root: Path | None) -> None:
    """Check a receipt, with files alone."""
    public = signing.load_public(root) if root else context.root()
    click.echo(_sentence(receipts.read(file.read_bytes().rstrip(b"\n"), public)))


def _sentence(receipt: receipts.ErasureReceipt) -> str:
    return (
        f"recording {receipt.recording}: destroyed at {to_iso(receipt.erased_at)} ({receipt.reason}), "
        f"complete from {to_iso(receipt.complete_from)}"
    )
