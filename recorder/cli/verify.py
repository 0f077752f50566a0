"""``accord recording verify``: verify recordings from the bucket, or from files and the root's public key."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.audit.handover_check import ROOT, HandoverCheck, find_handover_folder
from recorder.cli.output import Record, fields_of, is_json, json_option, print_json
from recorder.cli.recording_id import find_recording
from recorder.clock import to_iso, utc_now
from recorder.errors import AccordError, CatalogueError
from recorder.features.packs import verify_pack
from recorder.processes.services import Context
from recorder.seal import document_source, revocation, signing
from recorder.seal import verification as seals
from recorder.seal.keyring import Keyring, load_kek

KEY_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--root", type=KEY_FILE, help="The root's public key (PEM); default: this installation's.")
@click.option("--kek", type=KEY_FILE, help="The key-encryption key's file: verify the decrypted sound, too.")
@click.option(
    "--revocation",
    "revocations",
    type=KEY_FILE,
    multiple=True,
    help="With --root: a key that the root revoked; repeatable.",
)
@json_option
@click.pass_obj
def verify(
    context: Context,
    what: tuple[str, ...],
    root: Path | None,
    kek: Path | None,
    revocations: tuple[Path, ...],
) -> None:
    """Verify recordings against their seals.

    WHAT is the id of a recording, its place in the bucket (TENANT/YYYY/MM/DD/ID/), a folder with its files,
    a pack (a ZIP file), or the unpacked archive of a tenant that left. Exits with 1 if one is not as it was
    sealed."""
    public = signing.load_public(root) if root else context.root()
    keyring = None if kek is None else Keyring(load_kek(kek))
    revoked = dict(revocation.read_all(revocations, public))
    if root is None:
        revoked = {**context.revoked()(), **revoked}
    now, results = utc_now(), []
    for name in what:
        if (folder := find_handover_folder(Path(name))) is not None:
            result = _verify_archive(HandoverCheck(folder, public, now, revoked), name)
        elif Path(name).is_file():
            result = _verify_pack(name, public, revoked)
        else:
            result = _verify_recording(context, name, public, keyring, now, revoked)
        results.append(result)
        if not is_json():
            _print_result(result)
    if is_json():
        print_json({"results": results})
    sys.exit(0 if all(each["intact"] for each in results) else 1)


def _verify_recording(
    context: Context,
    name: str,
    root: Ed25519PublicKey,
    keyring: Keyring | None,
    now: datetime,
    revoked: Mapping[str, datetime],
) -> Record:
    source: document_source.DocumentSource
    if Path(name).is_dir():
        source, prefix = document_source.Files(Path(name)), ""
    else:
        source = context.store()
        prefix = f"{name.rstrip('/')}/" if "/" in name else _place(context, name)
    report = seals.verify(source, prefix, root, keyring, now, revoked)
    return {
        "name": name,
        "intact": report.ok,
        "checks": [seals.CHECKS[number] for number in report.checked],
        "findings": [fields_of(each, "code", "where", "message", "blocks") for each in report.findings],
    }


def _verify_archive(check: HandoverCheck, name: str) -> Record:
    """Verify an unpacked archive: it holds exactly what was sealed and logged."""
    findings = [
        {"code": each.code, "where": each.where, "message": each.message, "blocks": []}
        for each in check.read()
    ]
    return {
        "name": name,
        "intact": not findings,
        "recordings": check.recordings,
        "blank_recordings": check.blanks,
        "leaves": check.leaves,
        "signed_leaves": check.signed,
        "root_id": signing.key_id(check.root),
        "folder_root_id": _root_in(check.folder),
        "findings": findings,
    }


def _verify_pack(name: str, root: Ed25519PublicKey, revoked: Mapping[str, datetime]) -> Record:
    """Verify a pack by the program that is published for whoever receives one."""
    found = verify_pack.verify_pack(name, root, {key: to_iso(since) for key, since in revoked.items()})
    return {
        "name": name,
        "intact": found.intact,
        "facts": dict(found.facts),
        "points": [fields_of(each, "name", "state", "text") for each in found.points],
        "findings": [
            {**fields_of(each, "code", "where", "message"), "blocks": []}
            for point in found.points
            for each in point.findings
        ],
    }


def _root_in(folder: Path) -> str | None:
    """The id of the root's key in an archive, which proves nothing: a forger could have added it."""
    try:
        return signing.key_id(signing.load_public(folder / ROOT))
    except AccordError:
        return None


def _print_result(result: Record) -> None:
    click.echo(f"{'as it was sealed' if result['intact'] else 'NOT as it was sealed'}: {result['name']}")
    for each in result["findings"]:
        blocks = f", blocks {', '.join(map(str, each['blocks']))}" if each["blocks"] else ""
        click.echo(f"  {each['code']}  {each['where']}{blocks}: {each['message']}")
    if "points" in result:
        for each in result["points"]:
            click.echo(f"  {verify_pack.MARKS[each['state']]}: {each['text']}")
        return
    if "checks" in result:
        click.echo(f"  verified: {', '.join(result['checks'])}")
        return
    click.echo(
        f"  {result['recordings']} recordings; {len(result['blank_recordings'])} are zeros: erased or broken"
    )
    click.echo(f"  {result['leaves']} leaves, {result['signed_leaves']} of them signed in a checkpoint")
    click.echo(f"  verified with root key {result['root_id']}: it must not come from the folder itself")
    if result["folder_root_id"] != result["root_id"]:
        click.echo(f"  the folder names another root key: {result['folder_root_id'] or 'none'}")


def _place(context: Context, name: str) -> str:
    context.open_catalogue()
    try:
        return find_recording(name).prefix
    except CatalogueError as error:
        raise CatalogueError(
            error.error_id,
            f"{name} is neither a folder, nor a place in the bucket, nor a recording's id",
            error.hint,
        ) from None
