"""``accord offboarding``: a tenant's departure: announcement, export, erasure, receipt."""

from __future__ import annotations

import os
from datetime import date, datetime, time
from pathlib import Path

import click

from recorder.catalogue import offboarding_progress, tenant_queries
from recorder.catalogue import queries as catalogue_queries
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.records import TenantRow
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.day import DAY
from recorder.cli.output import Record, json_option, print_list, print_record, print_result
from recorder.cli.output_files import write_output
from recorder.cli.progress import ProgressLine
from recorder.cli.tenant_name import find_tenant, tenant_argument
from recorder.clock import to_iso, utc_now
from recorder.domain import time_zones
from recorder.errors import CatalogueError, SealError
from recorder.features.live import queries as live_queries
from recorder.features.offboarding import handover_queries, queries, service
from recorder.processes.services import Context
from recorder.seal import signing

COLUMNS = ("tenant", "name", "state", "announced_at", "until", "handed_over_at", "erased_at")

PROGRESS = "`accord offboarding show` shows the progress"


@click.group()
def offboarding() -> None:
    """Departures of tenants: export, erasure, receipt."""


@offboarding.command("list")
@json_option
@click.pass_obj
def list_departures(context: Context) -> None:
    """List the departures: announced, in progress, complete."""
    context.open_catalogue()
    owners = (
        (owner, offboarding_progress.find_offboarding(owner.id)) for owner in tenant_queries.customers()
    )
    rows = [_record(owner, row) for owner, row in owners if row is not None]
    print_list("offboardings", rows, COLUMNS)


def _record(owner: TenantRow, row: OffboardingRow) -> Record:
    state = "erased" if row.offboarded_at else "erasing" if row.erasing_since else "announced"
    return {
        "tenant": owner.id,
        "name": owner.name,
        "state": state,
        "announced_at": row.announced_at,
        "until": row.until,
        "handed_over_at": row.handed_at,
        "erasing_since": row.erasing_since,
        "erased_at": row.offboarded_at,
    }


@offboarding.command()
@tenant_argument
@click.option(
    "--until",
    required=True,
    type=DAY,
    help="The day until which the tenant can download its archive; nothing is erased before.",
)
@json_option
@confirmation_options
@click.pass_obj
def start(context: Context, tenant_name: str, until: date) -> None:
    """Announce a departure: no new calls are recorded.

    Calls in progress still are."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    day = datetime.combine(until, time(), time_zones.require_zone(owner.time_zone))
    numbers = [line.number for line in catalogue_queries.lines(owner.id)]
    confirm(
        "Announce its departure?",
        {"tenant": owner.id, "name": owner.name, "until": day, "numbers": numbers},
        f"{owner.name} ({owner.id}): {len(numbers)} numbers are no longer recorded: {', '.join(numbers)}",
        f"It can download its archive until {to_iso(day)}.",
    )
    service.announce(context.changes(), owner.id, day)
    print_result(
        _record(owner, queries.require_departure(owner.id)),
        f"{owner.name} is leaving: its numbers are no longer recorded.",
        "Once its last call is stored, run `accord offboarding export`.",
    )


@offboarding.command()
@tenant_argument
@json_option
@click.pass_obj
def cancel(context: Context, tenant_name: str) -> None:
    """Cancel a departure before anything is erased. Add the lines again with `accord line add`."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    service.cancel(context.changes(), owner.id)
    print_result(
        {"tenant": owner.id, "name": owner.name, "state": "cancelled"},
        f"{owner.name} stays. Its numbers are not recorded until you add them again.",
    )


@offboarding.command()
@tenant_argument
@click.option("--anew", is_flag=True, help="Prepare it again, with later recordings and without erased ones.")
@json_option
@click.pass_obj
def export(context: Context, tenant_name: str, anew: bool) -> None:
    """Prepare the archive that the tenant downloads in the panel.

    Interrupted, it continues where it was."""
    from recorder.features.offboarding.plan import prepare_handover
    from recorder.playback.verified_recording import RecordingVerifier

    context.open_catalogue()
    owner, store, root, changes = find_tenant(tenant_name), context.store(), context.root(), context.changes()
    service.current_statement(changes, owner.id)
    seals = RecordingVerifier(store, context.keyring(), root, context.revoked())
    if live := live_queries.live_calls(owner.id, utc_now()):
        click.echo(f"{len(live)} of its calls are in progress: include them later with --anew", err=True)
    total = queries.count_recordings(owner.id)
    with ProgressLine() as progress:
        row = prepare_handover(
            owner.id,
            seals,
            store,
            signing.public_pem(root),
            lambda handed: service.hand_over(changes, owner.id, handed),
            anew=anew,
            now=utc_now(),
            entropy=os.urandom,
            tell=lambda count: progress.tell("recordings prepared", count, total),
        )
    print_result(
        {**_record(owner, row), "archive": _archive_record(owner.id, row)},
        *_archive_sentences(owner.id, row),
        f"The tenant's admins can download it in the panel until {to_iso(row.until)}.",
    )


def _archive_record(tenant: str, row: OffboardingRow) -> Record | None:
    if row.handover is None:
        return None
    counts = handover_queries.count_reasons(tenant)
    return {
        "recordings": counts.pop("", 0),
        "bytes": row.length if row.handed_at else None,
        "left_out": dict(sorted(counts.items())),
    }


