"""Signs checkpoints of logs, and puts them into the bucket.

A checkpoint is written to the catalogue first, then put into the bucket under its number and never replaced.
So repeating the put recovers from a crash, and if two catalogues continue from one (a backup was restored),
only one of them can sign the next number. A log that does not continue the checkpoints in catalogue and
bucket is not signed; `accord audit run` then reports the reason.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from peewee import JOIN, IntegrityError, fn

from recorder.auditlog import signed_note
from recorder.auditlog.signed_note import Head
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable, RecipientTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso, truncate
from recorder.errors import AuditLogError
from recorder.isolation import isolate_object
from recorder.seal import canonical_json, signing
from recorder.seal.document_source import DocumentSource, read_document
from recorder.seal.keyring import key_part
from recorder.seal.signing import CHECKPOINT
from recorder.services import AuditLogServices
from recorder.store.contract import Conflict, Store

FOLDER = "checkpoints/"
ENDORSEMENTS = "checkpoints/endorsements/"

ENDORSEMENT_DIGITS: Final = (16, 32, 64)
"""Digits of an endorsement's hash in its name: the longer ones where an object of that name is damaged."""

INTERVAL_GROWN = timedelta(minutes=55)
"""Time between checkpoints of a log that grew: it is signed within the hour."""

INTERVAL_UNCHANGED = timedelta(hours=23)
"""Time between checkpoints of a log that did not grow: a daily one shows that it still runs."""

SEARCH: Final = "checkpoints"
"""The lease on the search for logs that are due: it reads every customer."""

SEARCH_INTERVAL: Final = timedelta(seconds=10)

log = structlog.get_logger()


def place_of(tenant: str, number: int) -> str:
    """A checkpoint's key in the bucket."""
    return f"{FOLDER}{key_part(tenant)}/{number:010}.note"


def newest(tenant: str) -> CheckpointTable | None:
    """A tenant's newest checkpoint in the catalogue."""
    with connected():
        mine = CheckpointTable.select().where(CheckpointTable.tenant_id == tenant)
        row: CheckpointTable | None = mine.order_by(CheckpointTable.number.desc()).first()
        return row


def highest_mailed(tenant: str) -> int:
    """The highest number of a tenant's mailed checkpoints; 0 if there is none."""
    with connected():
        mine = RecipientTable.tenant_id == tenant
        return int(RecipientTable.select(fn.MAX(RecipientTable.sent_number)).where(mine).scalar() or 0)


def sign_due(
    services: AuditLogServices,
    now: datetime,
    seconds: float = 45.0,
    elapsed: Callable[[], float] = time.monotonic,
) -> int:
    """Sign every log that is due, and put new checkpoints; stop after ``seconds``. Returns their number. A
    lease on each log lets only one of several workers sign it; one searches for them at a time. A log that
    cannot be signed is reported and delays no other; the first such error is raised at the end. Raises
    ``Unreachable`` at once."""
    with lease.turn(SEARCH, services.owner, now, SEARCH_INTERVAL) as searches:
        # In the turn, which a worker that cannot sign gives back: another one may be able to.
        return _sign_logs(_find_due(now) if searches else [], services, now, seconds, elapsed)


def _sign_logs(
    due_tenants: list[str],
    services: AuditLogServices,
    now: datetime,
    seconds: float,
    elapsed: Callable[[], float],
) -> int:
    put, errors, until = 0, [], elapsed() + seconds
    # Not where others are who began a moment ago.
    first = int.from_bytes(services.entropy(4)) % (len(due_tenants) or 1)
    for tenant in due_tenants[first:] + due_tenants[:first]:
        if elapsed() >= until:
            break
        claim = f"checkpoint:{tenant}"
        if not lease.take(claim, services.owner, now):
            continue
        try:
            with isolate_object(services.faults, "checkpoint.sign_failed", tenant, tenant=tenant) as attempt:
                put += publish(tenant, services, now)
                # Another worker may have signed it since the search.
                if _is_due(tenant, now) and sign(tenant, services, now) is not None:
                    put += publish(tenant, services, now)
        finally:
            lease.release(claim, services.owner)
        if attempt.error is not None:
            errors.append(attempt.error)
    if errors:
        raise errors[0]
    return put


def find_unsigned(before: datetime) -> list[str]:
    """Tenants whose log has unsigned leaves and was last signed (or, without a checkpoint, created) before a
    time."""
    last = CheckpointTable
    never = last.id.is_null() & (TenantTable.log_size > 0) & (TenantTable.created_at < before)
    with connected():
        query = with_newest(TenantTable.id).where(
            never | ((TenantTable.log_size > last.size) & (last.at < before))
        )
        return [tenant for (tenant,) in query.order_by(TenantTable.id).tuples()]


