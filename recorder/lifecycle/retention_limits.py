"""Sets and lifts retention limits, each by a signed statement.

A statement is written to the catalogue, put into the bucket, and takes effect with its leaf. If the process
dies in between, the worker finishes it (:func:`finish_pending`). Before a limit erases anything, the
statements in the bucket are compared with the rows (:func:`check_stored`): a row that lost its lifting erases
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from recorder.clock import truncate
from recorder.errors import CatalogueError, SealError
from recorder.fault_log import FaultLog
from recorder.ids import Entropy, uuid7
from recorder.isolation import isolate_object
from recorder.lifecycle import hold_review, limits
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.limits import PendingLimit
from recorder.seal import hints
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.document_source import read_document
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust
from recorder.spool.atomic_files import memory_file
from recorder.store.contract import NotFound, Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewLimit:
    """Keep recordings for at most ``keep_days`` from now on, for a purpose, of a line (``None``: any). With
    ``keep_days`` ``None``: as announced, for future recordings. ``covers_consents``: also shorten what was
    agreed to be kept longer."""

    purpose: str | None
    line: str | None
    keep_days: int | None
    covers_consents: bool = False


def set_limit(changes: Changes, tenant: str, limit: NewLimit, by: By) -> None:
    """Sign a limit and put it into effect; it replaces the one for the same purpose and line.

    Raises :class:`CatalogueError` as :func:`recorder.lifecycle.limits.check_limit`; :class:`RetentionError`
    (``retention.no_limit``: another process has changed it meanwhile); :class:`SealError` for a key that may
    not sign limits; :class:`StoreError`: the worker then finishes it."""
    limits.check_limit(tenant, limit.purpose, limit.line, limit.keep_days)
    now = truncate(changes.now())
    finish_pending(changes.store, changes.trust, now, changes.entropy, tenant)
    version = limits.version_of(tenant)
    lifts = {
        each.id: statements.write(
            LimitLifted(tenant, each.id, statements.sha256_of(each.content), now, by), changes.signer
        )
        for each in limits.in_force(tenant, changes.trust)
        if (each.limit.purpose, each.limit.line) == (limit.purpose, limit.line)
    }
    new, content = None, None
    if limit.keep_days is not None:
        new = str(uuid7(now, changes.entropy))
        statement = LimitSet(
            tenant, new, limit.purpose, limit.line, limit.keep_days, now, limit.covers_consents, by
        )
        content = statements.write(statement, changes.signer)
    limits.begin_statements(tenant, new, content, lifts, version)
    changes.boundary("limit begun")
    finish_pending(changes.store, changes.trust, now, changes.entropy, tenant)


def finish_pending(
    store: Store,
    trust: Trust,
    now: datetime,
    entropy: Entropy,
    tenant: str | None = None,
    faults: FaultLog | None = None,
) -> int:
    """Put pending statements into the bucket and append their leaves; returns how many. An invalid statement,
    or one whose place in the bucket is taken, is reported to ``faults`` and has no effect. Raises
    :class:`recorder.store.contract.Unreachable`."""
    count, faults = 0, faults or FaultLog()
    for each in limits.pending(tenant):
        with isolate_object(
            faults, "retention_limit.refused", each.id, tenant=each.tenant, limit=each.id,
            hint="run `accord audit run`",
        ):  # fmt: skip
            place = statements.place_of(each.tenant, each.id, lifted=each.lifted)
            limit = limits.check_statement(each, trust, now)
            with memory_file(each.content) as path:
                store.put(place, path, statements.sha256_of(each.content))
            limits.add_leaf(limit, now, entropy)
            log.info("retention_limit.listed", tenant=each.tenant, limit=each.id, lifted=each.lifted)
            count += 1
    return count


def check_stored(tenant: str, store: Store, trust: Trust) -> None:
    """Compare a customer's limits with the bucket before they erase anything. Raises :class:`SealError`
    (``retention.differs``) if a statement is missing or different, or if only the bucket says that a limit is
    lifted; :class:`StoreError`."""
    for each in limits.limit_rows(tenant, trust):
        for lifted, content in ((False, each.content), (True, each.lifted)):
            place = statements.place_of(tenant, each.id, lifted=lifted)
            try:
                stored = read_document(store, place, statements.MAX_BYTES)
            except NotFound:
                stored = None
            if stored != content:
                raise SealError(
                    "retention.differs",
                    f"{place} differs from the catalogue: this limit erases nothing",
                    "a row or an object was changed or deleted: run `accord audit run`",
                )


@dataclass(frozen=True, slots=True)
class LimitRecovery:
    """The result of a rebuild: how many statements were added, and place, code and reason of each that was
    not."""

    count: int = 0
    left_out: tuple[tuple[str, str, str], ...] = ()


def restore_limits(
    store: Store, trust: Trust, now: datetime, entropy: Entropy, *, believe_dates: bool = False
) -> LimitRecovery:
    """Add the statements that the bucket has and the catalogue lacks, after a restore or rebuild. Statements
    that a revoked key dated before its revocation are added only with ``believe_dates``. Raises
    :class:`StoreError`."""
    count, wrong = 0, []
    for key in sorted(store.list(statements.FOLDER), key=lambda key: (key.endswith("-lifted.json"), key)):
        try:
            count += _bring_back(key, store, trust, now, entropy, believe_dates)
        except (SealError, CatalogueError) as error:
            wrong.append((key, error.error_id, error.message))
    return LimitRecovery(count, tuple(wrong))


def _bring_back(
    key: str, store: Store, trust: Trust, now: datetime, entropy: Entropy, believe_dates: bool
) -> bool:
    parts = statements.parse_place(key)
    if parts is None:
        raise SealError("object.unplaced", "Accord has no object with that name", hints.FOREIGN_OBJECT)
    tenant, limit, lifted = parts
    found = PendingLimit(limit, tenant, read_document(store, key, statements.MAX_BYTES), lifted)
    is_listed = limits.is_listed(found)
    statement = limits.check_statement(found, trust, None if believe_dates or is_listed else now)
    if not is_listed:
        hold_review.suspend_expiry("retention limit", now, entropy)
    return limits.restore_statement(statement, now, entropy)
