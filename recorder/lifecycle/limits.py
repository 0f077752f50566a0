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
from recorder.auditlog.append import LockedTenant, append, commitment, leaf_hash, lock_tenant, tenant_lock
from recorder.catalogue import country_check
from recorder.catalogue.database import connected, writing
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.tables.announcement import PurposeTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import CatalogueError, RetentionError, SealError
from recorder.ids import Entropy
from recorder.prompts.purposes import standard
from recorder.seal import hints
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust, is_doubtful
from recorder.seal.signing import raw_public
from recorder.seal.usage_terms import RetentionLimit
from recorder.verified_state import VerifiedState

SET = "retention_limit.set"
LIFTED = "retention_limit.lifted"

Version = tuple[tuple[str, int, int | None], ...]
"""Which limits of a customer are in effect, by the numbers of their leaves; it changes whenever they do."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit in effect: its statement, the limit itself, and when it had been applied to every earlier
    recording. ``content`` and ``lifted`` are the statements' bytes, ``by`` is who set it."""

    id: str
    limit: RetentionLimit
    applied_at: datetime | None
    content: bytes
    lifted: bytes | None
    by: By


@dataclass(frozen=True, slots=True)
class PendingLimit:
    """A statement in the catalogue that has no leaf yet: it is being set, or its process died."""

    id: str
    tenant: str
    content: bytes
    lifted: bool


@dataclass(frozen=True, slots=True)
class VerifiedLimit(VerifiedState):
    """A signed statement of the customer's and the limit's that it says, and its bytes (``which``)."""

    which: PendingLimit
    statement: LimitSet | LimitLifted


def check_limit(tenant: str, purpose: str | None, line: str | None, keep_days: int | None) -> None:
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
                "retention.purpose", f"there is no purpose {purpose!r}", f"use one of {', '.join(standard())}"
            )
        condition = (LineTable.tenant == tenant) & (LineTable.id == line)
        if line is not None and not LineTable.select().where(condition).exists():
            raise CatalogueError("line.unknown", f"there is no line {line}", "see `accord line list`")
        if keep_days is None:
            return
        if keep_days < 1:
            raise CatalogueError("retention.days", "a recording is kept for at least a day", "use 1 or more")
        if purpose is not None:
            country_check.check_setting(tenant, [purpose], keep_days=keep_days)


def begin_statements(
    tenant: str, limit: str | None, content: bytes | None, lifts: Mapping[str, bytes], version: Version
) -> None:
    """Write statements to the catalogue: ``content`` sets a limit, ``lifts`` lifts others, by id. None
    takes effect before :func:`add_leaf` gives it a leaf. Raises :class:`RetentionError`
    (``retention.no_limit``) if the customer's limits are no longer those of ``version``."""
    with tenant_lock(tenant):
        pending = RetentionLimitTable.lifted.is_null(False) & RetentionLimitTable.lifted_leaf.is_null()
        pending = (RetentionLimitTable.tenant == tenant) & (RetentionLimitTable.leaf.is_null() | pending)
        if version_of(tenant) != version or RetentionLimitTable.select().where(pending).exists():
            raise RetentionError("retention.no_limit", "the limits were changed meanwhile", "try again")
        for each, lifted in lifts.items():
            RetentionLimitTable.update(lifted=lifted.decode()).where(RetentionLimitTable.id == each).execute()
        if limit is not None and content is not None:
            RetentionLimitTable.create(id=limit, tenant=tenant, statement=content.decode())


def pending(tenant: str | None = None) -> tuple[PendingLimit, ...]:
    """Statements without a leaf, of one customer or of all. Those that set a limit come first, so that
    replacing one leaves no moment without a limit."""
    condition = [] if tenant is None else [RetentionLimitTable.tenant == tenant]
    with connected():
        texts = RetentionLimitTable.select(
            RetentionLimitTable.id, RetentionLimitTable.tenant, RetentionLimitTable.statement,
            RetentionLimitTable.lifted,
        )  # fmt: skip
        fresh = texts.where(RetentionLimitTable.leaf.is_null(), *condition)
        lifts = texts.where(
            RetentionLimitTable.lifted.is_null(False), RetentionLimitTable.lifted_leaf.is_null(), *condition
        )
        found = [PendingLimit(row.id, row.tenant_id, row.statement.encode(), False) for row in fresh]
        found += [PendingLimit(row.id, row.tenant_id, (row.lifted or "").encode(), True) for row in lifts]
    return tuple(found)


