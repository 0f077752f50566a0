"""Retention limits in the catalogue: a customer keeps recordings shorter than announced, never longer.

The signed statements decide (:mod:`recorder.seal.retention_limit`); a row has copies of them, and the
customer's log a leaf for each.  A shorter limit applies to existing recordings, a longer one to new
recordings.  A row decides nothing alone: without a valid statement of this customer and a leaf it is ignored,
so that write access to the catalogue erases nothing early.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, commitment, leaf_hash, lock_tenant
from recorder.catalogue import country_check
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.announcement import PurposeTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import CatalogueError, KeepingError, SealError
from recorder.ids import Entropy
from recorder.prompts.purposes import standard
from recorder.seal import retention_limit as statements
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust, is_doubtful
from recorder.seal.signing import raw_public
from recorder.seal.usage_terms import RetentionLimit

SET = "retention_limit.set"
LIFTED = "retention_limit.lifted"

Version = tuple[tuple[str, int, int | None], ...]
"""Which limits of a customer count, by the leaves that say so: it changes whenever they do."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit that counts: its statement, what follows, and when every recording of before was looked at with
    it.  ``content`` and ``lifted`` are the statements' bytes."""

    id: str
    limit: RetentionLimit
    applied_at: datetime | None
    content: bytes
    lifted: bytes | None


@dataclass(frozen=True, slots=True)
class PendingLimit:
    """A statement that is in the catalogue and has no leaf yet: whoever set it is at it, or has died."""

    id: str
    tenant: str
    content: bytes
    lifted: bool


def check(tenant: str, purpose: str | None, line: str | None, keep_days: int | None) -> None:
    """Raises :class:`CatalogueError` for a limit that cannot be set: ``retention.purpose``, ``line.unknown``,
    ``retention.days``, ``country.keep_days``, ``tenant.unknown``."""
    with connected():
        own = (
            PurposeTable.select()
            .where((PurposeTable.tenant == tenant) & (PurposeTable.code == purpose))
            .exists()
        )
        if purpose is not None and purpose not in standard() and not own:
            raise CatalogueError(
                "retention.purpose", f"there is no purpose {purpose!r}", f"one of {', '.join(standard())}"
            )
        mine = (LineTable.tenant == tenant) & (LineTable.id == line)
        if line is not None and not LineTable.select().where(mine).exists():
            raise CatalogueError("line.unknown", f"there is no line {line}", "see `accord line list`")
        if keep_days is None:
            return
        if keep_days < 1:
            raise CatalogueError("retention.days", "a recording is kept a day or more", "1 or more")
        if purpose is not None:
            country_check.check(tenant, [purpose], keep_days=keep_days)


def begin(
    tenant: str, limit: str | None, content: bytes | None, lifting: Mapping[str, bytes], version: Version
) -> None:
    """Write statements into the catalogue: ``content`` sets a limit, ``lifting`` are those that lift
    others, by their ids.  None counts before :func:`listed` gives it its leaf.  Raises
    :class:`KeepingError` (``retention.no_limit``) where the customer's limits are not those of that
    ``version`` any more."""
    with writing():
        lock_tenant(tenant)
        pending = RetentionLimitTable.lifted.is_null(False) & RetentionLimitTable.lifted_leaf.is_null()
        pending = (RetentionLimitTable.tenant == tenant) & (RetentionLimitTable.leaf.is_null() | pending)
        if version_of(tenant) != version or RetentionLimitTable.select().where(pending).exists():
            raise KeepingError("retention.no_limit", "it was changed meanwhile")
        for each, said in lifting.items():
            RetentionLimitTable.update(lifted=said.decode()).where(RetentionLimitTable.id == each).execute()
        if limit is not None and content is not None:
            RetentionLimitTable.create(id=limit, tenant=tenant, statement=content.decode())


def pending(tenant: str | None = None) -> tuple[PendingLimit, ...]:
    """Statements without a leaf, of one customer or all; those that set a limit come first, so that there
    is no moment without any where one takes another's place."""
    mine = [] if tenant is None else [RetentionLimitTable.tenant == tenant]
    with connected():
        fresh = RetentionLimitTable.select().where(RetentionLimitTable.leaf.is_null(), *mine)
        lifting = RetentionLimitTable.select().where(
            RetentionLimitTable.lifted.is_null(False), RetentionLimitTable.lifted_leaf.is_null(), *mine
        )
        found = [PendingLimit(row.id, row.tenant_id, row.statement.encode(), False) for row in fresh]
        found += [PendingLimit(row.id, row.tenant_id, (row.lifted or "").encode(), True) for row in lifting]
    return tuple(found)


