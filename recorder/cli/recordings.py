"""``accord recording``: list, show and verify recordings, and amend them after the call."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import click

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.day import DAY
from recorder.cli.holds import OPERATOR, REASON, hold_record
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record, print_result
from recorder.cli.output_files import write_output
from recorder.cli.recording_id import find_recording, recording_argument
from recorder.cli.tenant_name import find_tenant
from recorder.clock import to_iso, utc_now
from recorder.domain import time_zones
from recorder.errors import RetentionError
from recorder.lifecycle import amendments
from recorder.lifecycle import erasure_receipt as receipts
from recorder.lifecycle.amendment_service import Changes, narrowing_rule
from recorder.processes.services import Context
from recorder.seal import signing
from recorder.seal.usage_terms import Terms

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

COLUMNS = ("id", "tenant", "started_at", "duration_ms", "number", "direction", "purposes", "keep_until")


@click.group(
    cls=LazyGroup,
    lazy={
        "import": LazyCommand("imports", "import_recordings"),
        "verify": LazyCommand("verify", "verify"),
    },
)
def recording() -> None:
    """Recordings: list and verify them, amend them, erase them.

    Every amendment is signed, and stays. The other party of a call is never printed: only the tenant's
    people see it, in the panel."""


@recording.command("list")
@click.option("--tenant", "tenant_name", metavar="TENANT", help="The tenant's id or name; default: all.")
@click.option("--line", "number", help="Calls on this number only; needs --tenant.")
@click.option("--from", "first", type=DAY, help="The first day.")
@click.option("--to", "last", type=DAY, help="The last day.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="The maximum number of recordings."
)
@json_option
@click.pass_obj
def list_recordings(
    context: Context,
    tenant_name: str | None,
    number: str | None,
    first: date | None,
    last: date | None,
    limit: int,
) -> None:
    """List recordings, the latest call first.

    Erased ones are not listed. Days are in the tenant's time zone."""
    from recorder.cli.line_number import find_line

    if number is not None and tenant_name is None:
        raise click.UsageError("--line needs --tenant")
    context.open_catalogue()
    owners = tenant_queries.customers() if tenant_name is None else [find_tenant(tenant_name)]
    rows: list[RecordingRow] = []
    for owner in owners:
        zone = time_zones.require_zone(owner.time_zone)
        since, until = (
            None if day is None else datetime.combine(day + timedelta(days=later), time(), zone)
            for day, later in ((first, 0), (last, 1))
        )
        line = None if number is None else find_line(owner, number).id
        rows += queries.recordings(owner.id, limit=limit, line=line, since=since, until=until).rows
    rows.sort(key=lambda row: row.started_at, reverse=True)
    print_list("recordings", map(recording_record, rows[:limit]), COLUMNS)


@recording.command("show")
@recording_argument
@json_option
@click.pass_obj
def show_recording(context: Context, recording_id: str) -> None:
    """Show a recording, its purposes, its holds and its files.

    This is the catalogue's row; `accord recording verify` compares it with the seal."""
    context.open_catalogue()
    row = find_recording(recording_id)
    holds = amendments.holds(row.tenant, row.id)
    more = {
        **fields_of(row, "announcement", "announcement_version", "restricted", "keep_answer"),
        "consented_until": dict(row.consented_until),
        "imported": row.import_sha256 is not None,
        "prefix": row.prefix,
        "manifest_sha256": row.manifest_sha256,
        "objects": [
            {"name": each.name, "media_type": each.media_type, "bytes": each.length} for each in row.objects
        ],
        "holds": [hold_record(each, utc_now()) for each in holds],
    }
    print_record({**recording_record(row), **more})


def recording_record(row: RecordingRow) -> Record:
    """A recording without the other party of its call."""
    return fields_of(
        row, "id", "tenant", "line", "number", "direction", "started_at", "duration_ms", "announced",
        "purposes", "keep_until", "stored_at", "stored_bytes", "erased_at", "erasure_reason",
    )  # fmt: skip


@recording.command("withdraw-consent")
@recording_argument
@click.option("--purpose", "purposes", multiple=True, help="Default: every purpose that rests on consent.")
@REASON
@json_option
@confirmation_options
@click.pass_obj
def withdraw_consent(context: Context, recording_id: str, purposes: tuple[str, ...], reason: str) -> None:
    """Withdraw consent to a recording.

    The purposes that rest on it end at once, and with the last one the recording."""
    context.open_catalogue()
    row, changes = find_recording(recording_id), context.changes()
    status = changes.look(row.tenant, row.id)
    ends = purposes or status.may_withdraw()
    if ends:  # otherwise it is refused below, with the reason
        _confirm(row, f"End its use for {', '.join(ends)}", {"ends": ends})
    changes.withdraw(status, OPERATOR, reason=reason, purposes=purposes or None)
    _print_terms(changes, row, "Signed: every use that rested on that consent has ended.")