def check_statement(which: PendingLimit, trust: Trust, listed_at: datetime | None) -> VerifiedLimit:
    """The verified content of a statement. ``listed_at`` is when the log listed it; ``None`` if a rebuild
    found it and an operator vouches for its date. Raises :class:`SealError` if it is unsigned, another
    customer's, or signed by a key that was revoked before then."""
    root = raw_public(trust.root)
    opened: tuple[LimitSet | LimitLifted, str]
    opened = _opened_lifted(which.content, root) if which.lifted else _opened_set(which.content, root)
    statement, key = opened
    if (statement.tenant, statement.id) != (which.tenant, which.id):
        raise SealError(
            "retention.foreign",
            f"it is the statement of limit {statement.id} of customer {statement.tenant}",
            hints.COMPARE,
        )
    if is_doubtful(key, statement.signed_at, listed_at, trust.revoked()):
        what = f"key {key}, which signed it, was revoked before it was listed"
        raise SealError("seal.key_revoked", what, "treat it as unverified; find out who held the key")
    return VerifiedLimit(which, statement)


def add_leaf(limit: VerifiedLimit, now: datetime, entropy: Entropy) -> None:
    """Append the leaf of a statement that is in the bucket, which puts it into effect."""
    with writing():
        _list(lock_tenant(limit.which.tenant), limit, {}, now, entropy)


def restore_statement(limit: VerifiedLimit, now: datetime, entropy: Entropy) -> bool:
    """Add a statement that a rebuild found in the bucket; false if the catalogue has it already. Raises
    :class:`SealError` if the catalogue has a different one."""
    which, text = limit.which, limit.which.content.decode()
    with writing():
        locked = lock_tenant(which.tenant)
        row = RetentionLimitTable.get_or_none(RetentionLimitTable.id == which.id)
        catalogued = None if row is None else row.lifted if which.lifted else row.statement
        if (row is not None and row.tenant_id != which.tenant) or catalogued not in (None, text):
            raise SealError(
                "retention.differs", f"the catalogue has another statement of limit {which.id}", hints.COMPARE
            )
        if row is None and which.lifted:
            raise SealError(
                "retention.alone",
                f"limit {which.id} is lifted, but no statement sets it",
                "look for an older version of the missing statement in the bucket",
            )
        if row is None:
            RetentionLimitTable.create(id=which.id, tenant=which.tenant, statement=text)
        elif catalogued is None:
            RetentionLimitTable.update(lifted=text).where(RetentionLimitTable.id == which.id).execute()
        return _list(locked, limit, {"rebuilt": True}, now, entropy)


def is_listed(which: PendingLimit) -> bool:
    """Whether the catalogue has a statement and its leaf."""
    with connected():
        row = RetentionLimitTable.get_or_none(RetentionLimitTable.id == which.id)
    if row is None:
        return False
    text, leaf = (row.lifted, row.lifted_leaf) if which.lifted else (row.statement, row.leaf)
    return leaf is not None and text is not None and text.encode() == which.content


def stored_statements(tenant: str) -> Iterator[tuple[PendingLimit, int | None, datetime | None]]:
    """The statements in a customer's rows, whoever signed them, each with its leaf's number and time.
    Unreadable rows are left out. Works inside the caller's transaction."""
    with connected():
        condition = RetentionLimitTable.select(RetentionLimitTable.id).where(
            RetentionLimitTable.tenant == tenant
        )
        for identity in sorted(row.id for row in condition):
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


def _leaf_body(limit: VerifiedLimit) -> dict[str, object]:
    statement = limit.statement
    body: dict[str, object] = {"limit": statement.id, "sha256": statements.sha256_of(limit.which.content)}
    if isinstance(statement, LimitSet):
        body |= {"purpose": statement.purpose or "", "line": statement.line or "", "days": statement.days}
        body["covers_consents"] = statement.covers_consents
    return body | {"by": statement.by.id or statement.by.kind}


