"""``accord offboarding``: a customer's departure: announce, hand over, erase."""

from __future__ import annotations

import os
import sys
from datetime import datetime, time
from pathlib import Path

import click

from recorder.catalogue import offboarding_progress
from recorder.cli.output_files import write_output
from recorder.cli.tenant_name import find_tenant, tenant_argument
from recorder.clock import to_iso, utc_now
from recorder.domain import time_zones
from recorder.errors import CatalogueError, SealError
from recorder.features.live import queries as live_queries
from recorder.features.offboarding import handover_queries, queries, service
from recorder.processes.services import Context
from recorder.seal import signing


@click.group()
def offboarding() -> None:
    """A customer leaves: start, export, erase; then there is a receipt."""


@offboarding.command()
@tenant_argument
@click.option(
    "--until",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="Up to that day they can fetch what is handed over; nothing is destroyed before.",
)
@click.pass_obj
def start(context: Context, tenant_name: str, until: datetime) -> None:
    """Record nothing more for a customer. Calls that go on now are still theirs."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    day = datetime.combine(until.date(), time(), time_zones.require_zone(owner.time_zone))
    service.announce(context.changes(), owner.id, day)
    click.echo(f"{owner.name} is leaving: its numbers are no longer recorded.")
    click.echo("Once its last call is stored, run `accord offboarding export`.")


@offboarding.command()
@tenant_argument
@click.pass_obj
def cancel(context: Context, tenant_name: str) -> None:
    """Call it off, before anything is destroyed. Its lines are made again with `accord line add`."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    service.cancel(context.changes(), owner.id)
    click.echo(f"{owner.name} stays. Its numbers are not recorded until you add them again.")


@offboarding.command()
@tenant_argument
@click.option("--anew", is_flag=True, help="Put it together again, for what was stored or erased since.")
@click.pass_obj
def export(context: Context, tenant_name: str, anew: bool) -> None:
    """Put together what the customer fetches in the panel, as one file. Broken off, it goes on."""
    from recorder.features.offboarding.plan import prepare_handover
    from recorder.playback.verified_recording import RecordingVerifier

    context.open_catalogue()
    owner, store, root, changes = find_tenant(tenant_name), context.store(), context.root(), context.changes()
    service.current_statement(changes, owner.id)
    seals = RecordingVerifier(store, context.keyring(), root, context.revoked())
    if live := live_queries.live_calls(owner.id, utc_now()):
        click.echo(f"{len(live)} of its calls are in progress: include them later with --anew", err=True)
    total = queries.count_recordings(owner.id)
    with click.progressbar(length=total, label="Preparing", file=sys.stderr) as bar:
        row = prepare_handover(
            owner.id,
            seals,
            store,
            signing.public_pem(root),
            lambda handed: service.hand_over(changes, owner.id, handed),
            anew=anew,
            now=utc_now(),
            entropy=os.urandom,
            tell=lambda count: bar.update(count - bar.pos),
        )
    _print_handover(owner.id, row)
    click.echo(f"The customer's admins can download it in the panel until {to_iso(row.until)}.")


@offboarding.command()
@tenant_argument
@click.option("--early", help="How they agreed that it is destroyed before that day; it is in their log.")
@click.option("--without-handing-over", is_flag=True, help="They want none of it.")
@click.confirmation_option(prompt="This cannot be undone. Destroy everything of this customer?")
@click.pass_obj
def erase(context: Context, tenant_name: str, early: str | None, without_handing_over: bool) -> None:
    """Have the worker destroy everything of a customer. What is held is to be decided before."""
    from recorder.features.offboarding.service import check_handed_over, check_ready

    context.open_catalogue()
    owner, changes = find_tenant(tenant_name), context.changes()
    handover = service.current_statement(changes, owner.id)
    check_ready(owner.id)
    if not without_handing_over:
        check_handed_over(handover)
    service.order_erasure(changes, owner.id, early=early)
    click.echo("The worker destroys it and writes the receipt; `accord offboarding show` shows the progress.")


