"""Appends a leaf to a tenant's log.

A leaf is canonical JSON (RFC 8785) without personal data::

    {"at": …, "commitment": <hex>, "format": 1, "kind": …, "number": …, "tenant": …}

Its hash is RFC 6962's leaf hash, SHA-256 of a zero byte and the leaf (section 2.1), so a Merkle tree over the
leaves gives inclusion and consistency proofs. The commitment is HMAC-SHA-256 of the body under a fresh
32-byte salt. Whoever holds body and salt can show what was logged. Without the salt, the body cannot be
guessed from the leaf, so destroying both erases the body and leaves the log whole.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import rfc8785

from recorder.catalogue.database import database
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import no_tenant
from recorder.clock import to_iso
from recorder.ids import Entropy, uuid7

FORMAT = 1
SALT_BYTES = 32

COLUMNS = (
    "id", "tenant_id", "number", "kind", "at", "recording_id", "body", "salt", "leaf", "leaf_hash",
)  # fmt: skip
AT_ONCE = 500
"""Leaves that one statement inserts: SQLite takes 32,766 values."""

Body = Mapping[str, object]
"""What a leaf is about: text, integers, booleans, and lists of those."""

AMENDED: Final = "recording.amended"
REBUILT: Final = "recording.rebuilt"
REFUSED: Final = "access.refused"

GOES_WITH: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "recording.stored", REBUILT, AMENDED, "recording.handed_over", "recording.exported",
        "call.not_recorded", "quarantine.erased",
        "grant.given", "grant.renewed", "listen.opened", "listen.closed", REFUSED, "seal.broken",
        "subject_request.recording_heard", "subject_request.recording_reviewed",
        "subject_request.recording_erased", "subject_request.recording_kept",
    ),
    "recording",
) | dict.fromkeys(("command.requested", "command.answered"), "call")  # fmt: skip
"""Kinds of leaves whose body and salt are destroyed when a recording (or an unrecorded call) is erased, each
with the body's field that names it. No other kind may lack a body."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf in its place: ``number`` counts from 0 for each tenant, ``leaf_hash`` is hex."""

    number: int
    leaf_hash: str


def leaf_hash(leaf: bytes) -> str:
    """RFC 6962, section 2.1: the hash of a leaf, in hex."""
    return hashlib.sha256(b"\x00" + leaf).hexdigest()


def commitment(salt: bytes, body: bytes) -> str:
    """A leaf's commitment to its body, in hex."""
    return hmac.digest(salt, body, "sha256").hex()


def sha256_of(value: Any) -> str:
    """How a body refers to a column's content without repeating it: the SHA-256 (hex) of a text, or of the
    canonical JSON of a list or mapping."""
    content = value.encode() if isinstance(value, str) else rfc8785.dumps(value)
    return hashlib.sha256(content).hexdigest()


def append(
    tenant: str, kind: str, body: Body, now: datetime, entropy: Entropy, *, recording: str | None = None
) -> Leaf:
    """Append a leaf to a tenant's log, inside the caller's transaction, so that it commits with the change it
    describes. ``recording`` names the recording whose erasure destroys body and salt.

    The number comes from an UPDATE of the tenant's row, which locks that row until the transaction ends, so
    numbers have no gap and no fork, on SQLite and PostgreSQL alike. A transaction changes its other rows
    before this, or begins with :func:`lock_tenant`: grants, and what erasure changes, are reached only that
    way, so there is no deadlock.

    Raises :class:`CatalogueError` if there is no such tenant, ``RuntimeError`` outside a transaction, and
    ``ValueError`` if the body does not name that recording (:func:`goes_with`).
    """
    (leaf,) = append_all(tenant, kind, [(body, recording)], now, entropy)
    return leaf


def append_all(
    tenant: str, kind: str, said: Sequence[tuple[Body, str | None]], now: datetime, entropy: Entropy
) -> list[Leaf]:
    """The same for many bodies at once, each with the recording whose erasure destroys it."""
    if not database.in_transaction():
        raise RuntimeError("a leaf is appended inside the transaction of the change that it describes")
    counted = (
        TenantTable.update(log_size=TenantTable.log_size + len(said))
        .where(TenantTable.id == tenant)
        .execute()
    )
    if not counted:
        raise no_tenant(tenant)
    size = int(TenantTable.select(TenantTable.log_size).where(TenantTable.id == tenant).scalar())
    at, first = to_iso(now), size - len(said)
    entries = [
        _entry(tenant, kind, body, recording, number, at, now, entropy)
        for number, (body, recording) in enumerate(said, first)
    ]
    for begin in range(0, len(entries), AT_ONCE):
        some = entries[begin : begin + AT_ONCE]
        # By hand: peewee takes several times as long to build the statement as the database to execute it.
        database.execute_sql(
            _statement(len(some), database.param), [each for entry in some for each in entry]
        )
    return [Leaf(number, entry[-1]) for number, entry in enumerate(entries, first)]


@cache
def _statement(rows: int, param: str) -> str:
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    one = f"({', '.join([param] * len(COLUMNS))})"
    table = LeafTable._meta.table_name
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([one] * rows)}'  # noqa: S608, names of ours


def goes_with(kind: str, body: Body) -> str | None:
    """The recording whose erasure destroys a leaf's body and salt, as the body itself says; ``None`` if there
    is none. A leaf about an erasure keeps its body; a refusal about somebody else's recording is about
    nothing of this tenant's."""
    name = GOES_WITH.get(kind)
    if name is None or (kind == REBUILT and body.get("erased") is True):
        return None
    if kind == REFUSED and body.get("reason") == "access.not_found":
        return None
    found = body.get(name)
    return None if found is None else str(found)


def leaf_text(tenant: str, number: int, kind: str, at: str, commits: str) -> str:
    """A leaf as it is hashed: canonical JSON, from values that need no escaping."""
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
    if recording != goes_with(kind, body):
        raise ValueError(f"a leaf {kind} of {dict(body)} does not go with recording {recording}")
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


def lock_tenant(tenant: str) -> None:
    """Keep others from writing for a tenant until the caller's transaction ends, and see everything written
    before. On SQLite a transaction excludes all others anyway; PostgreSQL needs this if something is read
    first and written afterwards. Raises :class:`CatalogueError` if there is no such tenant."""
    if not TenantTable.update(log_size=TenantTable.log_size).where(TenantTable.id == tenant).execute():
        raise no_tenant(tenant)


def drop_bodies(tenant: str, recording: str) -> list[int]:
    """Destroy bodies and salts of a tenant's leaves about a recording, inside the caller's transaction.
    Returns their numbers, which the leaf about the erasure lists: no other body may be missing. The leaves
    stay, and reveal nothing about anybody.

    A body itself names its recording: one about another recording stays, whatever its row says (and an audit
    reports the row).
    """
    mine = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording)
    there = LeafTable.select(LeafTable.number, LeafTable.kind, LeafTable.body)
    rows = there.where(mine & LeafTable.body.is_null(False)).order_by(LeafTable.number)
    numbers = [row.number for row in rows if _is_about(row.kind, row.body, recording)]
    for begin in range(0, len(numbers), AT_ONCE):
        some = LeafTable.number.in_(numbers[begin : begin + AT_ONCE])
        LeafTable.update(body=None, salt=None).where(mine & some).execute()
    return numbers


def _is_about(kind: str, body: str | None, recording: str) -> bool:
    try:
        return body is not None and goes_with(kind, json.loads(body)) == recording
    except (ValueError, AttributeError):  # it was changed to something that is not a body
        return False