def _list(
    locked: LockedTenant, limit: VerifiedLimit, more: Mapping[str, object], now: datetime, entropy: Entropy
) -> bool:
    """Append a statement's leaf, with ``more`` in its body, unless it has one."""
    locked.check()
    which = limit.which
    row = RetentionLimitTable.get_by_id(which.id)
    if (row.lifted_leaf if which.lifted else row.leaf) is not None:
        return False
    leaf = append(locked.tenant, LIFTED if which.lifted else SET, {**_leaf_body(limit), **more}, now, entropy)
    change = {"lifted_leaf" if which.lifted else "leaf": leaf.number}
    RetentionLimitTable.update(**change).where(RetentionLimitTable.id == which.id).execute()
    return True


def limit_rows(tenant: str, trust: Trust) -> tuple[LimitRow, ...]:
    """A customer's limits that are or were in effect. Works inside the caller's transaction."""
    with connected():
        found = [_effective_limit(row, trust) for row in _rows(tenant)]
    return tuple(each for each in found if each is not None)


@prepared(RetentionLimitTable)
def _rows(tenant: str) -> Any:
    return (
        RetentionLimitTable.select()
        .where(RetentionLimitTable.tenant == tenant)
        .order_by(RetentionLimitTable.id)
    )


def check_logged(tenant: str) -> None:
    """Check that a customer's rows contain every statement that the log lists: a missing row would keep
    recordings available for longer, a missing lifting for a shorter time. Raises :class:`SealError`
    (``retention.differs``)."""
    leaves = leaf_lookup.find_decisions(tenant, [SET, LIFTED])
    if not leaves:
        return
    with connected():
        rows = {
            row.id: row for row in RetentionLimitTable.select().where(RetentionLimitTable.tenant == tenant)
        }
    for each in leaves:
        row, lifted = rows.get(str(each.body.get("limit"))), each.kind == LIFTED
        text = None if row is None else row.lifted if lifted else row.statement
        leaf = None if row is None else row.lifted_leaf if lifted else row.leaf
        if text is None or leaf is None or each.body.get("sha256") != statements.sha256_of(text.encode()):
            raise SealError(
                "retention.differs",
                f"the log lists a statement about limit {each.body.get('limit')} that no row has",
                "a row was changed or deleted: run `accord audit run`, then `accord rebuild`",
            )


def limits_of(tenant: str, trust: Trust) -> tuple[RetentionLimit, ...]:
    """A customer's limits that are or were in effect."""
    return tuple(each.limit for each in limit_rows(tenant, trust))


def limits_by_tenant(trust: Trust) -> dict[str, tuple[RetentionLimit, ...]]:
    """The limits of every customer that has any."""
    with connected():
        tenants = [row.tenant_id for row in RetentionLimitTable.select(RetentionLimitTable.tenant).distinct()]
    return {tenant: limits_of(tenant, trust) for tenant in tenants}


def in_force(tenant: str, trust: Trust) -> tuple[LimitRow, ...]:
    """A customer's limits that are not lifted."""
    return tuple(each for each in limit_rows(tenant, trust) if each.limit.until is None)


def version_of(tenant: str) -> Version:
    """The version of a customer's limits. Works inside the caller's transaction."""
    with connected():
        rows = RetentionLimitTable.select(
            RetentionLimitTable.id, RetentionLimitTable.leaf, RetentionLimitTable.lifted_leaf
        ).where((RetentionLimitTable.tenant == tenant) & RetentionLimitTable.leaf.is_null(False))
        return tuple(
            (row.id, row.leaf or 0, row.lifted_leaf) for row in rows.order_by(RetentionLimitTable.id)
        )


def next_unapplied(limit: int = 200) -> tuple[str, str, tuple[str, ...]] | None:
    """The ids of a limit that has not been applied to every recording, of its customer, and of the next of
    those recordings, in order; ``None`` if there is no such limit."""
    table = RetentionLimitTable
    with connected():
        open_ = table.applied_at.is_null() & table.leaf.is_null(False)
        query = table.select(table.id, table.tenant, table.applied_after).where(open_)
        row = query.order_by(table.id).first()
        if row is None:
            return None
        condition = (RecordingTable.tenant == row.tenant_id) & RecordingTable.erased_at.is_null()
        condition &= RecordingTable.id > (row.applied_after or "")
        found = RecordingTable.select(RecordingTable.id).where(condition).order_by(RecordingTable.id)
        return row.id, row.tenant_id, tuple(each.id for each in found.limit(limit))


