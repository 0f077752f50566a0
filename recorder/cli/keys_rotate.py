"""``accord key prepare | rotate``: rotate the key-encryption key or a tenant's key without rewriting any
audio."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from pathlib import Path

import click

from recorder.catalogue import tenant_queries
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.output import Record, json_option, print_result
from recorder.cli.progress import ProgressLine
from recorder.cli.tenant_name import find_owner
from recorder.clock import utc_now
from recorder.errors import ConfigError, SealError
from recorder.features.keys import copies, kek_usage
from recorder.lifecycle.key_rotation import KeyRotation, rotation_status
from recorder.processes.services import Context
from recorder.seal import kek_files
from recorder.seal.keyring import RESTORE, WrappedKey, load_kek, parse_kek
from recorder.seal.sealing import KEY_FILE


@click.command()
@click.option(
    "--tenant",
    "tenant_name",
    metavar="TENANT",
    help="For this tenant, by id or name; default: the installation.",
)
@json_option
@click.pass_obj
def prepare(context: Context, tenant_name: str | None) -> None:
    """Create the next key, which `accord key rotate` changes to.

    It is the installation's key-encryption key, or a tenant's key. Run again, this prints the same key."""
    folder = context.settings.keys_folder
    if tenant_name is not None:
        context.open_catalogue()
        owner = find_owner(tenant_name)
        identity = _key_rotation(context).begin(owner.id)
        print_result({"key_id": identity, "tenant": owner.id, "file": None}, identity)
        click.echo("Now run `accord key rotate`; if interrupted, run it again and it continues.", err=True)
        return
    kek_files.keyring(folder, context.settings.keys.kek.get_secret_value())
    key = kek_files.make_next(folder)
    file = folder / kek_files.NEXT
    print_result(
        {"key_id": key.id, "tenant": None, "file": file},
        f"{file}: key {key.id}\n\n"
        "Before it wraps anything:\n"
        f"  1. copy it into the keys folder of each node and panel, as {kek_files.NEXT}, with the\n"
        "     permissions of the present one; no restart is needed\n"
        "  2. copy it to a separate site, and run `accord key verify-copy <file>` on the copy\n"
        "  3. run `accord key rotate` here, and then on each machine that has its own keys folder",
    )


@click.command()
@json_option
@confirmation_options
@click.pass_obj
def rotate(context: Context) -> None:
    """Change to the keys that `accord key prepare` created.

    The tenants' keys, or the keys of their recordings, are wrapped again. Calls are stored and played
    meanwhile; interrupted, it continues where it was. The output names whatever still needs an older key."""
    folder, settings = context.settings.keys_folder, context.settings
    context.open_catalogue()
    _check_copy(folder)
    _confirm(context, folder)
    refused: list[SealError] = []
    with ProgressLine() as progress:
        counter = count(1)

        def tell(boundary: str) -> None:
            if boundary == "data key catalogued":
                progress.tell("recordings' keys", next(counter))

        rotation = replace(_key_rotation(context), refused=refused.append, boundary=tell)
        wrapped, skipped = rotation.all()
    is_promoted = True
    if (folder / kek_files.NEXT).exists():
        is_promoted = _promote(folder, settings.keys.kek.get_secret_value())
    ring = kek_files.rotation_keyring(folder, settings.keys.kek.get_secret_value())
    found = rotation_status(context.store())
    if put_back := rotation.put_back(found.absent):
        found = rotation_status(context.store())
    older = {kek: number for kek, number in sorted(found.by_kek.items()) if kek != ring.current}
    current_of = _current_keys()
    behind = sum(each.wrapped_by != current_of.get(each.tenant) for each in _in_spool(context))
    is_complete = not (older or found.unfinished or found.rows or found.objects or behind)
    record = {
        "wrapped": wrapped,
        "skipped_in_use": skipped,
        "restored_to_bucket": put_back,
        "refused": [error.message for error in refused],
        "promoted": is_promoted,
        "tenants_by_older_key": older,
        "unfinished_tenants": found.unfinished,
        "older_in_catalogue": found.rows,
        "older_in_bucket": found.objects,
        "older_in_spool": behind,
        "complete": is_complete,
        "old_key_files": sorted(folder.glob(f"*{kek_files.BEFORE}")),
    }
    print_result(record, *_sentences(record))
    for error in refused:
        click.echo(f"left unchanged: {error.message}", err=True)
    if refused:
        raise SealError("keys.refused", f"{len(refused)} recordings' keys were left unchanged", RESTORE)


def _confirm(context: Context, folder: Path) -> None:
    keks = kek_usage.count_usage(context.open_catalogue, context.store).by
    next_kek = load_kek(folder / kek_files.NEXT).id if (folder / kek_files.NEXT).exists() else None
    confirm(
        "Rotate the keys?",
        {"next_key": next_kek, "tenants_by_key": dict(sorted(keks.items()))},
        *(f"{number} tenants' keys are wrapped by {kek}" for kek, number in sorted(keks.items())),
        "There is no next key-encryption key: only announced changes of tenants' keys are made."
        if next_kek is None
        else f"They are wrapped by {next_kek} from now on.",
    )


def _sentences(record: Record) -> list[str]:
    found = [f"recordings' keys rewrapped: {record['wrapped']}"]
    if record["skipped_in_use"]:
        found.append(f"skipped because they are in use: {record['skipped_in_use']}; run it again")
    if record["restored_to_bucket"]:
        found.append(f"recordings' keys restored to the bucket: {record['restored_to_bucket']}")
    for kek, number in record["tenants_by_older_key"].items():
        found.append(f"still wrapped by key-encryption key {kek}: {number}; run it again")
    for tenant in record["unfinished_tenants"]:
        found.append(f"the change of tenant {tenant}'s key is not finished; run it again")
    if record["older_in_catalogue"] or record["older_in_bucket"]:
        found.append(
            f"wrapped by an older key of their tenant: {record['older_in_catalogue']} in the catalogue, "
            f"{record['older_in_bucket']} in the bucket; they open, and are rewrapped when you run it again"
        )
    if record["older_in_spool"]:
        found.append(
            f"wrapped by an older key of their tenant, in this node's spool: {record['older_in_spool']}; "
            "run it again later"
        )
    if record["complete"]:
        found.append("Nothing in the catalogue, the bucket or this node's spool is wrapped by an older key.")
        found += [
            f"{path} is needed only for older backups (`accord restore`)." for path in record["old_key_files"]
        ]
    found.append(
        "Takes in the spools of other nodes need no older key-encryption key. Those sealed before a\n"
        "tenant's key was changed open with the older one, which stays in the bucket: run this again once\n"
        "they are stored."
    )
    return found


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


def _promote(folder: Path, kek_text: str) -> bool:
    """Make the next key file the current one.  False for a key that comes from the settings, which has to be
    changed there by hand."""
    identity = load_kek(folder / kek_files.NEXT).id
    if not kek_text:
        kek_files.promote(folder, lambda _boundary: None)
    elif (current := parse_kek(kek_text, "[keys] kek").id) == identity:
        (folder / kek_files.NEXT).unlink()
    else:
        click.echo(_by_hand(folder, current), err=True)
        return False
    copies.promote_copy(folder, identity)
    return True


def _by_hand(folder: Path, current: str) -> str:
    """How to change a key-encryption key that comes from the settings: by commands, where it is in a file."""
    next_kek, former = folder / kek_files.NEXT, folder / f"{current}{kek_files.BEFORE}"
    if (file := os.environ.get("ACCORD_KEYS_KEK_FILE")) is None:
        return (
            f"Now put the content of {next_kek} where [keys] kek comes from, keep the old value\n"
            f"as {former}, restart worker and panel, and run this again."
        )
    commands = (
        f"cp -p {file} {former}",
        f"chown --reference={folder} {former}",
        f"cp {next_kek} {file}",
        "systemctl try-restart accord-worker accord-web",
        "accord key rotate --yes",
    )
    return "Now run these, on each machine:\n" + "\n".join(f"    {each}" for each in commands)


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


def _current_keys() -> dict[str, str]:
    """The id of each tenant's current key."""
    found = {}
    for row in tenant_queries.all_tenants():
        if (key := tenant_queries.tenant_key(row.id)) is not None:
            found[row.id] = key.key_id
    return found