@recording.command("add-consent")
@recording_argument
@click.option("--purpose", required=True, help="The purpose that was agreed to.")
@click.option("--days", required=True, type=click.IntRange(min=1), help="Retention, counted from the call.")
@click.option("--on", type=DAY, help="The day of the agreement; default: today.")
@REASON
@json_option
@click.pass_obj
def add_consent(
    context: Context, recording_id: str, purpose: str, days: int, on: date | None, reason: str
) -> None:
    """Record an agreement that was made after the call.

    The tenant's country limits its purpose and its retention."""
    context.open_catalogue()
    row, changes = find_recording(recording_id), context.changes()
    changes.agree(
        changes.look(row.tenant, row.id),
        OPERATOR,
        purpose=purpose,
        keep_days=days,
        reason=reason,
        on=on,
    )
    _print_terms(changes, row, f"Signed, on your word alone: it may be used for {purpose}.")


@recording.command()
@recording_argument
@click.option("--purpose", "purposes", multiple=True, required=True, help="A purpose that ends.")
@REASON
@json_option
@confirmation_options
@click.pass_obj
def restrict(context: Context, recording_id: str, purposes: tuple[str, ...], reason: str) -> None:
    """End some purposes of a recording at once."""
    context.open_catalogue()
    row, changes = find_recording(recording_id), context.changes()
    rule = narrowing_rule(purposes=purposes, reason=reason)
    status, after = changes.preview(row.tenant, row.id, OPERATOR, rule)
    left = after.active(status.now)
    _confirm(row, f"End its use for {', '.join(purposes)}", {"ends": purposes, "purposes_left": left})
    changes.narrow(status, OPERATOR, purposes=purposes, reason=reason)
    _print_terms(changes, row, f"Signed: it may no longer be used for {', '.join(purposes)}.")


@recording.command()
@recording_argument
@REASON
@json_option
@confirmation_options
@click.pass_obj
def delete(context: Context, recording_id: str, reason: str) -> None:
    """Delete a recording at its tenant's request.

    Not if a hold or a law requires it."""
    context.open_catalogue()
    row, changes = find_recording(recording_id), context.changes()
    status = changes.look(row.tenant, row.id)
    if (why := status.why_not_delete()) is not None:
        raise RetentionError(why, "it cannot be deleted", "`accord recording show` shows holds and purposes")
    _confirm(row, "Erase its sound, which cannot be brought back", {"erases": True})
    changes.delete(status, OPERATOR, reason=reason)
    deferral = changes.look(row.tenant, row.id).terms.deferral(changes.now())
    if deferral is not None:
        sentence = f"its erasure waits for an open question, at most until {to_iso(deferral.until)}."
        _print_terms(changes, row, f"Signed: the tenant can no longer listen to it; {sentence}")
        return
    _print_terms(changes, row, "Signed: nobody can listen to it any more; the worker erases it in minutes.")


def _confirm(row: RecordingRow, consequence: str, more: Record) -> None:
    owner = queries.tenant(row.tenant)
    name = row.tenant if owner is None else owner.name
    about = (
        f"Recording {row.id} of {name}: a call on {row.number} at {to_iso(row.started_at)}, "
        f"{row.duration_ms // 1000} s, kept for {', '.join(row.purposes) or 'nothing'} until "
        f"{to_iso(row.keep_until)}."
    )
    confirm(f"{consequence}?", {**recording_record(row), **more}, about)


def _print_terms(changes: Changes, row: RecordingRow, sentence: str) -> None:
    """Print what a recording may be used for after an amendment."""
    print_result(_terms_record(row, changes.look(row.tenant, row.id).terms), sentence)


def _terms_record(row: RecordingRow, terms: Terms) -> Record:
    return {
        "id": row.id,
        "tenant": row.tenant,
        "keep_until": terms.until,
        "purposes": [{"code": each.code, "until": each.until} for each in terms.purposes],
        "deleted_at": terms.deleted_at,
    }


@recording.command("receipt")
@recording_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of printing.",
)
@click.pass_obj
def erasure(context: Context, recording_id: str, output: Path | None) -> None:
    """Write the signed receipt of an erasure.

    It is a JSON document: the erased objects, the time, the reason, and the end of the last backup that had
    the key."""
    context.open_catalogue()
    tenant = find_recording(recording_id).tenant
    backups = timedelta(days=context.settings.keys.backups_kept_days)
    means = context.store(), context.root(), context.signer()
    receipt = receipts.receipt(tenant, recording_id, *means, backups, utc_now())
    if output is None:
        click.echo(receipt.content)
    else:
        write_output(output, receipt.content + b"\n")
    click.echo(_sentence(receipt), err=True)


@recording.command("verify-receipt")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="The root's public key (PEM); default: this installation's.")
@json_option
@click.pass_obj
def verify_receipt(context: Context, file: Path, root: Path | None) -> None:
    """Verify a receipt from its file and the root's key alone."""
    public = signing.load_public(root) if root else context.root()
    receipt = receipts.read(file.read_bytes().rstrip(b"\n"), public)
    record = fields_of(receipt, "recording", "tenant", "erased_at", "reason", "complete_from")
    print_result(record, _sentence(receipt))


def _sentence(receipt: receipts.ErasureReceipt) -> str:
    return (
        f"recording {receipt.recording}: destroyed at {to_iso(receipt.erased_at)} ({receipt.reason}), "
        f"complete from {to_iso(receipt.complete_from)}"
    )
