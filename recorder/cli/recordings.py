"""``accord recording``: verify recordings, and amend what is known about them after their calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from recorder.cli.holds import OPERATOR, REASON
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.output_files import write_output
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import to_iso, utc_now
from recorder.lifecycle import erasure_receipt as receipts
from recorder.processes.services import Context
from recorder.seal import signing

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(
    cls=LazyGroup,
    lazy={
        "import": LazyCommand("imports", "import_recordings"),
        "verify": LazyCommand("verify", "verify"),
    },
)
def recording() -> None:
    """What is learnt about a recording after its call; each is signed, and stays."""


@recording.command("withdraw-consent")
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option(
    "--purpose", "purposes", multiple=True, help="Only for these; default: all that rest on consent."
)
@REASON
@click.pass_obj
def withdraw_consent(
    context: Context, recording_id: str, tenant_name: str, purposes: tuple[str, ...], reason: str
) -> None:
    """Consent is withdrawn: what rests on it ends at once, and with the last purpose the recording."""
    context.open_catalogue()
    tenant = find_tenant(tenant_name).id
    context.changes().withdraw(tenant, recording_id, OPERATOR, reason=reason, purposes=purposes or None)
    click.echo("Signed: every use that rested on that consent has ended.")


@recording.command("add-consent")
@click.argument("recording_id", metavar="RECORDING")
@TENANT
@click.option("--purpose", required=True)
@click.option("--days", required=True, type=click.IntRange(min=1), help="Kept so many days from the call on.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day on which it was agreed.")
@REASON
@click.pass_obj
def add_consent(
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
def restrict(
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
        write_output(output, receipt.content + b"\n")
    click.echo(_sentence(receipt), err=True)


@recording.command("verify-receipt")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="The root's public key (PEM); default: this installation's.")
@click.pass_obj
def verify_receipt(context: Context, file: Path, root: Path | None) -> None:
    """Check a receipt, with files alone."""
    public = signing.load_public(root) if root else context.root()
    click.echo(_sentence(receipts.read(file.read_bytes().rstrip(b"\n"), public)))


def _sentence(receipt: receipts.ErasureReceipt) -> str:
    return (
        f"recording {receipt.recording}: destroyed at {to_iso(receipt.erased_at)} ({receipt.reason}), "
        f"complete from {to_iso(receipt.complete_from)}"
    )
