"""``accord key``: the root, the signing keys and the key-encryption key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from recorder.cli import keys_backup, keys_rotate
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.output import json_option, print_record, print_result
from recorder.clock import to_iso, utc_now
from recorder.errors import SealError
from recorder.features.keys import copies, kek_usage
from recorder.processes.services import Context
from recorder.seal import kek_files, revocation, signing
from recorder.seal.keyring import load_kek, write_private
from recorder.spool.atomic_files import give_to_owner

KEY_ID = re.compile("[0-9a-f]{32}")

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def key() -> None:
    """Keys: root, signing keys and key-encryption key."""


@key.command()
@click.option("--force", is_flag=True, help="Create them even if they do not open existing recordings.")
@json_option
@click.pass_obj
def init(context: Context, force: bool) -> None:
    """Create the keys of a new installation.

    They are a root, signing keys that it endorses, and a key-encryption key. No key is ever replaced.
    Refused if catalogue or bucket have tenants whose keys the new ones would not open: `accord key
    restore` brings the old ones back."""
    folder = context.settings.keys_folder
    signing.check_none(folder)
    if force:
        found = kek_usage.count_usage(context.open_catalogue, context.probe_store)
        click.echo(f"The new keys do not open {found.by.total()} tenants' keys.", err=True)
    else:
        for unseen in kek_usage.refuse_new_keys(context.open_catalogue, context.probe_store):
            click.echo(f"not searched for older keys: {unseen}", err=True)
    files = signing.init(folder, utc_now())
    print_result(
        {"files": files},
        *map(str, files),
        f"\nCopy {folder / signing.KEK} and {folder / signing.ROOT_KEY} to two separate sites: without the\n"
        "first, no recording can be heard again. The second is needed only for `accord key renew` and may\n"
        "be moved off this machine. Then run `accord key verify-copy <file>` on each copy.",
    )


@key.command()
@click.option("--root", type=FILE, help="The file of the root's key; default: the one in the keys folder.")
@json_option
@click.pass_obj
def renew(context: Context, root: Path | None) -> None:
    """Create a new signing key, endorsed by the root.

    The files of the old one stay beside it."""
    folder = context.settings.keys_folder
    private = signing.load_private(root or folder / signing.ROOT_KEY)
    files = signing.renew(folder, private, utc_now())
    print_result({"files": files}, *map(str, files))


@key.command()
@click.argument("key_id", metavar="KEY")
@click.option("--root", type=FILE, help="The file of the root's key; default: the one in the keys folder.")
@click.option(
    "--since",
    type=click.DateTime(),
    metavar="TIME",
    help="The time of its compromise, as 2026-11-29T12:30:00 in UTC; default: now.",
)
@json_option
@confirmation_options
@click.pass_obj
def revoke(context: Context, key_id: str, root: Path | None, since: datetime | None) -> None:
    """Revoke a signing key by its id.

    Nothing that it signed since then is trusted any more."""
    folder = context.settings.keys_folder
    if not KEY_ID.fullmatch(key_id):
        raise click.BadParameter("a key id has 32 digits, 0 to 9 and a to f: `accord key show` prints them")
    private = signing.load_private(root or folder / signing.ROOT_KEY)
    at = utc_now() if since is None else since.replace(tzinfo=UTC)
    path = folder / f"{key_id}{revocation.SUFFIX}"
    is_current = key_id in _signing_ids(context)
    record = {"key_id": key_id, "since": at, "in_use": is_current, "file": path}
    confirm(
        "Revoke it?",
        record,
        f"Key {key_id}: nothing that it signed since {to_iso(at)} is believed.",
        "It signs now: run `accord key renew` next, or nothing can be sealed." if is_current else
        "It is not the key that signs now.",
    )  # fmt: skip
    write_private(path, revocation.revoke(private, key_id, at), 0o644)
    give_to_owner(path)
    print_result(record, str(path))


def _signing_ids(context: Context) -> set[str]:
    """The ids of the keys that sign on this machine, as far as their files can be read."""
    try:
        panel = context.panel_endorsement()
        return {context.signer().key_id, *([] if panel is None else [panel.key_id])}
    except SealError:
        return set()


@key.command()
@json_option
@click.pass_obj
def show(context: Context) -> None:
    """Show the ids of the keys, and the end of each endorsement."""
    signer, folder = context.signer(), context.settings.keys_folder
    panel = context.panel_endorsement()
    next_kek = folder / kek_files.NEXT
    print_record({
        "root": signing.key_id(context.root()),
        "signing": _endorsement_record(signer.endorsement),
        "panel": None if panel is None else _endorsement_record(panel),
        "key_encryption": {
            "current": context.keyring().current,
            "next": load_kek(next_kek).id if next_kek.exists() else None,
            "older": sorted(path.stem for path in folder.glob(f"*{kek_files.BEFORE}")),
        },
    })  # fmt: skip


def _endorsement_record(endorsement: signing.Endorsement) -> dict[str, object]:
    return {"id": endorsement.key_id, "uses": endorsement.uses, "until": endorsement.not_after}


key.add_command(keys_backup.backup)
key.add_command(keys_backup.print_)
key.add_command(keys_backup.restore)
key.add_command(keys_rotate.prepare)
key.add_command(keys_rotate.rotate)

_KINDS: Final = {
    copies.NEXT: "is the next key-encryption key",
    copies.KEK: "opens the keys of {tenants} tenants",
    copies.ROOT: "is the root's key",
}


@key.command("verify-copy")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False)
)
@keys_backup.SAME_DISK
@json_option
@click.pass_obj
def verify_copy(context: Context, files: tuple[Path, ...], same_disk: bool) -> None:
    """Verify copies of the key-encryption key or the root's key.

    Their places are noted. A copy of the key-encryption key must open the key of every tenant. `accord
    doctor` asks for this once a year."""
    context.open_catalogue()
    tenant_keys = copies.tenant_keys()
    folder, root = context.settings.keys_folder, signing.key_id(context.root())
    records = []
    for file in files:
        kind = copies.confirm_copy(folder, file, root, tenant_keys, utc_now(), same_disk=same_disk)
        is_near = copies.is_on_same_disk(folder, file)
        if is_near:
            click.echo(f"{file}: {keys_backup.SAME_DISK_WARNING}", err=True)
        records.append({"file": file, "kind": kind, "same_disk": bool(is_near)})
    print_result(
        {"copies": records, "tenants": len(tenant_keys)},
        *(
            f"{each['file']}: {_KINDS[str(each['kind'])].format(tenants=len(tenant_keys))}"
            for each in records
        ),
    )