def _archive_sentences(tenant: str, row: OffboardingRow) -> list[str]:
    archive = _archive_record(tenant, row)
    if archive is None:
        return []
    size = "not complete: run the command again" if archive["bytes"] is None else f"{archive['bytes']} bytes"
    sentences = [f"archive: {archive['recordings']} recordings, {size}"]
    return sentences + [f"    left out: {count} ({why})" for why, count in archive["left_out"].items()]


@offboarding.command()
@tenant_argument
@click.option("--early", help="How the tenant agreed to an earlier day; it is in its log.")
@click.option("--without-export", is_flag=True, help="The tenant wants no archive.")
@json_option
@confirmation_options
@click.pass_obj
def erase(context: Context, tenant_name: str, early: str | None, without_export: bool) -> None:
    """Order the erasure of a tenant; the worker carries it out.

    Decide its legal holds first."""
    context.open_catalogue()
    owner, changes = find_tenant(tenant_name), context.changes()
    statement = service.current_statement(changes, owner.id)
    service.check_ready(owner.id)
    if not without_export:
        service.check_handed_over(statement)
    confirm(
        "This cannot be undone. Erase everything of this tenant?",
        {"tenant": owner.id, "name": owner.name, "erases": queries.summarise(owner.id)},
        f"{owner.name} ({owner.id}): {queries.summarise(owner.id)}.",
    )
    service.order_erasure(changes, owner.id, early=early)
    print_result(
        _record(owner, queries.require_departure(owner.id)),
        f"The worker erases it and writes the receipt; {PROGRESS}.",
    )


@offboarding.command("erase-again")
@tenant_argument
@click.option("--believe-dates", is_flag=True, help="Trust a receipt that a revoked key dated before.")
@json_option
@confirmation_options
@click.pass_obj
def erase_again(context: Context, tenant_name: str, believe_dates: bool) -> None:
    """Erase a tenant that left again, after a restore.

    After a restore or rebuild, the signed statements in the bucket are verified once more. Nothing is done
    while a legal hold stands, the holds are unconfirmed, or the log is not reopened."""
    context.open_catalogue()
    owner, changes = find_tenant(tenant_name), context.changes()
    leaver = service.find_to_complete(changes, owner.id, believe_dates=believe_dates)
    service.check_ready(owner.id)
    service.check_log(changes, owner.id)
    if leaver.receipt is not None:
        reason = f"erased {to_iso(leaver.receipt.at)}, by a signed receipt"
    else:
        reason = "its erasure was signed" + (f" {to_iso(leaver.statement.at)}" if leaver.statement else "")
    confirm(
        "This cannot be undone. Erase everything of this tenant?",
        {"tenant": owner.id, "name": owner.name, "erases": queries.summarise(owner.id), "reason": reason},
        f"{owner.name} ({owner.id}): {reason}.",
        f"This catalogue has {queries.summarise(owner.id)}.",
    )
    service.complete_erasure(changes, owner.id, believe_dates=believe_dates)
    print_result(_record(owner, queries.require_departure(owner.id)), f"The worker erases it; {PROGRESS}.")


@offboarding.command()
@tenant_argument
@json_option
@click.pass_obj
def show(context: Context, tenant_name: str) -> None:
    """Show the progress of a departure, and holds that delay it."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = queries.require_departure(owner.id)
    unsigned = None
    try:
        service.current_statement(context.changes(), owner.id)
    except (CatalogueError, SealError) as error:
        unsigned = error.message
    print_record({
        **_record(owner, row),
        "unsigned": unsigned,
        "archive": _archive_record(owner.id, row),
        "recordings_left": queries.count_recordings(owner.id),
        "holds": [
            {"recording": each.recording, "number": each.number, "reason": each.reason}
            for each in service.held_recordings(owner.id)
        ],
    })  # fmt: skip
    if unsigned is not None:
        click.echo(f"NOT SIGNED: {unsigned}", err=True)
    if row.erasing_since is not None and row.offboarded_at is None:
        click.echo(
            "the worker's log has the reason for a delay: offboarding.delayed, recording.erasure_failed",
            err=True,
        )


@offboarding.command()
@tenant_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of printing.",
)
@click.pass_obj
def receipt(context: Context, tenant_name: str, output: Path | None) -> None:
    """Write the signed receipt of an erasure, a JSON document."""
    from recorder.seal.offboarding import read_receipt as read

    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    row = queries.require_departure(tenant)
    if row.receipt is None:
        raise CatalogueError("offboarding.no_receipt", "not everything is erased yet", PROGRESS)
    proof = read(row.receipt.encode(), context.root())
    if proof.tenant != tenant:
        raise CatalogueError(
            "offboarding.no_receipt",
            "the catalogue has another tenant's receipt here",
            "run `accord audit run`: the row was changed outside Accord",
        )
    if output is None:
        click.echo(row.receipt)
    else:
        write_output(output, row.receipt.encode())
    click.echo(f"erased {to_iso(proof.at)}, complete from {to_iso(proof.body.complete_from)}", err=True)
