"""``accord key``: the root, the signing keys and the key-encryption key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from recorder.cli import keys_backup, keys_rotate
from recorder.clock import to_iso, utc_now
from recorder.features.keys import copies, kek_usage
from recorder.processes.services import Context
from recorder.seal import revocation, signing
from recorder.seal.keyring import write_private

KEY_ID = re.compile("[0-9a-f]{32}")


@click.group()
def key() -> None:
    """Make and look at the keys."""


@key.command()
@click.option("--force", is_flag=True, help="Although there are recordings that the new keys do not open.")
@click.pass_obj
def init(context: Context, force: bool) -> None:
    """Make a root, signing keys that it endorses, and a key-encryption key, for a new installation; never
    replaces one. Refused where catalogue or bucket have customers whose keys the new ones would not open:
    there `accord key restore` brings the old ones back."""
    folder = context.settings.keys_folder
    signing.check_none(folder)
    if force:
        found = kek_usage.count_usage(context.open_catalogue, context.probe_store)
        click.echo(f"The new keys do not open {found.by.total()} customers' keys.", err=True)
    else:
        for unseen in kek_usage.refuse_new_keys(context.open_catalogue, context.probe_store):
            click.echo(f"not searched for older keys: {unseen}", err=True)
    for path in signing.init(folder, utc_now()):
        click.echo(path)
    click.echo(
        f"\nCopy {folder / signing.KEK} and {folder / signing.ROOT_KEY} to two separate sites: without the\n"
        "first, no recording can be heard again. The second is needed only for `accord key renew` and may\n"
        "be moved off this machine. Then run `accord key verify-copy <file>` on each copy."
    )


@key.command()
@click.option(
    "--root", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The root's key file."
)
@click.pass_obj
def renew(context: Context, root: Path | None) -> None:
    """Make a new signing key, endorsed by the root; the old one's files stay beside it."""
    folder = context.settings.keys_folder
    private = signing.load_private(root or folder / signing.ROOT_KEY)
    for path in signing.renew(folder, private, utc_now()):
        click.echo(path)


@key.command()
@click.argument("key_id")
@click.option("--root", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its key file.")
@click.option("--since", type=click.DateTime(), help="From when on it counts no more, UTC; default: now.")
@click.pass_obj
def revoke(context: Context, key_id: str, root: Path | None, since: datetime | None) -> None:
    """Take back the root's endorsement of a signing key: `accord audit run` believes nothing signed with it
    since."""
    folder = context.settings.keys_folder
    if not KEY_ID.fullmatch(key_id):
        raise click.BadParameter("a key id has 32 digits, 0 to 9 and a to f: `accord key show` prints them")
    private = signing.load_private(root or folder / signing.ROOT_KEY)
    at = utc_now() if since is None else since.replace(tzinfo=UTC)
    path = folder / f"{key_id}{revocation.SUFFIX}"
    write_private(path, revocation.revoke(private, key_id, at), 0o644)
    click.echo(path)


@key.command()
@click.pass_obj
def show(context: Context) -> None:
    """Print the ids of the keys and how long the signing key is endorsed."""
    signer = context.signer()
    click.echo(f"root      {signing.key_id(context.root())}")
    endorsed = signer.endorsement
    click.echo(
        f"signing   {signer.key_id}  for {', '.join(endorsed.uses)} until {to_iso(endorsed.not_after)}"
    )
    if (endorsement := context.panel_endorsement()) is not None:
        uses, until = ", ".join(endorsement.uses), to_iso(endorsement.not_after)
        click.echo(f"panel     {endorsement.key_id}  for {uses} until {until}")
    click.echo(f"wrapping  {context.keyring()!r}")


key.add_command(keys_backup.backup)
key.add_command(keys_backup.print_)
key.add_command(keys_backup.restore)
key.add_command(keys_rotate.prepare)
key.add_command(keys_rotate.rotate)


@key.command("verify-copy")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@keys_backup.SAME_DISK
@click.pass_obj
def verify_copy(context: Context, files: tuple[Path, ...], same_disk: bool) -> None:
    """Check copies of the key-encryption key or the root's key, and write down where they are.

    A copy of the key-encryption key must open the key of every customer.  `accord doctor` asks for this
    once a year.
    """
    context.open_catalogue()
    tenant_keys = copies.tenant_keys()
    folder, root = context.settings.keys_folder, signing.key_id(context.root())
    for file in files:
        kind = copies.confirm_copy(folder, file, root, tenant_keys, utc_now(), same_disk=same_disk)
        if copies.is_on_same_disk(folder, file):
            click.echo(f"{file}: {keys_backup.SAME_DISK_WARNING}", err=True)
        if kind == copies.NEXT:
            click.echo(f"{file}: is the next key-encryption key")
        elif kind == copies.KEK:
            click.echo(f"{file}: opens the keys of {len(tenant_keys)} customers")
        else:
            click.echo(f"{file}: is the root's key")
