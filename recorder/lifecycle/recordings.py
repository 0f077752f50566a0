"""The worker's rows for recordings: one when everything is in the bucket, a tombstone when it is gone.

Every function can be repeated: after a crash, doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from recorder.auditlog.append import append, drop_bodies, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.departures import being_erased
from recorder.catalogue.erased_call_queries import note_of
from recorder.catalogue.mappers import recording_columns, recording_row
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy
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
    """The row of a stored recording and its leaf, in one transaction; false where it was there.  A take that
    had been set aside, and that a person brought back, is not listed as not recorded any more.  ``limits``
    say which of the customer's the row was made with (:func:`limits.version_of`).  ``despite`` are ids of the
    last two errors below: rows say so, and nothing signed does (:mod:`recorder.lifecycle.statements`).

    Raises :class:`CatalogueError`: ``tenant.unknown``, ``recording.conflict`` where another manifest is
    catalogued under this id, ``retention.changed`` where the customer has set others meanwhile,
    ``tenant.offboarded`` where it has left, ``call.erased`` where its person had it forgotten.
    """
    with writing():
        lock_tenant(row.tenant)
        there = RecordingTable.get_or_none(RecordingTable.id == row.id)
        if there is not None:
            if (there.tenant_id, there.manifest_sha256) != (row.tenant, row.manifest_sha256):
                raise CatalogueError(
                    "recording.conflict",
                    f"another manifest is catalogued for recording {row.id}",
                    "the take stays in the spool: compare both with `accord verify`",
                )
            return False
        if "tenant.offboarded" not in despite and being_erased(row.tenant):
            raise CatalogueError(
                "tenant.offboarded", f"customer {row.tenant} has left", "nothing of it is kept"
            )
        if "call.erased" not in despite and note_of(row.id) is not None:
            raise CatalogueError("call.erased", f"call {row.id} was forgotten", "nothing of it is kept")
        if limits != version_of(row.tenant):
            raise CatalogueError(
                "retention.changed", "how long is kept was changed meanwhile", "it is tried again"
            )
        RecordingTable.create(**recording_columns(row))
        NotRecordedTable.delete().where(NotRecordedTable.id == row.id).execute()
        said = {"recording": row.id, "manifest_sha256": row.manifest_sha256, "announced": row.announced}
        if row.import_sha256 is not None:
            said["import_sha256"] = row.import_sha256
        append(row.tenant, "recording.stored", said, now, entropy, recording=row.id)
    return True


def add_not_recorded(
    row: NotRecordedRow, *, now: datetime, entropy: Entropy, despite: Collection[str] = ()
) -> bool:
    """The row of a call that was not recorded and, where it has a tenant, its leaf; false where it was
    there.  ``despite`` is as of :func:`add_recording`.  Raises :class:`CatalogueError` (``tenant.unknown``,
    ``call.erased``)."""
    with writing():
        if row.tenant is not None:
            lock_tenant(row.tenant)
            if "call.erased" not in despite and note_of(row.id) is not None:
                raise CatalogueError("call.erased", f"call {row.id} was forgotten", "it is not listed")
        if NotRecordedTable.select().where(NotRecordedTable.id == row.id).exists():
            return False
        NotRecordedTable.create(
            id=row.id,
            tenant=row.tenant,
            line_id=row.line,
            number=row.number,
            direction=row.direction,
            node=row.node,
            external_kind=row.external_party.kind,
            external_value=row.external_party.value,
            started_at=row.started_at,
            ended_at=row.ended_at,
            reason=row.reason,
            quarantined_until=row.quarantined_until,
            listed_at=now,
        )
        if row.tenant is not None:
            until = row.quarantined_until
            said: dict[str, object] = {
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
            append(row.tenant, "call.not_recorded", said, now, entropy, recording=row.id)
    return True


def note_taken_away(recording: str, now: datetime, entropy: Entropy) -> None:
    """The sound of a take that was set aside is about to be destroyed: in the log of whose it was, as far as
    a row says whose."""
    with connected():
        row = NotRecordedTable.get_or_none(NotRecordedTable.id == recording)
    if row is not None and row.tenant_id is not None:
        with writing():
            said = {"recording": recording, "reason": row.reason}
            append(row.tenant_id, "quarantine.erased", said, now, entropy, recording=recording)


def imported(tenant: str, sha256: str) -> RecordingRow | None:
    """The recording that a file from elsewhere (its SHA-256, hex) has become, a tombstone included."""
    with connected():
        mine = (RecordingTable.tenant == tenant) & (RecordingTable.import_sha256 == sha256)
        row = RecordingTable.select().where(mine).first()
    return None if row is None else recording_row(row)


def due(now: datetime, limit: int = 20, after: RecordingRow | None = None) -> tuple[RecordingRow, ...]:
    """Recordings whose time is over, that nobody holds and that are not destroyed yet, longest over first;
    those that come ``after`` one that was given before."""
    over = _over(now)
    if after is not None:
        later = RecordingTable.keep_until > after.keep_until
        over &= later | ((RecordingTable.keep_until == after.keep_until) & (RecordingTable.id > after.id))
    with connected():
        query = (
            RecordingTable.select()
            .where(over)
            .order_by(RecordingTable.keep_until, RecordingTable.id)
            .limit(limit)
        )
        return tuple(recording_row(row) for row in query)


def is_due(row: RecordingRow, now: datetime) -> bool:
    """Whether a recording that :func:`due` gave still is: another worker may have destroyed it."""
    with connected():
        return bool(RecordingTable.select().where(_over(now) & (RecordingTable.id == row.id)).exists())


def _over(now: datetime) -> Any:
    holds = (AmendmentTable.kind == HOLD_SET) & AmendmentTable.ended_by.is_null()
    held = AmendmentTable.select(AmendmentTable.recording).where(holds)
    return (
        (RecordingTable.keep_until <= now)
        & RecordingTable.erased_at.is_null()
        & RecordingTable.id.not_in(held)
    )


def forget_key(row: RecordingRow) -> None:
    """The catalogue's copy of a recording's wrapped key goes: before anything else does."""
    with writing():
        mine = (RecordingTable.tenant == row.tenant) & (RecordingTable.id == row.id)
        RecordingTable.update(wrapped_key=None).where(mine).execute()


def make_tombstone(
    row: RecordingRow, why: str, *, now: datetime, entropy: Entropy, at: datetime | None = None
) -> bool:
    """What is left of a destroyed recording: that it was, from when to when, and why and when (``at``; now)
    it went.  Parties, grants and what the log's leaves could be opened with go too.  False where it is one
    already."""
    with writing():
        lock_tenant(row.tenant)
        mine = (RecordingTable.tenant == row.tenant) & (RecordingTable.id == row.id)
        changed = (
            RecordingTable.update(
                external_kind=None,
                external_value=None,
                internal_kind=None,
                internal_value=None,
                wrapped_key=None,
                erased_at=at or now,
                erasure_reason=why,
            )
            .where(mine & RecordingTable.erased_at.is_null())
            .execute()
        )
        if not changed:
            return False
        GrantTable.update(ended_at=now).where(
            (GrantTable.recording == row.id) & GrantTable.ended_at.is_null()
        ).execute()
        said = {"recording": row.id, "reason": why, "leaves": drop_bodies(row.tenant, row.id)}
        append(row.tenant, "recording.erased", said, now, entropy)
    return True
