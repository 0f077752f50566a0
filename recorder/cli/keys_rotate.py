"""``accord key prepare | rotate``: rotate the key-encryption key or a customer's key without rewriting any
audio."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from recorder.catalogue import tenant_queries
from recorder.cli.tenant_name import find_owner
from recorder.clock import utc_now
from recorder.errors import ConfigError, SealError
from recorder.features.keys import copies
from recorder.lifecycle.key_rotation import KeyRotation, RotationStatus, rotation_status
from recorder.processes.services import Context
from recorder.seal import kek_files
from recorder.seal.keyring import RESTORE, WrappedKey, load_kek, parse_kek
from recorder.seal.sealing import KEY_FILE


@click.command()
@click.option("--tenant", "tenant_name", help="For this customer, by id or name; default: the installation.")
@click.pass_obj
def prepare(context: Context, tenant_name: str | None) -> None:
    """Make the key that is to come: the installation's key-encryption key, or a customer's key. `accord key
    rotate` then changes to it. Asked again, it is the same one."""
    folder = context.settings.keys_folder
    if tenant_name is not None:
        context.open_catalogue()
        identity = _key_rotation(context).begin(find_owner(tenant_name).id)
        click.echo(
            f"{identity}\n\nNow run `accord key rotate`; if interrupted, run it again and it continues."
        )
        return
    kek_files.keyring(folder, context.settings.keys.kek.get_secret_value())
    key = kek_files.make_next(folder)
    click.echo(
        f"{folder / kek_files.NEXT}: key {key.id}\n\n"
        "Before it wraps anything:\n"
        f"  1. copy it into the keys folder of each node and panel, as {kek_files.NEXT}, with the present\n"
        "     one's permissions; no restart is needed\n"
        "  2. copy it to a separate site, and run `accord key verify-copy <file>` on the copy\n"
        "  3. run `accord key rotate` here, and then on each machine that has its own keys folder"
    )


@click.command()
@click.pass_obj
def rotate(context: Context) -> None:
    """Change to the keys that `accord key prepare` made: wrap the customers' keys, or the keys of their
    recordings, anew. Calls are stored and played meanwhile; killed anywhere, it goes on when it is started
    again. It ends by saying what still needs an older key."""
    folder, settings = context.settings.keys_folder, context.settings
    context.open_catalogue()
    _check_copy(folder)
    refused: list[SealError] = []
    rotation = replace(_key_rotation(context), refused=refused.append)
    count, left = rotation.all()
    click.echo(f"recordings' keys rewrapped: {count}")
    if left:
        click.echo(f"skipped because they are in use: {left}; run it again", err=True)
    if (folder / kek_files.NEXT).exists():
        _promote(folder, settings.keys.kek.get_secret_value())
    ring = kek_files.rotation_keyring(folder, settings.keys.kek.get_secret_value())
    found = rotation_status(context.store())
    if put_back := rotation.put_back(found.absent):
        click.echo(f"recordings' keys restored to the bucket from the catalogue: {put_back}")
        found = rotation_status(context.store())
    _report(found, ring.current, _in_spool(context), folder)
    click.echo(
        "Takes in the spools of other nodes need no older key-encryption key. Those sealed before a\n"
        "customer's key was changed open with the older one, which stays in the bucket: run this again once\n"
        "they are stored."
    )
    for error in refused:
        click.echo(f"left unchanged: {error.message}", err=True)
    if refused:
        raise SealError("keys.refused", f"{len(refused)} recordings' keys were left unchanged", RESTORE)


def _check_copy(folder: Path) -> None:
    if not (folder / kek_files.NEXT).exists():
        return
    identity = load_kek(folder / kek_files.NEXT).id
    known = copies.verified_copies(folder)
    if not any(each in known and known[each].key_id == identity for each in (copies.NEXT, copies.KEK)):
        raise ConfigError(
            "keys.no_copy",
            f"no copy of the next key-encryption key {identity} has been confirmed",
            f"copy {folder / kek_files.NEXT} to another place and run `accord key verify-copy <file>` on "
            "the copy: if the key is lost, no recording can be heard again",
        )


def _promote(folder: Path, kek_text: str) -> None:
    """Make the next key file the current one.  A key that comes from the settings has to be changed there by
    hand."""
    identity = load_kek(folder / kek_files.NEXT).id
    if not kek_text:
        kek_files.promote(folder, lambda _boundary: None)
    elif parse_kek(kek_text, "[keys] kek").id == identity:
        (folder / kek_files.NEXT).unlink()
    else:
        click.echo(
            f"Now put the content of {folder / kek_files.NEXT} where [keys] kek comes from, "
            f"keep the old value\nas {folder}/<its id>{kek_files.BEFORE}, restart worker and panel, "
            "and run this again."
        )
        return
    copies.promote_copy(folder, identity)


def _key_rotation(context: Context) -> KeyRotation:
    ring = kek_files.rotation_keyring(
        context.settings.keys_folder, context.settings.keys.kek.get_secret_value()
    )
    return KeyRotation(context.store(), ring, utc_now, os.urandom, f"rotate-{os.urandom(8).hex()}")


def _in_spool(context: Context) -> list[WrappedKey]:
    """The wrapped keys of sealed takes that are still in this node's spool."""
    found = []
    for path in sorted(context.settings.node.spool_folder.glob(f"*/{KEY_FILE}")):
        try:
            found.append(WrappedKey.from_bytes(path.read_bytes()))
        except (OSError, SealError):
            continue  # stored, and gone, meanwhile; or broken off, and made anew
    return found


def _report(found: RotationStatus, current: str, spool: list[WrappedKey], folder: Path) -> None:
    older = {kek: count for kek, count in found.by_kek.items() if kek != current}
    for kek, count in sorted(older.items()):
        click.echo(f"still wrapped by key-encryption key {kek}: {count}; run it again")
    for tenant in found.unfinished:
        click.echo(f"the change of customer {tenant}'s key is not finished; run it again")
    if found.rows or found.objects:
        click.echo(
            f"wrapped by an older key of their customer: {found.rows} in the catalogue, {found.objects} in "
            "the bucket; they open, and are rewrapped when you run it again"
        )
    current_of = _present()
    behind = sum(each.wrapped_by != current_of.get(each.tenant) for each in spool)
    if behind:
        click.echo(
            f"wrapped by an older key of their customer, in this node's spool: {behind}; run it again later"
        )
    if older or found.unfinished or found.rows or found.objects or behind:
        return
    click.echo("Nothing in the catalogue, the bucket or this node's spool is wrapped by an older key.")
    for path in sorted(folder.glob(f"*{kek_files.BEFORE}")):
        click.echo(f"{path} is needed only for older backups (`accord restore`).")


def _present() -> dict[str, str]:
    """The id of each customer's current key."""
    found = {}
    for row in tenant_queries.all_tenants():
        if (key := tenant_queries.tenant_key(row.id)) is not None:
            found[row.id] = key.key_id
    return found
