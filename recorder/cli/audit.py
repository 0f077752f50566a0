"""``accord audit run``: verify catalogue, log and bucket against each other, and export proofs for others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from recorder.audit.continuation import restart_log
from recorder.audit.findings import AuditFinding
from recorder.audit.service import Audit
from recorder.auditlog import consistency_proof, inclusion_proof, mail_witness, signed_note
from recorder.catalogue import tenant_queries
from recorder.cli.output_files import write_output
from recorder.cli.tenant_name import find_owner, owner_options
from recorder.clock import to_iso, utc_now
from recorder.domain.roles import PROVIDER
from recorder.errors import AuditLogError, ConfigError
from recorder.processes import checkpoint_witnesses
from recorder.processes.services import Context
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import Keyring

STATUS = {"ok": 0, "warning": 1, "wrong": 2}
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
EVERY = 50_000


@click.group()
def audit() -> None:
    """Verify the catalogue, the audit log and the recordings against each other, and export proofs."""


@audit.command("run")
@click.option("--tenant", "tenant_name", help="Only this customer, by id or name; default: all.")
@click.option("--provider", "tenant_name", flag_value=PROVIDER, help="Only the provider's own log.")
@click.option("--checkpoint", "notes", type=FILE, multiple=True, help="One that was mailed; may be repeated.")
@click.option("--without-recordings", is_flag=True, help="The log and the rows alone.")
@click.option(
    "--deep", is_flag=True, help="Open every wrapped key, with the key-encryption keys that are here."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def run(
    context: Context,
    tenant_name: str | None,
    notes: tuple[Path, ...],
    without_recordings: bool,
    deep: bool,
    as_json: bool,
) -> None:
    """Compare the catalogue, the log, what was signed of it, and every recording, and name what is not as it
    was written. Exits with 0, for warnings with 1, for what is wrong with 2.

    With a checkpoint that somebody was mailed it names a history that was written anew since, even where
    nothing else is left of it."""
    context.open_catalogue()
    found = []
    if deep and without_recordings:
        raise click.UsageError("--deep needs the recordings: leave out --without-recordings")
    for finding in _findings(context, tenant_name, notes, without_recordings, deep):
        found.append(finding)
        if not as_json:
            click.echo(f"{finding.state:<8}{finding.code}  {finding.where}: {finding.message}")
            click.echo(f"        {finding.hint}")
    worst = max((finding.state for finding in found), key=STATUS.__getitem__, default="ok")
    if as_json:
        each = [asdict(finding) | {"state": finding.state, "hint": finding.hint} for finding in found]
        body = {"at": to_iso(utc_now()), "state": worst, "findings": each}
        click.echo(json.dumps(body, ensure_ascii=False, indent=1))
    elif not found:
        click.echo("everything is as it was written")
    sys.stdout.flush()
    sys.exit(STATUS[worst])


def _findings(
    context: Context, tenant_name: str | None, paths: tuple[Path, ...], without_recordings: bool, deep: bool
) -> Iterator[AuditFinding]:
    rows = [find_owner(tenant_name)] if tenant_name else list(tenant_queries.all_tenants())
    notes = [signed_note.read(path.read_bytes()) for path in paths]
    for each in notes:
        if tenant_name and each.head.tenant != rows[0].id:
            raise AuditLogError(
                "checkpoint.foreign",
                f"checkpoint {each.head.number} belongs to customer {each.head.tenant}",
                "audit that customer, or all of them",
            )
    root = context.root()
    service = Audit(
        store=context.store(),
        root=root,
        now=utc_now(),
        keyring=context.keyring() if deep else _keyring(context),
        revoked=context.revoked()(),
        certificates=checkpoint_witnesses.certificates(context.settings),
        external_notes=notes,
        recordings=not without_recordings,
        deep=deep,
        tell=_tell,
    )
    for row in rows:
        yield from service.tenant(row.id)
    if not tenant_name:
        known = {row.id for row in rows}
        yield from service.lost_logs(known)
        yield from service.shared(known)


def _keyring(context: Context) -> Keyring | None:
    """The keyring that opens the parties; ``None`` where it is not on this machine, and parties are not
    compared."""
    try:
        return context.keyring()
    except ConfigError as error:
        click.echo(f"parties are not compared: {error.message}", err=True)
        return None


def _tell(what: str, count: int, total: int | None) -> None:
    if sys.stderr.isatty():
        of = "" if total is None else f" of {total}"
        click.echo(f"\r{what} {count}{of}    ", nl=False, err=True)
    elif count % EVERY == 0 and count:
        click.echo(f"{what} {count}", err=True)


@audit.command()
@click.argument("recording")
@click.pass_obj
def leaves(context: Context, recording: str) -> None:
    """List the log's leaves about a recording: id, number, time and kind."""
    context.open_catalogue()
    for identity, _, number, kind, at in inclusion_proof.find_leaves(recording):
        click.echo(f"{identity}  {number:>8}  {to_iso(at)}  {kind}")


