"""The worker's rows for recordings: one when everything is in the bucket, a tombstone when it is erased.

Every function can be repeated: after a crash, a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from recorder.auditlog.append import append, lock_tenant, tenant_lock
from recorder.auditlog.leaf_erasure import drop_bodies
from recorder.catalogue.database import connected, writing
from recorder.catalogue.erased_call_queries import find_note
from recorder.catalogue.mappers import recording_columns, recording_row
from recorder.catalogue.offboarding_progress import is_being_erased
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.row_values import columns_of
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.dispute import DisputeTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.notification import NotificationTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy
from recorder.lifecycle.erased_recording import ErasedRecording
from recorder.lifecycle.limits import Version, version_of
from recorder.seal.amendment_kinds import HOLD_SET


def add_recording(
    row: RecordingRow,
    *,
    now: datetime,
    entropy: Entropy,
    limits: Version = (),
    despite: Collection[str] = (),
) -> bool:
    """Add the row of a stored recording, and its leaf, in one transaction; false if it exists. A take that
    was set aside and recovered is no longer listed as not recorded, for this customer or for nobody: the id
    suffices for that, because the new row takes the place of the old one, and the log has leaves about both.
    ``limits`` is the version of the customer's limits that the row was made with (:func:`limits.version_of`).
    ``despite`` names those of the last two errors below that only rows support, without a signed statement
    (:mod:`recorder.lifecycle.statements`).

    Raises :class:`CatalogueError`: ``tenant.unknown``, ``recording.conflict`` if another manifest is
    catalogued under this id, ``retention.changed`` if the customer's limits have changed meanwhile,
    ``tenant.offboarded`` if the customer has left, ``call.erased`` if the call was erased at its person's
    request."""
    with tenant_lock(row.tenant):
        old = RecordingTable.get_or_none(RecordingTable.id == row.id)
        if old is not None:
            if (old.tenant_id, old.manifest_sha256) != (row.tenant, row.manifest_sha256):
                raise CatalogueError(
                    "recording.conflict",
                    f"another manifest is catalogued for recording {row.id}",
                    "the take stays in the spool: compare both with `accord recording verify`",
                )
            return False
        if "tenant.offboarded" not in despite and is_being_erased(row.tenant):
            raise CatalogueError(
                "tenant.offboarded",
                f"customer {row.tenant} has left",
                "nothing needs to be done: its recordings are deleted",
            )
        if "call.erased" not in despite and find_note(row.id) is not None:
            raise CatalogueError(
                "call.erased",
                f"call {row.id} was erased at its person's request",
                "nothing needs to be done: the take is deleted",
            )
        if limits != version_of(row.tenant):
            raise CatalogueError(
                "retention.changed", "the retention limits were changed meanwhile", "the worker tries again"
            )
        RecordingTable.create(**recording_columns(row))
        unrecorded = NotRecordedTable.tenant.is_null() | (NotRecordedTable.tenant == row.tenant)
        NotRecordedTable.delete().where(unrecorded & (NotRecordedTable.id == row.id)).execute()
        body = {"recording": row.id, "manifest_sha256": row.manifest_sha256, "announced": row.announced}
        if row.import_sha256 is not None:
            body["import_sha256"] = row.import_sha256
        append(row.tenant, "recording.stored", body, now, entropy, recording=row.id)
    return True


def add_not_recorded(
    row: NotRecordedRow, *, now: datetime, entropy: Entropy, despite: Collection[str] = ()
) -> bool:
    """Add the row of an unrecorded call and, if it has a tenant, its leaf; false if it exists. ``despite`` is
    as for :func:`add_recording`. Raises :class:`CatalogueError` (``tenant.unknown``, ``call.erased``)."""
    with writing():
        if row.tenant is not None:
            lock_tenant(row.tenant)
            if "call.erased" not in despite and find_note(row.id) is not None:
                raise CatalogueError(
                    "call.erased",
                    f"call {row.id} was erased at its person's request",
                    "nothing needs to be done: the call is not listed",
                )
        if NotRecordedTable.select().where(NotRecordedTable.id == row.id).exists():
            return False
        NotRecordedTable.create(**columns_of(row, NotRecordedTable), listed_at=now)
        if row.tenant is not None:
            until = row.quarantined_until
            body: dict[str, object] = {
                "recording": row.id,
                "reason": row.reason,
                "number": row.number,
                "line": row.line,
                "direction": row.direction,
                "node": row.node,
                "external_kind": row.external_party.kind,
                "external_value": row.external_party.value,
                "started_at": to_iso(row.started_at),
                "ended_at": to_iso(row.ended_at),
                "quarantined_until": None if until is None else to_iso(until),
            }
            append(row.tenant, "call.not_recorded", body, now, entropy, recording=row.id)
    return True


def note_quarantine_erasure(recording: str, now: datetime, entropy: Entropy) -> None:
    """Append the leaf about a take in quarantine that is about to be erased, if its row names a customer."""
    with connected():
        row = NotRecordedTable.get_or_none(NotRecordedTable.id == recording)
    if row is not None and row.tenant_id is not None:
        with writing():
            body = {"recording": recording, "reason": row.reason}
            append(row.tenant_id, "quarantine.erased", body, now, entropy, recording=recording)


def imported_recording(tenant: str, sha256: str) -> RecordingRow | None:
    """The recording that was made of an imported file (its SHA-256, hex), a tombstone included."""
    with connected():
        condition = (RecordingTable.tenant == tenant) & (RecordingTable.import_sha256 == sha256)
        row = RecordingTable.select().where(condition).first()
    return None if row is None else recording_row(row)


def due(now: datetime) -> tuple[tuple[str, str], ...]:
    """The customers and ids of recordings that have expired, are not on hold and not erased yet, longest
    expired first."""
    with connected():
        query = RecordingTable.select(RecordingTable.tenant, RecordingTable.id).where(_over(now))
        query = query.order_by(RecordingTable.keep_until, RecordingTable.id)
        return tuple((row.tenant_id, row.id) for row in query)


def is_due(row: RecordingRow, now: datetime) -> bool:
    """Whether a recording from :func:`due` is still due: another worker may have erased it."""
    with connected():
        return bool(RecordingTable.select().where(_over(now) & (RecordingTable.id == row.id)).exists())


def _over(now: datetime) -> Any:
    holds = (AmendmentTable.kind == HOLD_SET) & AmendmentTable.ended_by.is_null()
    on_hold = AmendmentTable.select(AmendmentTable.recording).where(holds)
    return (
        (RecordingTable.keep_until <= now)
        & RecordingTable.erased_at.is_null()
        & RecordingTable.id.not_in(on_hold)
    )


def make_tombstone(erased: ErasedRecording, *, now: datetime, entropy: Entropy) -> bool:
    """Inside the transaction of an erasure, turn the recording's row into a tombstone: start, end, and the
    tombstone's reason and time remain; parties, grants, notes, notifications and the bodies of its leaves are
    dropped. False if it is a tombstone already."""
    erased.locked.check()
    tenant, recording = erased.locked.tenant, erased.recording
    condition = (RecordingTable.tenant == tenant) & (RecordingTable.id == recording)
    changed = (
        RecordingTable.update(
            external_kind=None,
            external_value=None,
            internal_kind=None,
            internal_value=None,
            colleagues=None,
            wrapped_key=None,
            erased_at=erased.at,
            erasure_reason=erased.reason,
        )
        .where(condition & RecordingTable.erased_at.is_null())
        .execute()
    )
    if not changed:
        return False
    GrantTable.update(ended_at=now).where(
        (GrantTable.recording == recording) & GrantTable.ended_at.is_null()
    ).execute()
    NoteTable.delete().where(NoteTable.recording == recording).execute()
    NotificationTable.delete().where(NotificationTable.recording_id == recording).execute()
    OwnCallTable.delete().where(OwnCallTable.id == recording).execute()
    VerificationCallTable.delete().where(VerificationCallTable.recording_id == recording).execute()
    # The copies of a dispute's statements went with the recording's key.
    DisputeTable.update(copied_beside=None).where(DisputeTable.copied_beside == recording).execute()
    body = {"recording": recording, "reason": erased.reason, "leaves": drop_bodies(erased)}
    append(tenant, "recording.erased", body, now, entropy)
    return True
