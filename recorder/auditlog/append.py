"""Appends leaves to a tenant's log.

A leaf is canonical JSON (RFC 8785) without personal data::

    {"at": …, "commitment": <hex>, "format": 1, "kind": …, "number": …, "tenant": …}

Its hash is RFC 6962's leaf hash, SHA-256 of a zero byte and the leaf (section 2.1), so a Merkle tree over the
leaves gives inclusion and consistency proofs. The commitment is HMAC-SHA-256 of the body under a fresh
32-byte salt. With body and salt, anybody can verify what was logged. Without the salt, the body cannot be
guessed from the leaf, so destroying both erases the body and leaves the log intact.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import SqliteDatabase

from recorder.auditlog.kinds import KINDS
from recorder.catalogue.bulk_insert import insert_values
from recorder.catalogue.database import Transaction, current_batch, current_transaction, database, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.clock import to_iso
from recorder.ids import Entropy, uuid7
from recorder.strict_json import dump_canonical
from recorder.verified_state import VerifiedState

FORMAT = 1
SALT_BYTES = 32

COLUMNS = (
    "id", "tenant_id", "number", "kind", "at", "recording_id", "body", "salt", "leaf", "leaf_hash",
)  # fmt: skip
Body = Mapping[str, object]
"""The facts that a leaf commits to: text, integers, booleans, and lists of those."""

AMENDED: Final = "recording.amended"
REBUILT: Final = "recording.rebuilt"
REFUSED: Final = "access.refused"

OWNER_FIELDS: Final[Mapping[str, str]] = {
    name: kind.erased_with for name, kind in KINDS.items() if kind.erased_with is not None
}
"""Kinds of leaves whose body and salt are erased with a recording (or an unrecorded call, or a dispute), and
the body's field that names it. No other kind may lack a body."""


# Without peewee, which takes several times longer to build a statement than it takes to run.
_ADD_TO_SIZE: Final = 'UPDATE "tenant" SET "log_size" = "log_size" + {0} WHERE "id" = {0}'
_READ_SIZE: Final = 'SELECT "log_size" FROM "tenant" WHERE "id" = {0}'
_SET_SIZE: Final = 'UPDATE "tenant" SET "log_size" = {0} WHERE "id" = {0}'


@dataclass(frozen=True, slots=True)
class Leaf:
    """An appended leaf: ``number`` counts from 0 for each tenant, ``leaf_hash`` is hex."""

    number: int
    leaf_hash: str


def leaf_hash(leaf: bytes) -> str:
    """The hash of a leaf (RFC 6962, section 2.1), in hex."""
    return hashlib.sha256(b"\x00" + leaf).hexdigest()


def commitment(salt: bytes, body: bytes) -> str:
    """A leaf's commitment to its body, in hex."""
    return hmac.digest(salt, body, "sha256").hex()


def sha256_of(value: Any) -> str:
    """How a body refers to a column without repeating its content: the SHA-256 (hex) of a text, or of the
    canonical JSON of a list or mapping."""
    content = value.encode() if isinstance(value, str) else dump_canonical(value)
    return hashlib.sha256(content).hexdigest()


def append(
    tenant: str, kind: str, body: Body, now: datetime, entropy: Entropy, *, recording: str | None = None
) -> Leaf:
    """Append a leaf to a tenant's log, inside the caller's transaction, so that it commits with the change it
    describes. ``recording`` names the recording whose erasure erases body and salt.

    The number comes from an UPDATE of the tenant's row, which locks that row until the transaction ends: on
    SQLite and PostgreSQL alike, numbers have no gaps and no duplicates. To avoid deadlocks, a transaction
    changes its other rows before it appends, or begins with :func:`lock_tenant`.

    Raises :class:`CatalogueError` if there is no such tenant, ``RuntimeError`` outside a transaction, and
    ``ValueError`` if the body does not name that recording (:func:`owning_recording`).
    """
    (leaf,) = append_all(tenant, kind, [(body, recording)], now, entropy)
    return leaf


def append_all(
    tenant: str, kind: str, bodies: Sequence[tuple[Body, str | None]], now: datetime, entropy: Entropy
) -> list[Leaf]:
    """Append several leaves of a kind, as :func:`append` does: each body with its recording."""
    if not database.in_transaction():
        raise RuntimeError("append a leaf inside the transaction of the change that it describes")
    at, first = to_iso(now), _reserve_numbers(tenant, len(bodies))
    entries = [
        _entry(tenant, kind, body, recording, number, at, now, entropy)
        for number, (body, recording) in enumerate(bodies, first)
    ]
    insert_values(LeafTable, COLUMNS, entries)
    return [Leaf(number, entry[-1]) for number, entry in enumerate(entries, first)]