def check_statement(which: PendingLimit, trust: Trust, listed_at: datetime | None) -> LimitSet | LimitLifted:
    """What a statement says.  ``listed_at`` is when the log listed it; ``None``: a rebuild found it, and an
    operator answers for its date.  Raises :class:`SealError` for one that is not signed, is another's, or
    is by a key that was revoked before it."""
    root = raw_public(trust.root)
    opened: tuple[LimitSet | LimitLifted, str]
    opened = _opened_lifted(which.content, root) if which.lifted else _opened_set(which.content, root)
    said, key = opened
    if (said.tenant, said.id) != (which.tenant, which.id):
        raise SealError(
            "retention.foreign", f"it is a statement of limit {said.id} of customer {said.tenant}"
        )
    if is_doubtful(key, said.signed_at, listed_at, trust.revoked()):
        what = f"key {key}, which signed it, was revoked before it was listed"
        raise SealError("seal.key_revoked", what, "who had that key then?")
    return said


def listed(which: PendingLimit, trust: Trust, now: datetime, entropy: Entropy) -> None:
    """A statement lies in the bucket: give it its leaf, which it counts from on.  Raises :class:`SealError`
    for one that cannot be believed."""
    said = check_statement(which, trust, now)
    with writing():
        lock_tenant(which.tenant)
        _list(which, _leaf_body(said, which), now, entropy)


def take_in(which: PendingLimit, trust: Trust, now: datetime, entropy: Entropy) -> bool:
    """Write down a statement that a rebuild found in the bucket; false where the catalogue has it.  Raises
    :class:`SealError` for one that cannot be believed, or where the catalogue has another."""
    said, text = check_statement(which, trust, None), which.content.decode()
    with writing():
        lock_tenant(which.tenant)
        row = RetentionLimitTable.get_or_none(RetentionLimitTable.id == which.id)
        had = None if row is None else row.lifted if which.lifted else row.statement
        if (row is not None and row.tenant_id != which.tenant) or had not in (None, text):
            raise SealError("retention.differs", f"the catalogue has another statement of limit {which.id}")
        if row is None and which.lifted:
            raise SealError(
                "retention.alone", f"limit {which.id} is lifted, and nothing says that it was set"
            )
        if row is None:
            RetentionLimitTable.create(id=which.id, tenant=which.tenant, statement=text)
        elif had is None:
            RetentionLimitTable.update(lifted=text).where(RetentionLimitTable.id == which.id).execute()
        return _list(which, _leaf_body(said, which) | {"rebuilt": True}, now, entropy)


def is_known(which: PendingLimit) -> bool:
    """Whether the catalogue has a statement, and its leaf."""
    with connected():
        row = RetentionLimitTable.get_or_none(RetentionLimitTable.id == which.id)
    if row is None:
        return False
    text, leaf = (row.lifted, row.lifted_leaf) if which.lifted else (row.statement, row.leaf)
    return leaf is not None and text is not None and text.encode() == which.content


def copies(tenant: str) -> Iterator[tuple[PendingLimit, int | None, datetime | None]]:
    """The statements that a customer's rows have, whoever signed them, each with its leaf and when that
    listed it. A row that cannot be read is left out.  Inside anybody's transaction."""
    with connected():
        mine = RetentionLimitTable.select(RetentionLimitTable.id).where(RetentionLimitTable.tenant == tenant)
        for identity in sorted(row.id for row in mine):
            try:
                row = RetentionLimitTable.get_by_id(identity)
                found = [(PendingLimit(identity, tenant, row.statement.encode(), False), row.leaf, SET)]
                if row.lifted is not None:
                    found.append(
                        (PendingLimit(identity, tenant, row.lifted.encode(), True), row.lifted_leaf, LIFTED)
                    )
                for each, number, kind in found:
                    sha256 = statements.sha256_of(each.content)
                    leaf = _leaf(tenant, number, kind, identity, sha256)
                    yield each, number, None if leaf is None else leaf.at
            except (ValueError, TypeError, AttributeError):
                continue