@offboarding.command("erase-again")
@tenant_argument
@click.option("--believe-dates", is_flag=True, help="Follow a receipt that a revoked key dated before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase_again(context: Context, tenant_name: str, believe_dates: bool, yes: bool) -> None:
    """Erase again, after a restore or rebuild, a customer who left. What was signed in the bucket is
    verified once more; nothing is done while a legal hold stands or the holds are unconfirmed."""
    from recorder.features.offboarding.service import check_ready

    context.open_catalogue()
    owner, changes = find_tenant(tenant_name), context.changes()
    leaver = service.find_to_complete(changes, owner.id, believe_dates=believe_dates)
    check_ready(owner.id)
    if leaver.receipt is not None:
        click.echo(f"{owner.name} ({owner.id}): erased {to_iso(leaver.receipt.at)}, by a signed receipt.")
    elif leaver.statement is not None:
        click.echo(f"{owner.name} ({owner.id}): its erasure was signed {to_iso(leaver.statement.at)}.")
    click.echo(f"This catalogue has {queries.summarise(owner.id)}.")
    if not yes:
        click.confirm("This cannot be undone. Destroy everything of this customer?", abort=True)
    service.complete_erasure(changes, owner.id, believe_dates=believe_dates)
    click.echo("The worker destroys it; `accord offboarding show` shows the progress.")


@offboarding.command()
@tenant_argument
@click.pass_obj
def show(context: Context, tenant_name: str) -> None:
    """How far it is."""
    from recorder.features.offboarding.service import held_recordings

    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = queries.require_departure(owner.id)
    try:
        service.current_statement(context.changes(), owner.id)
    except (CatalogueError, SealError) as error:
        click.echo(f"NOT SIGNED: {error.message}")
    click.echo(f"announced {to_iso(row.announced_at)}, can be downloaded until {to_iso(row.until)}")
    if row.handover is not None:
        _print_handover(owner.id, row)
    for each in held_recordings(owner.id):
        click.echo(f"ON LEGAL HOLD {each.recording} (hold {each.number}): {each.reason}")
    if row.offboarded_at is not None:
        click.echo(f"destroyed {to_iso(row.offboarded_at)}: `accord offboarding receipt`")
    elif row.erasing_since is not None:
        left = queries.count_recordings(owner.id)
        click.echo(f"being destroyed since {to_iso(row.erasing_since)}: {left} recordings left")
        click.echo(
            "the worker's log has the reason for a delay: offboarding.delayed, recording.erasure_failed"
        )


@offboarding.command()
@tenant_argument
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: to the terminal.")
@click.pass_obj
def receipt(context: Context, tenant_name: str, out: Path | None) -> None:
    """The signed receipt, once everything is destroyed, for the customer."""
    from recorder.seal.offboarding import read_receipt as read

    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    row = queries.require_departure(tenant)
    if row.receipt is None:
        raise CatalogueError(
            "offboarding.no_receipt",
            "not everything is destroyed yet",
            "`accord offboarding show` shows the progress",
        )
    proof = read(row.receipt.encode(), context.root())
    if proof.tenant != tenant:
        raise CatalogueError(
            "offboarding.no_receipt",
            "the catalogue has another customer's receipt here",
            "run `accord audit run`: the row was changed outside Accord",
        )
    if out is None:
        click.echo(row.receipt)
        return
    write_output(out, row.receipt.encode())
    click.echo(f"{out}: destroyed {to_iso(proof.at)}, complete from {to_iso(proof.body.complete_from)}")


def _print_handover(tenant: str, row: offboarding_progress.OffboardingRow) -> None:
    counted = handover_queries.count_reasons(tenant)
    whole = f"{row.length} bytes" if row.handed_at else "not complete: run the command again"
    click.echo(f"handover: {counted.pop('', 0)} recordings, {whole}")
    for why, many in sorted(counted.items()):
        click.echo(f"    left out: {many} ({why})")
