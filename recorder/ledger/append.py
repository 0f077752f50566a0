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
from functools import cache
from typing import Any

import rfc8785

from recorder.catalogue.models import LedgerEntry, Tenant, database
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7

FORMAT = 1
SALT_BYTES = 32

COLUMNS = (
    "id", "tenant_id", "number", "kind", "at", "recording_id", "body", "salt", "leaf", "leaf_hash",
)  # fmt: skip
AT_ONCE = 500
"""Leaves that one statement adds: SQLite takes 32,766 values."""

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
    return hmac.digest(salt, body, "sha256").hex()


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
    at, first = to_iso(now), size - len(said)
    entries = [
        _entry(tenant, kind, body, recording, number, at, now, entropy)
        for number, (body, recording) in enumerate(said, first)
    ]
    for begin in range(0, len(entries), AT_ONCE):
        some = entries[begin : begin + AT_ONCE]
        # By hand: peewee's making of the statement costs several times what the database does with it.
        database.execute_sql(
            _statement(len(some), database.param), [each for entry in some for each in entry]
        )
    return [Leaf(number, entry[-1]) for number, entry in enumerate(entries, first)]


@cache
def _statement(rows: int, param: str) -> str:
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    one = f"({', '.join([param] * len(COLUMNS))})"
    table = LedgerEntry._meta.table_name
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([one] * rows)}'  # noqa: S608, names of ours


def leaf_text(tenant: str, number: int, kind: str, at: str, commits: str) -> str:
    """A leaf as it is hashed: canonical JSON, of values in which nothing has to be escaped."""
    return (
        f'{{"at":"{at}","commitment":"{commits}","format":{FORMAT},"kind":"{kind}",'
        f'"number":{number},"tenant":"{tenant}"}}'
    )


def _entry(
    tenant: str,
    kind: str,
    body: Body,
    recording: str | None,
    number: int,
    at: str,
    now: datetime,
    entropy: Entropy,
) -> tuple[Any, ...]:
    salt = entropy(SALT_BYTES)
    content = rfc8785.dumps(dict(body))  # type: ignore[arg-type]
    leaf = leaf_text(tenant, number, kind, at, commitment(salt, content))
    hashed = leaf_hash(leaf.encode())
    # In the order of COLUMNS.
    return (
        str(uuid7(now, entropy)),
        tenant,
        number,
        kind,
        at,
        recording,
        content.decode(),
        salt,
        leaf,
        hashed,
    )


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