def sign(tenant: str, services: AuditLogServices, now: datetime) -> Head | None:
    """Sign the present state of a tenant's log into the catalogue; ``None`` if another worker was faster.

    Raises :class:`AuditLogError`: ``audit_log.behind`` (the bucket has checkpoints that the catalogue lacks),
    ``audit_log.truncated`` (later checkpoints, mailed or seen by this worker, are missing),
    ``audit_log.rewritten`` (the log does not continue the last checkpoint), ``audit_log.clock`` (that was
    signed later than now); ``SealError`` if the key is not endorsed for checkpoints;
    :class:`recorder.errors.CatalogueError`.
    """
    at = truncate(now)
    services.signer.endorsement.check(services.root, CHECKPOINT, at)
    last, epoch, stored = check_continuity(tenant, services, at)
    head = Head(
        installation=signing.key_id(services.root),
        tenant=tenant,
        epoch=epoch,
        size=stored.size,
        root=stored.root(),
        number=last.number + 1 if last else 1,
        at=at,
        key=services.signer.key_id,
        before=signed_note.fingerprint(last.note) if last else None,
    )
    try:
        insert(head, signed_note.sign(head, services.signer))
    except IntegrityError:
        return None
    return head


def check_continuity(
    tenant: str, services: AuditLogServices, at: datetime
) -> tuple[CheckpointTable | None, int, CachedTree]:
    """Check that a log continues the checkpoints in catalogue and bucket; returns the last checkpoint, the
    epoch, and the tree. Raises :class:`AuditLogError` as :func:`sign` does."""
    with connected():
        epoch = int(TenantTable.select(TenantTable.log_epoch).where(TenantTable.id == tenant).scalar())
    last = newest(tenant)
    _check_bucket(tenant, last, services.store)
    _check_seen(tenant, last, services)
    stored = CachedTree(tenant)
    _check_last(last, epoch, stored, at)
    return last, epoch, stored


def insert(head: Head, note: str, stored_at: datetime | None = None) -> None:
    """Write a checkpoint into the catalogue. Raises ``IntegrityError`` if its number is taken."""
    with writing():
        CheckpointTable.create(
            id=f"{head.tenant}/{head.number}",
            tenant_id=head.tenant,
            number=head.number,
            epoch=head.epoch,
            size=head.size,
            root=head.root.hex(),
            at=head.at,
            note=note,
            place=place_of(head.tenant, head.number),
            stored_at=stored_at,
        )


def publish(tenant: str, services: AuditLogServices, now: datetime) -> int:
    """Put the catalogue's new checkpoints into the bucket, in order, each after the endorsement of its key;
    returns their number. Raises :class:`recorder.store.contract.Conflict` if the bucket has another
    checkpoint with that number, and ``StoreError``."""
    with connected():
        unpublished = CheckpointTable.select().where(
            (CheckpointTable.tenant_id == tenant) & CheckpointTable.stored_at.is_null()
        )
        rows = list(unpublished.order_by(CheckpointTable.number))
    for row in rows:
        locked_until = row.at + services.checkpoint_lock
        _put_endorsement(services, locked_until)
        put(services.store, row.place, row.note.encode(), locked_until)
        with writing():
            mine = (CheckpointTable.id == row.id) & CheckpointTable.stored_at.is_null()
            CheckpointTable.update(stored_at=now).where(mine).execute()
        log.info("checkpoint.signed", tenant=tenant, number=row.number, size=row.size)
    return len(rows)


def put(store: Store, key: str, content: bytes, locked_until: datetime) -> None:
    """Put a small object, locked if the bucket locks. Raises ``StoreError``."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        store.put(key, Path(file.name), hashlib.sha256(content).hexdigest(), locked_until=locked_until)


def list_keys(store: Store, tenant: str, after: int = 0) -> Iterator[str]:
    """Keys of a tenant's checkpoints and timestamps after a given number, in order."""
    prefix = f"{FOLDER}{key_part(tenant)}/"
    yield from store.list(prefix, f"{prefix}{after:010}~" if after else "")


