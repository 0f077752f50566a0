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
from recorder.spool.atomic_files import write_file

FILE = "copies.json"
KEK = "kek"
NEXT = "kek.next"
ROOT = "root"


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """A verified copy: the id of the key in it, and when it was verified."""

    key_id: str
    at: datetime


def verified_copies(folder: Path) -> Mapping[str, KeyCopy]:
    """The verified copies, by :data:`KEK`, :data:`NEXT` and :data:`ROOT`; empty if the file is missing or
    invalid."""
    try:
        body = json.loads((folder / FILE).read_bytes())
        return {kind: KeyCopy(each["key_id"], from_iso(each["at"])) for kind, each in body["copies"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def confirm_copy(folder: Path, path: Path, root_id: str, tenant_keys: list[WrappedKey], now: datetime) -> str:
    """Verify a copy of the key-encryption key (it opens every customer's key), of the next one (it is the
    same key) or of the root's key (it is this root's), and record it; returns which of them it is.

    File modes are not checked, because a copy may be on a disk without any. Raises :class:`ConfigError`,
    :class:`SealError` if it does not open a customer's key."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "keys.unreadable", f"{path} cannot be read: {error.strerror}", "give the path of the copy"
        ) from error
    if content.lstrip().startswith(b"-----BEGIN"):
        kind, identity = ROOT, signing.key_id(signing.parse_private(content, path).public_key())
        if identity != root_id:
            raise ConfigError(
                "keys.other_root",
                f"{path} has key {identity}, but the root is {root_id}",
                "give a copy of the root's key; the signing key needs none (`accord keys renew`)",
            )
    else:
        secret = parse_kek(content.decode("ascii", "replace"), str(path))
        kind, identity = KEK, secret.id
        if (folder / kek_files.NEXT).exists() and load_kek(folder / kek_files.NEXT).id == identity:
            kind = NEXT
        else:
            _opens(secret, tenant_keys)
    _write(folder, dict(verified_copies(folder)) | {kind: KeyCopy(identity, now)})
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
    body = {name: {"key_id": each.key_id, "at": to_iso(each.at)} for name, each in sorted(known.items())}
    write_file(folder / FILE, json.dumps({"copies": body}, indent=1).encode() + b"\n")


def _opens(secret: Secret, tenant_keys: list[WrappedKey]) -> None:
    keyring = Keyring(secret)
    for wrapped in tenant_keys:
        keyring.open_tenant_key(wrapped)
