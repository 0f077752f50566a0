"""``accord recording verify``: verify recordings from the bucket, or from files and the root's public key."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recorder.audit.handover_check import ROOT, HandoverCheck, find_handover_folder
from recorder.catalogue import queries, tenant_queries
from recorder.clock import utc_now
from recorder.errors import AccordError, CatalogueError
from recorder.processes.services import Context
from recorder.seal import document_source, revocation, signing
from recorder.seal import verification as seals
from recorder.seal.keyring import Keyring, load_kek

KEY_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--root", type=KEY_FILE, help="The root's public key (PEM); default: this installation's.")
@click.option("--kek", type=KEY_FILE, help="The key-encryption key's file: checks the decrypted sound too.")
@click.option(
    "--revocation", "taken_back", type=KEY_FILE, multiple=True, help="What the root took back, beside --root."
)
@click.pass_obj
def verify(
    context: Context, what: tuple[str, ...], root: Path | None, kek: Path | None, taken_back: tuple[Path, ...]
) -> None:
    """Check recordings: folders with a recording's files, folders as a customer is handed them, places in the
    bucket (TENANT/YYYY/MM/DD/ID/), or ids of recordings in the catalogue. Exits with 1 where one is not as it
    was sealed."""
    public = signing.load_public(root) if root else context.root()
    keyring = None if kek is None else Keyring(load_kek(kek))
    revoked = dict(revocation.read_all(taken_back, public))
    if root is None:
        revoked = {**context.revoked()(), **revoked}
    bad = 0
    for name in what:
        source: document_source.DocumentSource
        if (handed := find_handover_folder(Path(name))) is not None:
            bad += not _handed_over(HandoverCheck(handed, public, utc_now(), revoked), name)
            continue
        if Path(name).is_dir():
            source, prefix = document_source.Files(Path(name)), ""
        else:
            source = context.store()
            prefix = f"{name.rstrip('/')}/" if "/" in name else _place(context, name)
        report = seals.verify(source, prefix, public, keyring, utc_now(), revoked)
        bad += not report.ok
        click.echo(f"{'as it was sealed' if report.ok else 'NOT as it was sealed'}: {name}")
        for finding in report.findings:
            blocks = f", blocks {', '.join(map(str, finding.blocks))}" if finding.blocks else ""
            click.echo(f"  {finding.check:>2}  {finding.code}  {finding.where}{blocks}: {finding.message}")
        names = ", ".join(seals.CHECKS[number] for number in report.checked)
        click.echo(f"  checked: {names}")
    sys.exit(1 if bad else 0)


def _handed_over(handed: HandoverCheck, name: str) -> bool:
    """Verify an unpacked handover: it holds exactly what was sealed and logged."""
    found = list(handed.read())
    click.echo(f"{'NOT as it was sealed' if found else 'as it was sealed'}: {name}")
    for each in found:
        click.echo(f"      {each.code}  {each.where}: {each.message}")
    click.echo(f"  {handed.recordings} recordings; {len(handed.blanks)} that were erased or broken are zeros")
    click.echo(f"  {handed.leaves} leaves, {handed.signed} of them signed in a checkpoint")
    _show_root(handed)
    return not found


def _show_root(handed: HandoverCheck) -> None:
    """Print the root key found in the folder, which proves nothing: whoever forged the folder could have
    added it."""
    key = signing.key_id(handed.root)
    click.echo(f"  checked with root key {key}: it must not come from the folder itself")
    try:
        there = signing.key_id(signing.load_public(handed.folder / ROOT))
    except AccordError:
        there = "none"
    if there != key:
        click.echo(f"  the folder names another root key: {there}")


def _place(context: Context, recording: str) -> str:
    context.open_catalogue()
    for owner in tenant_queries.customers():
        if row := queries.recording(owner.id, recording):
            return row.prefix
    raise CatalogueError(
        "recording.unknown",
        f"{recording} is neither a folder, nor a place in the bucket, nor a recording's id",
        "the panel shows a recording's id",
    )