def _reserve_numbers(tenant: str, count: int) -> int:
    """The first of so many new numbers of a tenant's leaves; others wait for its row until the transaction
    ends. Raises :class:`CatalogueError` if there is no such tenant."""
    batch = current_batch()
    if batch is None:
        return _add_to_size(tenant, count) - count
    if tenant not in batch.log_sizes:
        batch.log_sizes[tenant] = _add_to_size(tenant, 0)
    if count:
        batch.finish["log sizes"] = _write_sizes
    first = batch.log_sizes[tenant]
    batch.log_sizes[tenant] += count
    return first


def log_size(locked: LockedTenant) -> int:
    """How many leaves a locked tenant has, with those that a batch has still to count."""
    locked.check()
    return _reserve_numbers(locked.tenant, 0)


def _add_to_size(tenant: str, count: int) -> int:
    """How many leaves a tenant has afterwards. Its row is locked."""
    param = database.param
    if isinstance(database.obj, SqliteDatabase):  # only its newer versions return what they changed
        database.execute_sql(_ADD_TO_SIZE.format(param), (count, tenant))
        row = database.execute_sql(_READ_SIZE.format(param), (tenant,)).fetchone()
    else:
        added = f"{_ADD_TO_SIZE.format(param)} RETURNING log_size"
        row = database.execute_sql(added, (count, tenant)).fetchone()
    if row is None:
        raise unknown_tenant(tenant)
    return int(row[0])


def _write_sizes() -> None:
    batch = current_batch()
    assert batch is not None
    sizes = [(size, tenant) for tenant, size in sorted(batch.log_sizes.items())]
    database.cursor().executemany(_SET_SIZE.format(database.param), sizes)


def owning_recording(kind: str, body: Body) -> str | None:
    """The recording whose erasure erases a leaf's body and salt, by the body itself; ``None`` if there is
    none. A leaf about an erasure keeps its body; a refusal about another tenant's recording belongs to none
    of this tenant's."""
    name = OWNER_FIELDS.get(kind)
    if name is None or (kind == REBUILT and body.get("erased") is True):
        return None
    if kind == REFUSED and body.get("reason") == "access.not_found":
        return None
    found = body.get(name)
    return None if found is None else str(found)


def leaf_text(tenant: str, number: int, kind: str, at: str, commits: str) -> str:
    """The hashed form of a leaf: canonical JSON. Its values need no escaping."""
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
    if recording != owning_recording(kind, body):
        raise ValueError(f"a leaf {kind} with body {dict(body)} does not belong to recording {recording}")
    salt = entropy(SALT_BYTES)
    content = dump_canonical(dict(body))
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


@dataclass(frozen=True, slots=True)
class LockedTenant(VerifiedState):
    """A customer whom the running transaction has locked (:func:`lock_tenant`). What was compared with the
    log under the lock is true until the transaction ends."""

    tenant: str
    _transaction: Transaction

    def check(self) -> None:
        """Raises ``RuntimeError`` once the transaction has ended."""
        if current_transaction() is not self._transaction:
            raise RuntimeError(f"the transaction that locked customer {self.tenant} has ended")


def lock_tenant(tenant: str) -> LockedTenant:
    """Exclude other writers of a tenant until the caller's transaction ends, and see all that they wrote. On
    SQLite every transaction excludes other writers; on PostgreSQL, a transaction that writes what depends on
    an earlier read needs this. Raises :class:`CatalogueError` if there is no such tenant, ``RuntimeError``
    outside :func:`recorder.catalogue.database.writing`."""
    transaction = current_transaction()
    if transaction is None:
        raise RuntimeError("lock a customer inside the transaction that needs it")
    _reserve_numbers(tenant, 0)
    return LockedTenant(tenant, transaction)


@contextmanager
def tenant_lock(tenant: str) -> Iterator[LockedTenant]:
    """A transaction (:func:`recorder.catalogue.database.writing`) that begins with :func:`lock_tenant`."""
    with writing():
        yield lock_tenant(tenant)
