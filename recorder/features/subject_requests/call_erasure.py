"""Erases a person's unrecorded calls (GDPR art. 17): number, times, and the body of the leaf.

No seal covers such a call: there is only a row and the body of its leaf. A take in quarantine that awaits a
decision may still become a recording, which a law may require to be kept: it stays, and is reported.

Before the rows are dropped, a signed note is put into the bucket (:mod:`recorder.seal.call_erasure`). A row
remembers each erased call and contains nothing about the person; it is an index to the note, and only the
note keeps a call from being listed again. A catalogue restored from an older copy drops the calls again by
that note, when an operator says so (:func:`erase_calls_again`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.append import append, drop_bodies, lock_tenant
from recorder.catalogue import subject_request_queries
from recorder.catalogue.database import writing
from recorder.catalogue.erased_call_queries import recorded_among
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.clock import truncate
from recorder.errors import RetentionError
from recorder.features.subject_requests import reviews, service
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.bucket_statements import read_statements
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.lifecycle.statements import CALLS_FORGOTTEN
from recorder.seal import call_erasure
from recorder.seal.call_erasure import AT_ONCE


@dataclass(frozen=True, slots=True)
class CallErasureResult:
    """How many calls were ``erased``, and how many ``remain`` until somebody decides about their audio."""

    erased: int
    remain: int


def erase_calls(changes: Changes, request: RequestRow, who: str) -> CallErasureResult:
    """Erase a person's unrecorded calls, as far as that is allowed. After an interruption, repeat it. Raises
    :class:`SealError` (the signing key is no longer endorsed), :class:`StoreError`, and
    :class:`recorder.errors.SubjectRequestError` if the request does not ask for it, or its number is not
    verified."""
    request = service.verified_request(request.tenant, request.id, wants=subject_request_queries.ERASES)
    found = reviews.find_unrecorded_calls(request.tenant, request.number)
    erasable = [row.id for row in found if not row.undecided]
    erased = 0
    for begin in range(0, len(erasable), AT_ONCE):
        some, now = erasable[begin : begin + AT_ONCE], truncate(changes.now())
        note = str(uuid7(now, changes.entropy))
        signed = (request.tenant, request.id, some, now, changes.signer, changes.root)
        call_erasure.put(changes.store, note, *signed)
        changes.boundary("note put")
        erased += drop_calls(
            request.tenant, request.id, some, note, who=who, now=now, entropy=changes.entropy
        )
        changes.boundary("calls forgotten")
    return CallErasureResult(erased, len(found) - len(erasable))


def drop_calls(
    tenant: str, request: str, calls: Sequence[str], note: str, *, who: str, now: datetime, entropy: Entropy
) -> int:
    """Drop some unrecorded calls of a customer at a person's request, by a signed ``note`` (its id), with one
    leaf; returns how many rows were dropped. ``who`` is empty after a restore. A take that was recovered
    meanwhile is a recording, and stays. Can be repeated. Raises :class:`recorder.errors.CatalogueError`
    (``tenant.unknown``)."""
    with writing():
        lock_tenant(tenant)
        recorded = recorded_among(calls)
        unrecorded = [each for each in dict.fromkeys(calls) if each not in recorded]
        rows = (NotRecordedTable.tenant == tenant) & NotRecordedTable.id.in_(unrecorded)
        count = int(NotRecordedTable.delete().where(rows).execute())
        leaves = sorted(number for each in unrecorded for number in drop_bodies(tenant, each))
        for each in unrecorded:
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
    return sum(
        drop_calls(
            tenant,
            each.note.request,
            each.calls,
            each.id,
            who="",
            now=changes.now(),
            entropy=changes.entropy,
        )
        for each in found.notes
    )