def _leaf_body(said: LimitSet | LimitLifted, which: PendingLimit) -> dict[str, object]:
    body: dict[str, object] = {"limit": said.id, "sha256": statements.sha256_of(which.content)}
    if isinstance(said, LimitSet):
        body |= {"purpose": said.purpose or "", "line": said.line or "", "days": said.days}
        body["covers_consents"] = said.covers_consents
    return body | {"by": said.by.id or said.by.kind}


def _list(which: PendingLimit, body: dict[str, object], now: datetime, entropy: Entropy) -> bool:
    """Add a statement's leaf, where it has none."""
    row = RetentionLimitTable.get_by_id(which.id)
    if (row.lifted_leaf if which.lifted else row.leaf) is not None:
        return False
    made = append(which.tenant, LIFTED if which.lifted else SET, body, now, entropy)
    change = {"lifted_leaf" if which.lifted else "leaf": made.number}
    RetentionLimitTable.update(**change).where(RetentionLimitTable.id == which.id).execute()
    return True


def of_tenant(tenant: str, trust: Trust) -> tuple[LimitRow, ...]:
    """A customer's limits that count, lifted ones too; inside anybody's transaction."""
    with connected():
        found = [_counting(row, trust) for row in _rows(tenant)]
    return tuple(each for each in found if each is not None)


@prepared(RetentionLimitTable)
def _rows(tenant: str) -> Any:
    return (
        RetentionLimitTable.select()
        .where(RetentionLimitTable.tenant == tenant)
        .order_by(RetentionLimitTable.id)
    )


def check_logged(tenant: str) -> None:
    """That a customer's rows have every statement that the log lists: a row that is gone would have
    recordings heard longer, one that lost its lifting shorter.  Raises :class:`SealError`
    (``retention.differs``)."""
    said = leaf_lookup.decided(tenant, [SET, LIFTED])
    if not said:
        return
    with connected():
        rows = {
            row.id: row for row in RetentionLimitTable.select().where(RetentionLimitTable.tenant == tenant)
        }
    for each in said:
        row, lifted = rows.get(str(each.body.get("limit"))), each.kind == LIFTED
        text = None if row is None else row.lifted if lifted else row.statement
        leaf = None if row is None else row.lifted_leaf if lifted else row.leaf
        if text is None or leaf is None or each.body.get("sha256") != statements.sha256_of(text.encode()):
            raise SealError(
                "retention.differs",
                f"the log lists a statement about limit {each.body.get('limit')}, and no row has it",
                "a row was changed or deleted: `accord audit`, then `accord rebuild`",
            )


def limits_of(tenant: str, trust: Trust) -> tuple[RetentionLimit, ...]:
    """What follows from them."""
    return tuple(each.limit for each in of_tenant(tenant, trust))


def limits(trust: Trust) -> dict[str, tuple[RetentionLimit, ...]]:
    """Those of all customers that have any."""
    with connected():
        tenants = [row.tenant_id for row in RetentionLimitTable.select(RetentionLimitTable.tenant).distinct()]
    return {tenant: limits_of(tenant, trust) for tenant in tenants}


def in_force(tenant: str, trust: Trust) -> tuple[LimitRow, ...]:
    """A customer's limits that are not lifted."""
    return tuple(each for each in of_tenant(tenant, trust) if each.limit.until is None)


def version_of(tenant: str) -> Version:
    """Which limits a customer has now; inside anybody's transaction."""
    with connected():
        rows = RetentionLimitTable.select(
            RetentionLimitTable.id, RetentionLimitTable.leaf, RetentionLimitTable.lifted_leaf
        ).where((RetentionLimitTable.tenant == tenant) & RetentionLimitTable.leaf.is_null(False))
        return tuple(
            (row.id, row.leaf or 0, row.lifted_leaf) for row in rows.order_by(RetentionLimitTable.id)
        )


