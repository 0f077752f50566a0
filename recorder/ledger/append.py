"""Adding a leaf to a tenant's log.

A leaf is canonical JSON (RFC 8785) without personal data::

    {"at": …, "commitment": <hex>, "format": 1, "kind": …, "number": …, "tenant": …}

Its hash is RFC 6962's leaf hash, SHA-256 of a zero byte and the leaf (section 2.1), so that a Merkle
tree over them gives inclusion and consistency proofs.  The commitment is HMAC-SHA-256 of the body under
a fresh 32-byte salt: who holds body and salt can show what was logged; without the salt the body cannot
be guessed from the leaf, so that destroying both erases it and leaves the log whole.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from recorder.catalogue.models import LedgerEntry, Tenant, database
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7

FORMAT = 1
SALT_BYTES = 32

Body = Mapping[str, object]
"""What a leaf is about: text, whole numbers, truth values, and lists of those."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf in its place: ``number`` counts from 0 for each tenant, ``leaf_hash`` is hex."""

    number: int
    leaf_hash: str


def leaf_hash(leaf: bytes) -> str:
    """RFC 6962, section 2.1: the hash of a leaf, in hex."""
    return hashlib.sha256(b"\x00" + leaf).hexdigest()


def commitment(salt: bytes, body: bytes) -> str:
    """What a leaf says of its body, in hex."""
    return hmac.new(salt, body, hashlib.sha256).hexdigest()


def append(
    tenant: str, kind: str, body: Body, now: datetime, entropy: Entropy, *, recording: str | None = None
) -> Leaf:
    """Add a leaf to a tenant's log, inside the caller's transaction: it stands or falls with what it
    speaks of.  ``recording`` names the recording whose erasure takes the body and salt with it.

    The number comes from an UPDATE of the tenant's row, which holds that row until the transaction
    ends: so numbers have no gap and no fork, on SQLite and PostgreSQL alike.  What other rows a
    transaction changes it changes before, or it begins with :func:`hold`: grants, and what destroying
    changes, are reached only that way, so nobody waits in a circle.

    Raises :class:`CatalogueError` where there is no such tenant, and ``RuntimeError`` outside a
    transaction.
    """
    (leaf,) = append_all(tenant, kind, [(body, recording)], now, entropy)
    return leaf


def append_all(
    tenant: str, kind: str, said: Sequence[tuple[Body, str | None]], now: datetime, entropy: Entropy
) -> list[Leaf]:
    """The same for many bodies at once, each with the recording whose erasure takes it."""
    if not database.in_transaction():
        raise RuntimeError("a leaf is added inside the transaction of what it speaks of")
    counted = Tenant.update(ledger_size=Tenant.ledger_size + len(said)).where(Tenant.id == tenant).execute()
    if not counted:
        raise no_tenant(tenant)
    size = int(Tenant.select(Tenant.ledger_size).where(Tenant.id == tenant).scalar())
    entries = [
        _entry(tenant, kind, body, recording, number, now, entropy)
        for number, (body, recording) in enumerate(said, size - len(said))
    ]
    LedgerEntry.insert_many(entries).execute()
    return [Leaf(entry["number"], entry["leaf_hash"]) for entry in entries]


def _entry(
    tenant: str, kind: str, body: Body, recording: str | None, number: int, now: datetime, entropy: Entropy
) -> dict[str, Any]:
    salt = entropy(SALT_BYTES)
    content = rfc8785.dumps(dict(body))  # type: ignore[arg-type]
    leaf = rfc8785.dumps(
        {
            "format": FORMAT,
            "tenant": tenant,
            "number": number,
            "at": to_iso(now),
            "kind": kind,
            "commitment": commitment(salt, content),
        }
    )
    return {
        "id": str(uuid7(now, entropy)),
        "tenant": tenant,
        "number": number,
        "kind": kind,
        "at": now,
        "recording_id": recording,
        "body": content.decode(),
        "salt": salt,
        "leaf": leaf.decode(),
        "leaf_hash": leaf_hash(leaf),
    }


def hold(tenant: str) -> None:
    """Let nobody else write for a tenant until the caller's transaction ends, and see all that was written
    before.  On SQLite the transaction holds everybody back already; this is what PostgreSQL needs where
    something is read first and written after.  Raises :class:`CatalogueError` where there is no such
    tenant."""
    if not Tenant.update(ledger_size=Tenant.ledger_size).where(Tenant.id == tenant).execute():
        raise no_tenant(tenant)


def no_tenant(tenant: str) -> CatalogueError:
    """What to raise where a tenant's id names nobody."""
    return CatalogueError("tenant.unknown", f"there is no tenant {tenant}", "see `accord tenant list`")


def forget(tenant: str, recording: str) -> list[int]:
    """Destroy bodies and salts of a tenant's leaves that speak of a recording, inside the caller's
    transaction; their numbers, which the leaf about its erasure names: no other body may be missing.  The
    leaves stay, and tell nothing about anybody any more."""
    mine = (LedgerEntry.tenant == tenant) & (LedgerEntry.recording_id == recording)
    there = LedgerEntry.select(LedgerEntry.number).where(mine & LedgerEntry.body.is_null(False))
    numbers = [row.number for row in there.order_by(LedgerEntry.number)]
    LedgerEntry.update(body=None, salt=None).where(mine).execute()
    return numbers
