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
from recorder.auditlog.signed_note import Head
from recorder.catalogue import tenant_queries
from recorder.cli.output import Record, is_json, json_option, print_json, print_list, print_result
from recorder.cli.output_files import write_output
from recorder.cli.progress import ProgressLine
from recorder.cli.recording_id import recording_argument
from recorder.cli.tenant_name import find_owner, owner_options
from recorder.cli.terminal import printable
from recorder.clock import to_iso, utc_now
from recorder.domain.roles import PROVIDER
from recorder.errors import AuditLogError, ConfigError
from recorder.processes import checkpoint_witnesses
from recorder.processes.services import Context
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import Keyring

OK = "ok"
SEVERITY = (OK, "warning", "wrong")
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of printing.",
)


@click.group()
def audit() -> None:
    """Verify catalogue, log and recordings; export proofs."""


@audit.command("run")
@click.option(
    "--tenant", "tenant_name", metavar="TENANT", help="Only this tenant, by id or name; default: all."
)
@click.option("--provider", "tenant_name", flag_value=PROVIDER, help="Only the provider's own log.")
@click.option(
    "--checkpoint", "notes", type=FILE, multiple=True, help="The file of a mailed checkpoint; repeatable."
)
@click.option("--without-recordings", is_flag=True, help="Verify only the log and the catalogue's rows.")
@click.option("--deep", is_flag=True, help="Also open every wrapped key, with the key-encryption keys here.")
@json_option
@click.pass_obj
def run(
    context: Context,
    tenant_name: str | None,
    notes: tuple[Path, ...],
    without_recordings: bool,
    deep: bool,
) -> None:
    """Compare catalogue, log, checkpoints and recordings.

    Each difference is named. Exits with 1 if there is one, a warning included.

    With a mailed checkpoint it also detects a history that was rewritten since, even if nothing else is
    left of it."""
    if deep and without_recordings:
        raise click.UsageError("--deep needs the recordings: leave out --without-recordings")
    context.open_catalogue()
    findings = []
    with ProgressLine() as progress:
        for finding in _findings(context, tenant_name, notes, without_recordings, deep, progress):
            findings.append(finding)
            if not is_json():
                click.echo(printable(f"{finding.state:<8}{finding.code}  {finding.where}: {finding.message}"))
                click.echo(f"        {finding.hint}")
    worst = max((finding.state for finding in findings), key=SEVERITY.index, default=OK)
    if is_json():
        each = [asdict(finding) | {"state": finding.state, "hint": finding.hint} for finding in findings]
        print_json({"at": utc_now(), "state": worst, "findings": each})
    elif not findings:
        click.echo("everything is as it was written")
    sys.stdout.flush()
    sys.exit(1 if findings else 0)