def unsettled(limit: int = 200) -> tuple[str, tuple[RecordingRow, ...]] | None:
    """A limit that not every recording was looked at with yet, by its id, and some of those, in order;
    ``None`` where there is none."""
    with connected():
        open_ = RetentionLimitTable.applied_at.is_null() & RetentionLimitTable.leaf.is_null(False)
        row = RetentionLimitTable.select().where(open_).order_by(RetentionLimitTable.id).first()
        if row is None:
            return None
        mine = (RecordingTable.tenant == row.tenant_id) & RecordingTable.erased_at.is_null()
        mine &= RecordingTable.id > (row.applied_after or "")
        found = RecordingTable.select().where(mine).order_by(RecordingTable.id).limit(limit)
        return row.id, tuple(recording_row(each) for each in found)


def settled(limit_id: str, after: str | None, now: datetime) -> None:
    """Every recording up to ``after`` was looked at with a limit; ``None``: all were."""
    change = {"applied_at": now} if after is None else {"applied_after": after}
    with writing():
        RetentionLimitTable.update(**change).where(RetentionLimitTable.id == limit_id).execute()


@lru_cache(4096)
def _opened_set(content: bytes, root: bytes) -> tuple[LimitSet, str]:
    """The same bytes and the same root give the same answer: a gate asks it with every request."""
    return statements.open_set(content, Ed25519PublicKey.from_public_bytes(root))


@lru_cache(4096)
def _opened_lifted(content: bytes, root: bytes) -> tuple[LimitLifted, str]:
    return statements.open_lifted(content, Ed25519PublicKey.from_public_bytes(root))


def _counting(row: RetentionLimitTable, trust: Trust) -> LimitRow | None:
    """A row's limit; ``None`` where it counts for nothing."""
    root, revoked = raw_public(trust.root), trust.revoked()
    try:
        content = row.statement.encode()
        said, key = _opened_set(content, root)
        leaf = _leaf(row.tenant_id, row.leaf, SET, row.id, statements.sha256_of(content))
    except (SealError, ValueError, TypeError, AttributeError):  # the audit names it
        return None
    mine = (said.tenant, said.id) == (row.tenant_id, row.id)
    if not mine or leaf is None or is_doubtful(key, said.since, leaf.at, revoked):
        return None
    until = _lifted_at(row, content, root, trust)
    limit = RetentionLimit(said.days, said.purpose, said.line, said.since, until, said.covers_consents)
    lifted = None if until is None or row.lifted is None else row.lifted.encode()
    return LimitRow(row.id, limit, row.applied_at, content, lifted)


def _lifted_at(row: RetentionLimitTable, content: bytes, root: bytes, trust: Trust) -> datetime | None:
    """When a limit was lifted, as far as that can be believed."""
    if row.lifted is None or row.lifted_leaf is None:
        return None
    try:
        lifted = row.lifted.encode()
        said, key = _opened_lifted(lifted, root)
        leaf = _leaf(row.tenant_id, row.lifted_leaf, LIFTED, row.id, statements.sha256_of(lifted))
    except (SealError, ValueError, TypeError, AttributeError):
        return None
    mine = (said.tenant, said.id, said.set_sha256) == (row.tenant_id, row.id, statements.sha256_of(content))
    if not mine or leaf is None or is_doubtful(key, said.at, leaf.at, trust.revoked()):
        return None
    return said.at


@dataclass(frozen=True, slots=True)
class _Leaf:
    """``at``: when the statement was listed; ``None`` where a rebuild listed it."""

    at: datetime | None


def _leaf(tenant: str, number: int | None, kind: str, limit: str, sha256: str) -> _Leaf | None:
    """The leaf that lists a statement, where it is whole and says that."""
    mine = (LeafTable.tenant == tenant) & (LeafTable.number == number)
    entry = None if number is None else LeafTable.get_or_none(mine)
    if entry is None or entry.body is None or entry.salt is None or entry.kind != kind:
        return None
    said, leaf = json.loads(entry.body), json.loads(entry.leaf)
    whole = (
        (said["limit"], said["sha256"]) == (limit, sha256)
        and leaf_hash(entry.leaf.encode()) == entry.leaf_hash
        and (leaf["tenant"], leaf["number"], leaf["kind"]) == (tenant, number, kind)
        and leaf["commitment"] == commitment(bytes(entry.salt), entry.body.encode())
    )
    return _Leaf(None if said.get("rebuilt") else entry.at) if whole else None