def note_applied(limit_id: str, after: str | None, now: datetime) -> None:
    """Note that a limit has been applied to every recording up to ``after``; ``None``: to all."""
    change = {"applied_at": now} if after is None else {"applied_after": after}
    with writing():
        RetentionLimitTable.update(**change).where(RetentionLimitTable.id == limit_id).execute()


@lru_cache(4096)
def _opened_set(content: bytes, root: bytes) -> tuple[LimitSet, str]:
    """Cached, because the gate asks with every request; the result depends only on these bytes."""
    return statements.open_set(content, Ed25519PublicKey.from_public_bytes(root))


@lru_cache(4096)
def _opened_lifted(content: bytes, root: bytes) -> tuple[LimitLifted, str]:
    return statements.open_lifted(content, Ed25519PublicKey.from_public_bytes(root))


def _effective_limit(row: RetentionLimitTable, trust: Trust) -> LimitRow | None:
    """A row's limit; ``None`` if the row has no effect."""
    root, revoked = raw_public(trust.root), trust.revoked()
    try:
        content = row.statement.encode()
        statement, key = _opened_set(content, root)
        leaf = _leaf(row.tenant_id, row.leaf, SET, row.id, statements.sha256_of(content))
    except (SealError, ValueError, TypeError, AttributeError):  # the audit reports it
        return None
    matches = (statement.tenant, statement.id) == (row.tenant_id, row.id)
    if not matches or leaf is None or is_doubtful(key, statement.since, leaf.at, revoked):
        return None
    until = _lifted_at(row, content, root, trust)
    limit = RetentionLimit(
        statement.days, statement.purpose, statement.line, statement.since, until, statement.covers_consents
    )
    lifted = None if until is None or row.lifted is None else row.lifted.encode()
    return LimitRow(row.id, limit, row.applied_at, content, lifted, statement.by)


def _lifted_at(row: RetentionLimitTable, content: bytes, root: bytes, trust: Trust) -> datetime | None:
    """When a limit was lifted, if a valid statement and its leaf say so."""
    if row.lifted is None or row.lifted_leaf is None:
        return None
    try:
        lifted = row.lifted.encode()
        statement, key = _opened_lifted(lifted, root)
        leaf = _leaf(row.tenant_id, row.lifted_leaf, LIFTED, row.id, statements.sha256_of(lifted))
    except (SealError, ValueError, TypeError, AttributeError):
        return None
    matches = (statement.tenant, statement.id, statement.set_sha256) == (
        row.tenant_id,
        row.id,
        statements.sha256_of(content),
    )
    if not matches or leaf is None or is_doubtful(key, statement.at, leaf.at, trust.revoked()):
        return None
    return statement.at


@dataclass(frozen=True, slots=True)
class _Leaf:
    """``at``: when the statement was listed; ``None`` where a rebuild listed it."""

    at: datetime | None


def _leaf(tenant: str, number: int | None, kind: str, limit: str, sha256: str) -> _Leaf | None:
    """The leaf that lists a statement, if it is intact and does."""
    condition = (LeafTable.tenant == tenant) & (LeafTable.number == number)
    entry = None if number is None else LeafTable.get_or_none(condition)
    if entry is None or entry.body is None or entry.salt is None or entry.kind != kind:
        return None
    body, leaf = json.loads(entry.body), json.loads(entry.leaf)
    whole = (
        (body["limit"], body["sha256"]) == (limit, sha256)
        and leaf_hash(entry.leaf.encode()) == entry.leaf_hash
        and (leaf["tenant"], leaf["number"], leaf["kind"]) == (tenant, number, kind)
        and leaf["commitment"] == commitment(bytes(entry.salt), entry.body.encode())
    )
    return _Leaf(None if body.get("rebuilt") else entry.at) if whole else None
