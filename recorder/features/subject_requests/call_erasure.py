"""Erases a person's unrecorded calls (GDPR art. 17): number, times, and the body of the leaf.

No seal covers such a call: there is only a row and the body of its leaf. A take in quarantine that awaits a
decision may still become a recording, which a law may require to be kept: it stays, and is reported.

Before the rows are dropped, a signed note is put into the bucket (:mod:`recorder.seal.call_erasure`). A row
remembers each erased call and contains nothing about the person; it is an index to the note, and only the
note keeps a call from being listed again. A catalogue restored from an older copy drops the calls again by
that note, when an operator says so (:func:`erase_calls_again`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.append import append, lock_tenant
from recorder.auditlog.complete_log import CompleteLog, SignedLength, complete_log, signed_length
from recorder.auditlog.leaf_erasure import CallErasure, drop_bodies
from recorder.catalogue.database import writing
from recorder.catalogue.erased_call_queries import recorded_among
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.clock import truncate
from recorder.errors import RetentionError, SealError
from recorder.features.subject_requests import queries, reviews
from recorder.features.subject_requests.service import ErasureRequest
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.bucket_statements import read_statements
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.lifecycle.statements import CALLS_FORGOTTEN
from recorder.seal import call_erasure, hints
from recorder.seal.call_erasure import AT_ONCE, ErasedCallsRecord


@dataclass(frozen=True, slots=True)
class CallErasureResult:
    """How many calls were ``erased``, and how many ``remain`` until somebody decides about their audio."""

    erased: int
    remain: int


def erase_calls(changes: Changes, request: ErasureRequest, who: str) -> CallErasureResult:
    """Erase a person's unrecorded calls, as far as that is allowed. After an interruption, repeat it. Raises
    :class:`SealError` (the signing key is no longer endorsed), :class:`StoreError`,
    :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``), and
    :class:`recorder.errors.SubjectRequestError` if the request was closed meanwhile."""
    found = reviews.unrecorded_calls_of(request.row)
    recorded = recorded_among([row.id for row in found])
    erasable = [row.id for row in found if not row.undecided and row.id not in recorded]
    erased, length = 0, signed_length(request.tenant, changes.store, changes.root)
    with writing():
        complete_log(lock_tenant(request.tenant), length)  # before a note is signed
        queries.find_verified_row(request.tenant, request.id)
    for begin in range(0, len(erasable), AT_ONCE):
        some, now = erasable[begin : begin + AT_ONCE], truncate(changes.now())
        note = str(uuid7(now, changes.entropy))
        signed = (request.tenant, request.id, some, now, changes.signer, changes.root)
        record = call_erasure.put(changes.store, note, *signed)
        changes.boundary("note put")
        erased += drop_calls(note, record, length, who=who, now=now, entropy=changes.entropy)
        changes.boundary("calls forgotten")
    return CallErasureResult(erased, len(found) - len(erasable))


@dataclass(frozen=True, slots=True)
class RequestedCallErasure(CallErasure):
    """Calls of a customer's that a signed note says were erased at their person's request, and that are no
    recordings by their complete log, while the customer is locked."""


def requested_erasure(log: CompleteLog, record: ErasedCallsRecord) -> RequestedCallErasure:
    """What a verified note erases of the customer with that log: a take that was recovered meanwhile is a
    recording, and stays. Raises :class:`SealError` (``call_erasure.foreign``)."""
    locked = log.locked
    if record.tenant != locked.tenant:
        raise SealError("call_erasure.foreign", f"it is the note of customer {record.tenant}", hints.OBJECT)
    recorded = recorded_among(record.calls)
    return RequestedCallErasure(locked, tuple(each for each in record.calls if each not in recorded))


def drop_calls(
    note: str, record: ErasedCallsRecord, length: SignedLength, *, who: str, now: datetime, entropy: Entropy
) -> int:
    """Drop unrecorded calls of a customer at a person's request, by a signed note (its id and its content),
    with one leaf; returns how many rows were dropped. ``length`` is what the log is compared with, ``who`` is
    empty after a restore. Can be repeated. Raises :class:`recorder.errors.CatalogueError`
    (``tenant.unknown``), :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``)."""
    tenant, request = record.tenant, record.request
    with writing():
        erasure = requested_erasure(complete_log(lock_tenant(tenant), length), record)
        rows = (NotRecordedTable.tenant == tenant) & NotRecordedTable.id.in_(erasure.objects)
        count = int(NotRecordedTable.delete().where(rows).execute())
        leaves = drop_bodies(erasure)
        for each in erasure.objects:
            columns = {"tenant_id": tenant, "request_id": request, "erased_at": now, "note": note}
            ErasedCallTable.insert(id=each, **columns).on_conflict(
                conflict_target=[ErasedCallTable.id], update=columns
            ).execute()
        if count or leaves:
            body: dict[str, object] = {"calls": count, "leaves": leaves, "request": request, "actor": who}
            body["note"] = note
            append(tenant, CALLS_FORGOTTEN, body, now, entropy)
    return count


def erase_calls_again(changes: Changes, tenant: str, *, believe_dates: bool = False) -> int:
    """After a restore or rebuild, drop again the calls of a customer that signed notes say were erased;
    returns how many. Raises :class:`RetentionError` (``retention.holds_pending``),
    :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``),
    :class:`recorder.errors.StoreError`."""
    if holds_unconfirmed() is not None:
        raise RetentionError(
            "retention.holds_pending",
            "the legal holds are not confirmed after a restore or rebuild: nothing is erased",
            "review them, then run `accord rebuild --confirm-holds`",
        )
    found = read_statements(
        changes.store, changes.root, changes.revoked(), believe_dates=believe_dates, tenant=tenant
    )
    length = signed_length(tenant, changes.store, changes.root)
    return sum(
        drop_calls(each.id, each.note, length, who="", now=changes.now(), entropy=changes.entropy)
        for each in found.notes
    )
