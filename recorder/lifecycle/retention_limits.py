"""Setting and lifting retention limits, each as a signed statement.

A statement is written into the catalogue, put into the bucket, and gets its leaf, which it counts from on;
whoever dies in between has it finished by the worker (:func:`finish`).  Whoever destroys because of a limit
looks whether the bucket has the same statements (:func:`check_stored`): a row that lost its lifting
destroys nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from recorder.clock import truncate
from recorder.errors import CatalogueError, SealError
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import hold_review, limits
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.limits import PendingLimit
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.document_source import read_document
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust
from recorder.spool.atomic_files import in_memory
from recorder.store.contract import Conflict, NotFound, Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wish:
    """Keep recordings at most ``keep_days`` from now on, for a purpose, of a line (``None``: any);
    ``None``: as announced again, for what is recorded from now on. ``covers_consents``: also what was agreed
    to be kept longer."""

    purpose: str | None
    line: str | None
    keep_days: int | None
    covers_consents: bool = False


def set_limit(changes: Changes, tenant: str, wish: Wish, by: By) -> None:
    """Sign a limit and put it in force; it takes the place of the one for the same purpose and line.

    Raises :class:`CatalogueError` as :func:`recorder.lifecycle.limits.check` does; :class:`KeepingError`
    (``retention.no_limit``: somebody changed it meanwhile); :class:`SealError` for a key that may not sign
    this; :class:`StoreError`: then the worker finishes it."""
    limits.check(tenant, wish.purpose, wish.line, wish.keep_days)
    now = truncate(changes.now())
    finish(changes.store, changes.trust, now, changes.entropy, tenant)
    version = limits.version_of(tenant)
    lifting = {
        each.id: statements.write(
            LimitLifted(tenant, each.id, statements.sha256_of(each.content), now, by), changes.signer
        )
        for each in limits.in_force(tenant, changes.trust)
        if (each.limit.purpose, each.limit.line) == (wish.purpose, wish.line)
    }
    new, content = None, None
    if wish.keep_days is not None:
        new = str(uuid7(now, changes.entropy))
        said = LimitSet(tenant, new, wish.purpose, wish.line, wish.keep_days, now, wish.covers_consents, by)
        content = statements.write(said, changes.signer)
    limits.begin(tenant, new, content, lifting, version)
    changes.boundary("limit begun")
    finish(changes.store, changes.trust, now, changes.entropy, tenant)


def finish(store: Store, trust: Trust, now: datetime, entropy: Entropy, tenant: str | None = None) -> int:
    """Put statements that the catalogue has and the log does not speak of yet, and give each its leaf; how
    many. One that cannot be believed, or whose place has another, is logged and counts for nothing.  Raises
    :class:`StoreError`."""
    done = 0
    for each in limits.pending(tenant):
        try:
            place = statements.place_of(each.tenant, each.id, lifted=each.lifted)
            limits.check_statement(each, trust, now)
            with in_memory(each.content) as path:
                store.put(place, path, statements.sha256_of(each.content))
            limits.listed(each, trust, now, entropy)
        except (SealError, Conflict) as error:
            log.error("retention_limit.refused", tenant=each.tenant, limit=each.id, error_id=error.error_id,
                      error=error.message, hint="`accord audit` names it")  # fmt: skip
            continue
        log.info("retention_limit.listed", tenant=each.tenant, limit=each.id, lifted=each.lifted)
        done += 1
    return done


def check_stored(tenant: str, store: Store, trust: Trust) -> None:
    """Compare a customer's limits with the bucket, before something is destroyed because of them.  Raises
    :class:`SealError` (``retention.differs``) where a statement is not there, or is another, or where the
    bucket says that a limit is lifted and the catalogue does not; :class:`StoreError`."""
    for each in limits.of_tenant(tenant, trust):
        for lifted, content in ((False, each.content), (True, each.lifted)):
            place = statements.place_of(tenant, each.id, lifted=lifted)
            try:
                there = read_document(store, place, statements.MAX_BYTES)
            except NotFound:
                there = None
            if there != content:
                raise SealError(
                    "retention.differs",
                    f"{place} is not what the catalogue says: nothing is destroyed because of this limit",
                    "`accord audit` says more; a row or an object was changed, or taken away",
                )


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """What a rebuild found: how many statements it took in, and of each that it left out the place, a code,
    and why."""

    taken: int = 0
    left_out: tuple[tuple[str, str, str], ...] = ()


def bring_back(
    store: Store, trust: Trust, now: datetime, entropy: Entropy, *, believe_dates: bool = False
) -> BroughtBack:
    """Take in the statements that the bucket has and the catalogue does not, after a restore or
    rebuild.  What a revoked key dated before its revocation is taken in only with
    ``believe_dates``.  Raises :class:`StoreError`."""
    taken, wrong = 0, []
    for key in sorted(store.list(statements.FOLDER), key=lambda key: (key.endswith("-lifted.json"), key)):
        try:
            taken += _bring_back(key, store, trust, now, entropy, believe_dates)
        except (SealError, CatalogueError) as error:
            wrong.append((key, error.error_id, error.message))
    return BroughtBack(taken, tuple(wrong))


def _bring_back(
    key: str, store: Store, trust: Trust, now: datetime, entropy: Entropy, believe_dates: bool
) -> bool:
    named = statements.parse_place(key)
    if named is None:
        raise SealError("object.unplaced", "nothing of Accord's lies here")
    tenant, limit, lifted = named
    found = PendingLimit(limit, tenant, read_document(store, key, statements.MAX_BYTES), lifted)
    if not limits.is_known(found):
        limits.check_statement(found, trust, None if believe_dates else now)
        hold_review.begin("retention limit", now, entropy)  # nobody has looked at it yet
    return limits.take_in(found, trust, now, entropy)
