"""Which calls without a recording were erased for their person.

Rows decide nothing: the signed note does.
"""

from __future__ import annotations

from collections.abc import Sequence

from peewee import fn

from recorder.catalogue.database import connected, database
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable


def find_note(call: str) -> tuple[str, str] | None:
    """The customer and the note that a row names for a call; ``None`` where there is no such row.  It decides
    nothing."""
    with connected():
        row = ErasedCallTable.get_or_none(ErasedCallTable.id == call)
    return None if row is None else (row.tenant_id, row.note or "")


def erased_among(calls: Sequence[str]) -> frozenset[str]:
    """Which of some calls have a row, whose ever they were."""
    with connected():
        rows = ErasedCallTable.select(ErasedCallTable.id).where(ErasedCallTable.id.in_(calls))
        return frozenset(row.id for row in rows)


def recorded_among(calls: Sequence[str]) -> frozenset[str]:
    """Which of some calls are recordings: a note about calls that were not recorded does not speak of
    them."""
    with connected():
        return frozenset(
            row.id for row in RecordingTable.select(RecordingTable.id).where(RecordingTable.id.in_(calls))
        )


def count_by_request(tenant: str) -> dict[str, int]:
    """How many calls were forgotten, by the customer's request that asked for it."""
    with connected():
        query = ErasedCallTable.select(ErasedCallTable.request_id, fn.COUNT(ErasedCallTable.id))
        mine = query.where(ErasedCallTable.tenant_id == tenant).group_by(ErasedCallTable.request_id)
        return {str(request): int(many) for request, many in database.execute(mine).fetchall()}
