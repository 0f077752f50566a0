"""Records which offline copies of the keys were verified, and when, in a file beside the keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.catalogue import tenant_queries
from recorder.clock import from_iso, to_iso
from recorder.errors import ConfigError
from recorder.seal import kek_files, signing
from recorder.seal.keyring import Keyring, Secret, WrappedKey, load_kek, parse_kek
from recorder.spool.atomic_files import give_to_owner, write_file

FILE = "copies.json"
KEK = "kek"
NEXT = "kek.next"
ROOT = "root"


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """A verified copy: the id of the key in it, when it was verified, where it was then, and whether that was
    on the disk of the keys themselves, with which it would be lost."""

    key_id: str
    at: datetime
    path: Path
    same_disk: bool


def verified_copies(folder: Path) -> Mapping[str, KeyCopy]:
    """The verified copies, by :data:`KEK`, :data:`NEXT` and :data:`ROOT`; empty if the file is missing or
    invalid."""
    try:
        body = json.loads((folder / FILE).read_bytes())
        return {
            kind: KeyCopy(each["key_id"], from_iso(each["at"]), Path(each["path"]), bool(each["same_disk"]))
            for kind, each in body["copies"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_on_same_disk(folder: Path, path: Path) -> bool | None:
    """Whether a path is on the file system of the keys' folder; ``None`` if nothing can be seen there. Two
    file systems may be parts of one disk, which does not show."""
    try:
        return path.stat().st_dev == folder.stat().st_dev
    except OSError:
        return None


def check_disk(folder: Path, path: Path, *, same_disk: bool) -> bool:
    """Whether a path is on the disk of the keys. Raises :class:`ConfigError` (``keys.same_disk``) if it is
    and ``same_disk`` does not permit that: a disk that is not mounted leaves an empty folder there."""
    found = is_on_same_disk(folder, path) is True
    if found and not same_disk:
        raise ConfigError(
            "keys.same_disk",
            f"{path} is on the disk that has the keys themselves: a copy there is lost with them",
            "mount the other disk, or give `--same-disk` if such a copy is meant",
        )
    return found


def confirm_copy(
    folder: Path,
    path: Path,
    root_id: str,
    tenant_keys: list[WrappedKey],
    now: datetime,
    *,
    same_disk: bool = False,
) -> str:
    """Verify a copy of the key-encryption key (it opens every customer's key), of the next one (it is the
    same key) or of the root's key (it is this root's), and record it; returns which of them it is.

    File modes are not checked, because a copy may be on a disk without any. Raises :class:`ConfigError`, also
    for a copy on the disk of the keys unless ``same_disk`` permits it; :class:`SealError` if it does not open
    a customer's key."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "keys.unreadable", f"{path} cannot be read: {error.strerror}", "give the path of the copy"
        ) from error
    same_disk = check_disk(folder, path, same_disk=same_disk)
    if content.lstrip().startswith(b"-----BEGIN"):
        kind, identity = ROOT, signing.key_id(signing.parse_private(content, path).public_key())
        if identity != root_id:
            raise ConfigError(
                "keys.other_root",
                f"{path} has key {identity}, but the root is {root_id}",
                "give a copy of the root's key; the signing key needs none (`accord key renew`)",
            )
    else:
        secret = parse_kek(content.decode("ascii", "replace"), str(path))
        kind, identity = KEK, secret.id
        if (folder / kek_files.NEXT).exists() and load_kek(folder / kek_files.NEXT).id == identity:
            kind = NEXT
        else:
            _opens(secret, tenant_keys)
    _write(folder, dict(verified_copies(folder)) | {kind: KeyCopy(identity, now, path.resolve(), same_disk)})
    return kind


def tenant_keys() -> list[WrappedKey]:
    """Every customer's key, from the catalogue. Raises :class:`SealError`."""
    found = (tenant_queries.tenant_key(row.id) for row in tenant_queries.all_tenants())
    return [key for key in found if key is not None]


def promote_copy(folder: Path, identity: str) -> None:
    """Record that the next key-encryption key, and so its copy, is now the current one. Can be repeated."""
    known = dict(verified_copies(folder))
    if NEXT in known and known[NEXT].key_id == identity:
        known[KEK] = known.pop(NEXT)
        _write(folder, known)


def _write(folder: Path, known: Mapping[str, KeyCopy]) -> None:
    body = {
        name: {
            "key_id": each.key_id,
            "at": to_iso(each.at),
            "path": str(each.path),
            "same_disk": each.same_disk,
        }
        for name, each in sorted(known.items())
    }
    write_file(folder / FILE, json.dumps({"copies": body}, indent=1).encode() + b"\n")
    give_to_owner(folder / FILE)


def _opens(secret: Secret, tenant_keys: list[WrappedKey]) -> None:
    keyring = Keyring(secret)
    for wrapped in tenant_keys:
        keyring.open_tenant_key(wrapped)
