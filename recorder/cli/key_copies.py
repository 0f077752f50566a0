"""``accord keys backup | restore``: what cannot be made again, to another place and back."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.catalogue import customers
from recorder.cli import copies
from recorder.cli.context import Context
from recorder.clock import utc_now
from recorder.errors import ConfigError
from recorder.seal import keks, signing
from recorder.seal.keys import WrappedKey, exists, parse_kek, write_private
from recorder.seal.revocation import SUFFIX


def kept(folder: Path) -> list[Path]:
    """The files of a keys' folder that nobody can make again: key-encryption keys, the root's key with its
    public half, what the root took back."""
    names = [folder / name for name in (signing.KEK, keks.NEXT, signing.ROOT_KEY, signing.ROOT_PUBLIC)]
    found = [path for path in names if path.exists()]
    return found + sorted(folder.glob(f"*{keks.BEFORE}")) + sorted(folder.glob(f"*{SUFFIX}"))


@click.command()
@click.argument("place", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def backup(context: Context, place: Path) -> None:
    """Copy what cannot be made again into PLACE, a folder on a disk that goes elsewhere; never over anything.
    The copies are read back, and confirmed as `accord keys confirm-copy` does."""
    context.open_catalogue()
    folder = context.settings.keys_folder
    files = kept(folder)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if there := [place / path.name for path in files if (place / path.name).exists()]:
        raise exists(there)
    given = context.settings.keys.kek.get_secret_value()
    if given and not (folder / signing.KEK).exists():
        write_private(place / signing.KEK, given.encode() + b"\n")
    for path in files:
        write_private(place / path.name, path.read_bytes())
    root = signing.key_id(context.root())
    tenants = [WrappedKey.from_bytes(text.encode()) for text in _wrapped()]
    for name in (signing.KEK, keks.NEXT, signing.ROOT_KEY):
        if (place / name).exists():
            copies.confirm(folder, place / name, root, tenants, utc_now())
    for path in sorted(place.iterdir()):
        click.echo(path)
    click.echo(
        "\nWho has these hears every recording that they can reach: lock them away, not beside a backup."
    )


@click.command()
@click.argument("place", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def restore(context: Context, place: Path) -> None:
    """Bring back what `accord keys backup` copied into PLACE; never over a key that is there. New signing
    keys are made with `accord keys renew` then, where the root's key is among them."""
    folder = context.settings.keys_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = kept(place)
    if not files:
        raise ConfigError("keys.no_copies", f"there are no copies of keys in {place}", "name their folder")
    if there := [folder / path.name for path in files if (folder / path.name).exists()]:
        raise exists(there)
    for path in files:
        content = path.read_bytes()
        if path.name in (signing.KEK, keks.NEXT) or path.name.endswith(keks.BEFORE):
            parse_kek(content.decode("ascii", "replace"), str(path))
        elif path.name == signing.ROOT_KEY:
            signing.parse_private(content, path)
    for path in files:
        public = path.name == signing.ROOT_PUBLIC or path.name.endswith(SUFFIX)
        write_private(folder / path.name, path.read_bytes(), 0o644 if public else 0o600)
        click.echo(folder / path.name)


def _wrapped() -> list[str]:
    found = (customers.tenant_wrapped_key(row.id) for row in customers.tenants())
    return [text for text in found if text is not None]