def _put_endorsement(services: AuditLogServices, locked_until: datetime) -> None:
    """Put the endorsement, which every customer's checkpoints share. Where its object is damaged, that is
    reported, the object stays as it is, and the endorsement is put beside it, under a longer part of its
    hash; if those are damaged too, the log is signed all the same."""
    content = canonical_json.dump(services.signer.endorsement.document())
    digest = hashlib.sha256(content).hexdigest()
    for digits in ENDORSEMENT_DIGITS:
        place = f"{ENDORSEMENTS}{services.signer.key_id}-{digest[:digits]}.json"
        damage = None
        try:
            put(services.store, place, content, locked_until)
        except Conflict:
            damage = AuditLogError(
                "endorsement.damaged",
                f"{place} is not what the root signed",
                "checkpoints go on with a copy beside it; put the object's older version back",
            )
        with isolate_object(services.faults, "endorsement.damaged", place, place=place):
            if damage is None:
                return
            raise damage


def with_newest(*columns: Any) -> Any:
    """A query for columns of the tenants, each with its newest checkpoint, if there is one."""
    Newest = CheckpointTable.alias()
    number = Newest.select(fn.MAX(Newest.number)).where(Newest.tenant_id == TenantTable.id)
    is_newest = (CheckpointTable.tenant_id == TenantTable.id) & (CheckpointTable.number == number)
    return TenantTable.select(*columns).join(CheckpointTable, JOIN.LEFT_OUTER, on=is_newest)


def _find_due(now: datetime) -> list[str]:
    """Tenants whose log is to be signed, or whose newest checkpoint is not in the bucket."""
    with connected():
        query = with_newest(TenantTable.id).where(_due(now) | CheckpointTable.stored_at.is_null())
        has_log = CheckpointTable.id.is_null(False) | (TenantTable.log_size > 0)
        return [tenant for (tenant,) in query.where(has_log).order_by(TenantTable.id).tuples()]


def _is_due(tenant: str, now: datetime) -> bool:
    with connected():
        return bool(with_newest(TenantTable.id).where((TenantTable.id == tenant) & _due(now)).exists())


def _due(now: datetime) -> Any:
    """The condition that a log is to be signed."""
    last = CheckpointTable
    has_new_leaves = (TenantTable.log_size != last.size) & (last.at <= now - INTERVAL_GROWN)
    never = last.id.is_null() & (TenantTable.log_size > 0)
    return never | has_new_leaves | (last.at <= now - INTERVAL_UNCHANGED)


def _check_last(last: CheckpointTable | None, epoch: int, stored: CachedTree, at: datetime) -> None:
    if last is None:
        return
    if at <= last.at:
        raise AuditLogError(
            "audit_log.clock",
            f"checkpoint {last.number} was signed at {to_iso(last.at)}, and it is now {to_iso(at)}",
            "correct the clock, or wait: if it was ahead, signing resumes after that time",
        )
    if last.epoch != epoch:
        return
    if stored.size < last.size or CachedTree(stored.tenant, last.size).root().hex() != last.root:
        raise AuditLogError(
            "audit_log.rewritten",
            f"the log does not continue checkpoint {last.number} of {last.size} leaves: it is not signed",
            "run `accord audit run` to list the changes; after a restore, run `accord audit reopen`",
        )


def _check_bucket(tenant: str, last: CheckpointTable | None, store: Store) -> None:
    known = last.number if last else 0
    further = next((key for key in list_keys(store, tenant, known) if key.endswith(".note")), None)
    if further is not None:
        raise AuditLogError(
            "audit_log.behind",
            f"the bucket has {further}, but the catalogue ends with checkpoint {known}: nothing is signed",
            "an old backup of the catalogue was restored: run `accord audit run` to see how much is missing, "
            "then `accord audit reopen`, which continues the log from here and records that",
        )


def _check_seen(tenant: str, last: CheckpointTable | None, services: AuditLogServices) -> None:
    known = last.number if last else 0
    further = max(services.checkpoints_seen.get(tenant, 0), highest_mailed(tenant))
    if further > known:
        raise AuditLogError(
            "audit_log.truncated",
            f"there was a checkpoint {further}, but catalogue and bucket end with {known}: nothing is signed",
            "checkpoints were removed: compare with mailed ones (`accord audit run --checkpoint`), continue "
            "the log from here with `accord audit reopen`, which records that, and restart the worker",
        )
    services.checkpoints_seen[tenant] = known


def read_at(store: DocumentSource, key: str) -> bytes:
    """A note in the bucket. Raises :class:`recorder.store.contract.NotFound`, ``StoreError``."""
    return read_document(store, key, signed_note.MAX_BYTES)
