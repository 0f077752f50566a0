"""Drops unrecorded calls that their person asked to have erased: number, times, and the body of the leaf.

A row remembers each erased call and contains nothing about the person.  It is an index to the signed note in
the bucket, and only that note keeps a call from being listed again (:mod:`recorder.seal.call_erasure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recorder.auditlog.append import append, drop_bodies, lock_tenant
from recorder.catalogue.database import writing
from recorder.catalogue.erased_call_queries import recorded_among
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.errors import KeepingError
from recorder.ids import Entropy
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.bucket_statements import look
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.lifecycle.statements import CALLS_FORGOTTEN


def forget_calls(
    tenant: str, request: str, calls: Sequence[str], note: str, *, who: str, now: datetime, entropy: Entropy
) -> int:
    """Forget some calls of a customer's that were not recorded, at a person's request, as a signed ``note``
    (its id) says, with one leaf; how many rows went.  ``who`` may be empty: it is done again, after a
    restore.  A take that was brought back meanwhile is a recording, and is left alone.  Can be repeated.
    Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``)."""
    with writing():
        lock_tenant(tenant)
        recorded = recorded_among(calls)
        mine = [each for each in dict.fromkeys(calls) if each not in recorded]
        rows = (NotRecordedTable.tenant == tenant) & NotRecordedTable.id.in_(mine)
        gone = int(NotRecordedTable.delete().where(rows).execute())
        leaves = sorted(number for each in mine for number in drop_bodies(tenant, each))
        for each in mine:
            columns = {"tenant_id": tenant, "request_id": request, "erased_at": now, "note": note}
            ErasedCallTable.insert(id=each, **columns).on_conflict(
                conflict_target=[ErasedCallTable.id], update=columns
            ).execute()
        if gone or leaves:
            said: dict[str, object] = {"calls": gone, "leaves": leaves, "request": request, "actor": who}
            said["note"] = note
            append(tenant, CALLS_FORGOTTEN, said, now, entropy)
    return gone


def erase_calls_again(changes: Changes, tenant: str, *, believe_dates: bool = False) -> int:
    """Forget again, after a restore or rebuild, calls of a customer that signed notes say were erased; how
    many. Raises :class:`KeepingError` (``retention.holds_pending``),
    :class:`recorder.errors.StoreError`."""
    if holds_unconfirmed() is not None:
        raise KeepingError(
            "retention.holds_pending",
            "after a restore or rebuild the holds are not confirmed: nothing is erased",
            "look at them, then `accord rebuild --confirm-holds`",
        )
    found = look(changes.store, changes.root, changes.revoked(), believe_dates=believe_dates, tenant=tenant)
    return sum(
        forget_calls(
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