def _findings(
    context: Context,
    tenant_name: str | None,
    paths: tuple[Path, ...],
    without_recordings: bool,
    deep: bool,
    progress: ProgressLine,
) -> Iterator[AuditFinding]:
    rows = [find_owner(tenant_name)] if tenant_name else list(tenant_queries.all_tenants())
    notes = [signed_note.read(path.read_bytes()) for path in paths]
    for each in notes:
        if tenant_name and each.head.tenant != rows[0].id:
            raise AuditLogError(
                "checkpoint.foreign",
                f"checkpoint {each.head.number} belongs to tenant {each.head.tenant}",
                "audit that tenant, or all of them",
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
        tell=progress.tell,
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


@audit.command()
@recording_argument
@json_option
@click.pass_obj
def leaves(context: Context, recording_id: str) -> None:
    """List the log's leaves about a recording."""
    context.open_catalogue()
    rows = [
        {"id": identity, "number": number, "at": at, "kind": kind}
        for identity, _, number, kind, at in inclusion_proof.find_leaves(recording_id)
    ]
    print_list("leaves", rows, ("id", "number", "at", "kind"))


@audit.command()
@click.argument("leaf")
@click.option(
    "--checkpoint", type=click.IntRange(1), help="The checkpoint's number; default: the first with the leaf."
)
@OUTPUT
@click.pass_obj
def prove(context: Context, leaf: str, checkpoint: int | None, output: Path | None) -> None:
    """Write the proof that a leaf is in the signed log.

    `accord audit verify-proof` needs only this file and the root's public key. It has the leaf's subject,
    unless that was erased."""
    context.open_catalogue()
    _write(inclusion_proof.build_proof(leaf, context.store(), context.root(), checkpoint), output)


def _write(document: bytes, output: Path | None) -> None:
    if output is None:
        click.echo(document)
    else:
        write_output(output, document + b"\n")


@audit.command("prove-consistency")
@owner_options
@click.option(
    "--from", "before", type=click.IntRange(1), required=True, help="The earlier checkpoint's number."
)
@click.option("--to", "after", type=click.IntRange(1), required=True, help="The later checkpoint's number.")
@OUTPUT
@click.pass_obj
def prove_consistency(
    context: Context, tenant_name: str | None, before: int, after: int, output: Path | None
) -> None:
    """Write the proof that a checkpoint extends an older one.

    Nothing that was in the log then was changed or removed since. `accord audit verify-proof` needs only
    this file and the root's public key."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    _write(consistency_proof.build_proof(tenant, before, after, context.store(), context.root()), output)


@audit.command("verify-proof")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="The root's public key (PEM); default: this installation's.")
@click.option("--checkpoint", type=FILE, help="A checkpoint obtained another way: it must be the same.")
@json_option
@click.pass_obj
def verify_proof(context: Context, file: Path, root: Path | None, checkpoint: Path | None) -> None:
    """Verify the file of a proof, from files alone.

    `accord audit prove` and `accord audit prove-consistency` write such files."""
    public = signing.load_public(root) if root else context.root()
    signed = None if checkpoint is None else checkpoint.read_bytes()
    content = file.read_bytes().rstrip(b"\n")
    if canonical_json.load(content, "file").get("type") == consistency_proof.TYPE:
        found = consistency_proof.verify_proof(content, public, signed)
        heads = [_checkpoint_record(each) for each in (found.before, found.after)]
        print_result(
            {"type": "consistency", "before": heads[0], "after": heads[1]},
            *map(_checkpoint_sentence, (found.before, found.after)),
            "the later checkpoint extends the earlier one",
        )
        return
    proof = inclusion_proof.verify_proof(content, public, signed)
    leaf, head = proof.leaf, proof.head
    print_result(
        {
            "type": "inclusion",
            "tenant": head.tenant,
            "leaf": {name: leaf[name] for name in ("number", "kind", "at")},
            "body": proof.body,
            "checkpoint": _checkpoint_record(head),
        },
        f"leaf {leaf['number']} of tenant {head.tenant}: {leaf['kind']}, {leaf['at']}",
        "its subject was erased" if proof.body is None else json.dumps(proof.body),
        f"included in {_checkpoint_sentence(head)}",
    )


def _checkpoint_record(head: Head) -> Record:
    return {"number": head.number, "leaves": head.size, "signed_at": head.at}


def _checkpoint_sentence(head: Head) -> str:
    return f"checkpoint {head.number}: {head.size} leaves, signed at {to_iso(head.at)}"


@audit.command("reopen")
@owner_options
@click.option("--reason", required=True, help="The reason, in a sentence: every later audit shows it.")
@json_option
@click.pass_obj
def reopen(context: Context, tenant_name: str | None, reason: str) -> None:
    """Continue the log after a restore or a rebuild.

    It goes on from its present end. Every later audit shows the gap and the reason."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    number = restart_log(tenant, reason, context.audit_log_services(), utc_now())
    print_result({"tenant": tenant, "checkpoint": number}, f"signed checkpoint {number}")


@audit.group()
def mail() -> None:
    """Recipients of the newest checkpoint, by daily mail.

    It is sent only if [mail] names a server."""


@mail.command("list")
@owner_options
@json_option
@click.pass_obj
def list_recipients(context: Context, tenant_name: str | None) -> None:
    """List the recipients, and the time of the last mail to each."""
    context.open_catalogue()
    _print_recipients(context, find_owner(tenant_name).id)


@mail.command("add")
@owner_options
@click.argument("address")
@json_option
@click.pass_obj
def add_recipient(context: Context, tenant_name: str | None, address: str) -> None:
    """Add a recipient."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    mail_witness.add(tenant, address, utc_now(), os.urandom)
    _print_recipients(context, tenant)


@mail.command("remove")
@owner_options
@click.argument("address")
@json_option
@click.pass_obj
def remove_recipient(context: Context, tenant_name: str | None, address: str) -> None:
    """Remove a recipient."""
    context.open_catalogue()
    tenant = find_owner(tenant_name).id
    mail_witness.remove(tenant, address, utc_now(), os.urandom)
    _print_recipients(context, tenant)


def _print_recipients(context: Context, tenant: str) -> None:
    rows = [{"address": address, "sent_at": sent_at} for address, sent_at in mail_witness.recipients(tenant)]
    print_list("recipients", rows, ("address", "sent_at"))
    if not context.settings.mail.host:
        click.echo("no mail is sent: set [mail] host", err=True)
