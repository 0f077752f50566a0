"""``accord key backup | print | restore``: copy irreplaceable keys to another place or to paper, and
back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.cli.output import json_option, print_result
from recorder.clock import to_iso, utc_now
from recorder.errors import ConfigError
from recorder.features.keys import copies, kek_usage
from recorder.processes.services import Context
from recorder.seal import kek_files, paper_key, signing
from recorder.seal.canonical_json import b64_line
from recorder.seal.keyring import keys_exist, load_kek, parse_kek, write_private
from recorder.seal.revocation import SUFFIX
from recorder.spool.atomic_files import give_to_owner, sync_folder

SAME_DISK: Final = click.option("--same-disk", is_flag=True, help="Accept a copy on the disk of the keys.")
SAME_DISK_WARNING: Final = (
    "This copy is on the disk of the keys, and is lost with it: make another one elsewhere."
)


def irreplaceable_files(folder: Path) -> list[Path]:
    """The irreplaceable files of a keys folder: key-encryption keys, the root's private and public key,
    revocations."""
    names = [folder / name for name in (signing.KEK, kek_files.NEXT, signing.ROOT_KEY, signing.ROOT_PUBLIC)]
    found = [path for path in names if path.exists()]
    return found + sorted(folder.glob(f"*{kek_files.BEFORE}")) + sorted(folder.glob(f"*{SUFFIX}"))


@click.command()
@click.argument("place", type=click.Path(path_type=Path, file_okay=False, resolve_path=True))
@SAME_DISK
@json_option
@click.pass_obj
def backup(context: Context, place: Path, same_disk: bool) -> None:
    """Copy the irreplaceable keys into the folder PLACE.

    PLACE belongs on a disk that is stored elsewhere. No file is overwritten.

    The copies are read back, and verified as by `accord key verify-copy`. PLACE is created, but not the
    folders above it, which are missing if the disk is not mounted."""
    context.open_catalogue()
    folder = context.settings.keys_folder
    files = irreplaceable_files(folder)
    there = place if place.exists() else place.parent
    if not there.is_dir():
        raise ConfigError(
            "keys.no_folder", f"there is no folder {there}", "mount the disk, or make the folder"
        )
    if copies.check_disk(folder, there, same_disk=same_disk):
        click.echo(SAME_DISK_WARNING, err=True)
    place.mkdir(mode=0o700, exist_ok=True)
    _check_same(files, place)
    kek = context.settings.keys.kek.get_secret_value()
    if kek and not (folder / signing.KEK).exists() and not (place / signing.KEK).exists():
        write_private(place / signing.KEK, kek.encode() + b"\n")
    for path in files:
        _copy(path, place / path.name)
    root = signing.key_id(context.root())
    tenants = copies.tenant_keys()
    for name in (signing.KEK, kek_files.NEXT, signing.ROOT_KEY):
        if (place / name).exists():
            copies.confirm_copy(folder, place / name, root, tenants, utc_now(), same_disk=same_disk)
    found = sorted(place.iterdir())
    print_result({"files": found}, *map(str, found))
    click.echo(
        "Whoever has these files can hear every recording: lock them away, apart from any backup.", err=True
    )


@click.command("print")
@click.pass_obj
def print_(context: Context) -> None:
    """Print the irreplaceable keys as text for paper.

    Every line has a checksum, so that `accord key restore --typed` names a mistyped one. Revocations are
    not among them."""
    folder = context.settings.keys_folder
    kek = context.settings.keys.kek.get_secret_value()
    now = to_iso(utc_now())[:10]
    click.echo(
        f"# Accord keys, printed on {now}. Whoever has this paper can hear every recording: lock it up."
    )
    click.echo(
        "# To restore: `accord key restore --typed`; type the names and lines, but none that begins with #."
    )
    if kek:
        secret = parse_kek(kek, "[keys] kek")
        _print(signing.KEK, secret.key, secret.id)
    for path in irreplaceable_files(folder):
        if path.name == signing.ROOT_KEY:
            private = signing.load_private(path)
            _print(path.name, private.private_bytes_raw(), signing.key_id(private.public_key()))
        elif _wraps(path) and not (kek and path.name == signing.KEK):
            secret = load_kek(path)
            _print(path.name, secret.key, secret.id)


def _print(name: str, key: bytes, key_id: str) -> None:
    click.echo(f"\n# key id {key_id}")
    for line in paper_key.format_key(name, key):
        click.echo(line)


def _wraps(path: Path) -> bool:
    """Whether a file is a key-encryption key."""
    return path.name in (signing.KEK, kek_files.NEXT) or path.name.endswith(kek_files.BEFORE)


@click.command()
@click.argument("place", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--typed", is_flag=True, help="Read the output of `accord key print` from standard input.")
@json_option
@click.pass_obj
def restore(context: Context, place: Path | None, typed: bool) -> None:
    """Restore keys from the folder of their copies, or from paper.

    No key is overwritten. If the root's key is among them, create new signing keys with `accord key
    renew`."""
    if typed == (place is not None):
        raise click.UsageError("give either the folder of the copies or --typed")
    folder = context.settings.keys_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place is not None:
        _restore(context, folder, place)
        return
    if sys.stdin.isatty():
        click.echo("Type the names and lines as printed; end with Ctrl-D on an empty line.", err=True)
    read = paper_key.parse_keys(sys.stdin.read())
    with TemporaryDirectory(prefix=".typed-", dir=folder) as typed_folder:
        for name, key in read.items():
            _write_typed(Path(typed_folder), name, key)
        _restore(context, folder, Path(typed_folder))


def _write_typed(place: Path, name: str, key: bytes) -> None:
    """Write a key that was typed from paper as the file that it was printed from."""
    if name == signing.ROOT_KEY:
        private = Ed25519PrivateKey.from_private_bytes(key)
        write_private(place / name, signing.private_pem(private))
        write_private(place / signing.ROOT_PUBLIC, signing.public_pem(private.public_key()))
        return
    write_private(place / name, b64_line(key))


def _restore(context: Context, folder: Path, place: Path) -> None:
    """Copy the files, all or none: nothing is written unless all of them fit."""
    files = irreplaceable_files(place)
    if not files:
        raise ConfigError(
            "keys.no_copies", f"there are no copies of keys in {place}", "give the folder that holds them"
        )
    wrong = [*_misfits(context, folder, place, files)]
    if wrong:
        raise ConfigError(
            "keys.misfit",
            "; ".join(wrong),
            "nothing was written: compare each key id with the one on the paper or in the copy; an older "
            "key-encryption key's file is named <its id>.kek",
        )
    files = [path for path in files if not _is_in_settings(context, path)]
    _check_same(files, folder)
    for path in files:
        public = path.name == signing.ROOT_PUBLIC or path.name.endswith(SUFFIX)
        _copy(path, folder / path.name, 0o644 if public else 0o600)
        if path.name != signing.ROOT_KEY:  # nobody needs it here
            give_to_owner(folder / path.name)
    there = [folder / path.name for path in files]
    print_result({"files": there}, *map(str, there))


def _is_in_settings(context: Context, path: Path) -> bool:
    """Whether a file is the key-encryption key that the settings have: a second one would outlive it in the
    keys folder."""
    kek = context.settings.keys.kek.get_secret_value()
    return bool(kek) and path.name == signing.KEK and parse_kek(kek, "[keys] kek").id == _kek_id(path)


def _kek_id(path: Path) -> str:
    return parse_kek(path.read_text("ascii", "replace"), str(path)).id


def _misfits(context: Context, folder: Path, place: Path, files: list[Path]) -> Iterator[str]:
    """The files that do not belong to this installation, as far as that can be checked."""
    for path in files:
        if path.name == signing.ROOT_KEY:
            yield from _root_misfits(signing.parse_private(path.read_bytes(), path), folder, place)
        elif _wraps(path):
            identity = _kek_id(path)
            if path.name == signing.KEK and not (folder / signing.KEK).exists():
                yield from _kek_misfits(context, folder, identity)
            elif path.name.endswith(kek_files.BEFORE) and path.name != f"{identity}{kek_files.BEFORE}":
                yield f"{path.name} is key {identity}"


def _root_misfits(key: Ed25519PrivateKey, folder: Path, place: Path) -> Iterator[str]:
    identity = signing.key_id(key.public_key())
    for public in (place / signing.ROOT_PUBLIC, folder / signing.ROOT_PUBLIC):
        if public.exists() and (known := signing.key_id(signing.load_public(public))) != identity:
            yield f"{signing.ROOT_KEY} is root {identity}, and {public} is root {known}"
    for path in (folder / signing.ENDORSEMENT, folder / signing.PANEL_ENDORSEMENT):
        if path.exists() and (known := signing.load_endorsement(path).root_key_id) != identity:
            yield f"{signing.ROOT_KEY} is root {identity}, and root {known} endorsed {path}"


def _kek_misfits(context: Context, folder: Path, identity: str) -> Iterator[str]:
    by = {*kek_usage.count_usage(context.open_catalogue, context.probe_store).by} - {kek_usage.UNREADABLE}
    if not by and (copy := copies.verified_copies(folder).get(copies.KEK)) is not None:
        by = {copy.key_id}
    if by and identity not in by:
        wrapped_by = ", ".join(sorted(by))
        yield f"{signing.KEK} is key {identity}, and the tenants' keys are wrapped by {wrapped_by}"


def _check_same(files: list[Path], place: Path) -> None:
    """Refuse to overwrite a different file; an identical one may be there, from a run that was
    interrupted."""
    here = [(path, place / path.name) for path in files]
    if there := [copy for path, copy in here if copy.exists() and copy.read_bytes() != path.read_bytes()]:
        raise keys_exist(there)


def _copy(path: Path, copy: Path, mode: int = 0o600) -> None:
    if not copy.exists():
        fresh = copy.with_name(f".{copy.name}.new")
        fresh.unlink(missing_ok=True)
        write_private(fresh, path.read_bytes(), mode)
        fresh.rename(copy)
        sync_folder(copy.parent)