@audit.command()
@click.argument("leaf")
@click.option(
    "--checkpoint", type=click.IntRange(1), help="Its number; default: the first that has the leaf."
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def prove(context: Context, leaf: str, checkpoint: int | None, output: Path | None) -> None:
    """Write a file that proves that a leaf is in the signed log: `accord audit verify-proof` needs only the
    file and the root's public key. It has the leaf's subject, unless that was erased."""
    context.open_catalogue()
    _write(inclusion_proof.build_proof(leaf, context.store(), checkpoint), output)


def _write(document: bytes, output: Path | None) -> None:
    if output is None:
        click.echo(document)
    else:
        write_output(output, document + b"\n")


@audit.command("prove-consistency")
@owner_options
@click.option("--from", "before", type=click.IntRange(1), required=True, help="A checkpoint's number.")
@click.option("--to", "after", type=click.IntRange(1), required=True, help="A later one's.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def prove_consistency(
    context: Context, tenant_name: str | None, before: int, after: int, output: Path | None
) -> None:
    """Write a file that proves that a checkpoint extends an older one: nothing that was in the log then was
    changed or removed since. `accord audit verify-proof` needs nothing but the file and the root's public
    key."""
    context.open_catalogue()
    _write(consistency_proof.build_proof(find_owner(tenant_name).id, before, after, context.store()), output)


@audit.command("verify-proof")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="The root's public key (PEM); default: this installation's.")
@click.option("--checkpoint", type=FILE, help="One that came another way: it must be that one.")
@click.pass_obj
def verify_proof(context: Context, file: Path, root: Path | None, checkpoint: Path | None) -> None:
    """Check a file that `accord audit prove` or `accord audit prove-consistency` wrote, with files alone."""
    public = signing.load_public(root) if root else context.root()
    signed = None if checkpoint is None else checkpoint.read_bytes()
    content = file.read_bytes().rstrip(b"\n")
    if canonical_json.load(content, "file").get("type") == consistency_proof.TYPE:
        found = consistency_proof.verify_proof(content, public, signed)
        for each in (found.before, found.after):
            click.echo(f"checkpoint {each.number}: {each.size} leaves, signed at {to_iso(each.at)}")
        click.echo("the later checkpoint extends the earlier one")
        return
    proof = inclusion_proof.verify_proof(content, public, signed)
    leaf, head = proof.leaf, proof.head
    click.echo(f"leaf {leaf['number']} of customer {head.tenant}: {leaf['kind']}, {leaf['at']}")
    click.echo("its subject was erased" if proof.body is None else json.dumps(proof.body))
    click.echo(f"included in checkpoint {head.number}: {head.size} leaves, signed at {to_iso(head.at)}")


@audit.command("reopen")
@owner_options
@click.option("--because", required=True, help="Why: everybody who audits reads it.")
@click.pass_obj
def reopen(context: Context, tenant_name: str | None, because: str) -> None:
    """After a restore or a rebuild: let the log go on from what is there. It says so itself, for ever."""
    context.open_catalogue()
    number = restart_log(find_owner(tenant_name).id, because, context.audit_log_services(), utc_now())
    click.echo(f"signed checkpoint {number}")


@audit.group()
def mail() -> None:
    """People who are mailed a customer's newest checkpoint once a day, where [mail] names a server."""


@mail.command("list")
@owner_options
@click.pass_obj
def list_recipients(context: Context, tenant_name: str | None) -> None:
    """The addresses, and when each was last mailed a checkpoint."""
    context.open_catalogue()
    _print_recipients(context, find_owner(tenant_name).id)


@mail.command("add")
@owner_options
@click.argument("address")
@click.pass_obj
def add_recipient(context: Context, tenant_name: str | None, address: str) -> None:
    """Mail the newest checkpoint to ADDRESS once a day."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    mail_witness.add(tenant, address, utc_now(), os.urandom)
    _print_recipients(context, tenant)


@mail.command("remove")
@owner_options
@click.argument("address")
@click.pass_obj
def remove_recipient(context: Context, tenant_name: str | None, address: str) -> None:
    """Mail no more checkpoints to ADDRESS."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    mail_witness.remove(tenant, address, utc_now(), os.urandom)
    _print_recipients(context, tenant)


def _print_recipients(context: Context, tenant: str) -> None:
    for each, sent_at in mail_witness.recipients(tenant):
        click.echo(f"{each}  {'not yet' if sent_at is None else to_iso(sent_at)}")
    if not context.settings.mail.host:
        click.echo("no mail is sent: set [mail] host", err=True)
