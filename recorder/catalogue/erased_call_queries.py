"""Queries about unrecorded calls that were erased at a person's request.

The rows decide nothing; the signed note does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from peewee import fn

from recorder.catalogue.database import connected, database
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable

LISTED: Final = ("recording.stored", "recording.rebuilt")
"""Kinds of leaves about a call that is a recording."""


def find_note(call: str) -> tuple[str, str] | None:
    """The customer and the note that a call's row names; ``None`` if there is no row."""
    with connected():
        row = ErasedCallTable.get_or_none(ErasedCallTable.id == call)
    return None if row is None else (row.tenant_id, row.note or "")


def erased_among(calls: Sequence[str]) -> frozenset[str]:
    """Those of some calls that have a row, of any customer."""
    with connected():
        rows = ErasedCallTable.select(ErasedCallTable.id).where(ErasedCallTable.id.in_(calls))
        return frozenset(row.id for row in rows)


def recorded_among(calls: Sequence[str]) -> frozenset[str]:
    """Those of some calls that are recordings, by a row or a leaf: a note about unrecorded calls does not
    cover them."""
    rows = RecordingTable.select(RecordingTable.id).where(RecordingTable.id.in_(calls))
    listed = LeafTable.recording_id.in_(calls) & LeafTable.kind.in_(LISTED)
    leaves = LeafTable.select(LeafTable.recording_id).where(listed)
    with connected():
        return frozenset({row.id for row in rows} | {str(leaf.recording_id) for leaf in leaves})


def count_by_request(tenant: str) -> dict[str, int]:
    """The number of a customer's erased calls, by subject request."""
    with connected():
        query = ErasedCallTable.select(ErasedCallTable.request_id, fn.COUNT(ErasedCallTable.id))
        mine = query.where(ErasedCallTable.tenant_id == tenant).group_by(ErasedCallTable.request_id)
        return {str(request): int(many) for request, many in database.execute(mine).fetchall()}
