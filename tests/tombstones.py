"""Tombstones in the catalogue alone, for tests of what a row without a bucket shows."""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import lock_tenant
from recorder.catalogue.database import writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.recording import RecordingTable
from recorder.ids import Entropy
from recorder.lifecycle import recordings
from recorder.lifecycle.erased_recording import ErasedRecording


def bury_row(
    row: RecordingRow, reason: str, *, now: datetime, entropy: Entropy, at: datetime | None = None
) -> bool:
    """Make a recording's row a tombstone, as if its chain ended in one; false if it is one already."""
    with writing():
        erased = ErasedRecording(lock_tenant(row.tenant), (row.id,), reason, at or now)
        return recordings.make_tombstone(erased, now=now, entropy=entropy)


def drop_key(row: RecordingRow) -> None:
    """Drop the wrapped key from a recording's row, as its erasure begins."""
    with writing():
        RecordingTable.update(wrapped_key=None).where(RecordingTable.id == row.id).execute()
