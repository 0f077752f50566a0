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
from recorder.take.files import sync_folder


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
    _check_same(files, place)
    given = context.settings.keys.kek.get_secret_value()
    if given and not (folder / signing.KEK).exists() and not (place / signing.KEK).exists():
        write_private(place / signing.KEK, given.encode() + b"\n")
    for path in files:
        _copy(path, place / path.name)
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
    _check_same(files, folder)
    for path in files:
        content = path.read_bytes()
        if path.name in (signing.KEK, keks.NEXT) or path.name.endswith(keks.BEFORE):
            parse_kek(content.decode("ascii", "replace"), str(path))
        elif path.name == signing.ROOT_KEY:
            signing.parse_private(content, path)
    for path in files:
        public = path.name == signing.ROOT_PUBLIC or path.name.endswith(SUFFIX)
        _copy(path, folder / path.name, 0o644 if public else 0o600)
        click.echo(folder / path.name)


def _check_same(files: list[Path], place: Path) -> None:
    """Nothing is written where one of them is another there; the same may be, of a run that broke off."""
    here = [(path, place / path.name) for path in files]
    if there := [copy for path, copy in here if copy.exists() and copy.read_bytes() != path.read_bytes()]:
        raise exists(there)


def _copy(path: Path, copy: Path, mode: int = 0o600) -> None:
    if not copy.exists():
        fresh = copy.with_name(f".{copy.name}.new")
        fresh.unlink(missing_ok=True)
        write_private(fresh, path.read_bytes(), mode)
        fresh.rename(copy)
        sync_folder(copy.parent)


def _wrapped() -> list[str]:
    found = (customers.tenant_wrapped_key(row.id) for row in customers.tenants())
    return [text for text in found if text is not None]
