"""What people may ask of the catalogue.  Every question has a tenant: an id alone never selects.

What answers ``None`` is indistinguishable from what does not exist.  The functions that say how a
person becomes somebody with a tenant (log-in, session) are in ``identity/users.py``; what sets up a
tenant in ``features/tenants/service.py``; what the worker does with recordings in
``lifecycle/recordings.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from recorder.catalogue.database import connected
from recorder.catalogue.mappers import (
    announcement_row,
    line_row,
    not_recorded_row,
    recording_row,
    tenant_row,
)
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.records import (
    AnnouncementRow,
    Cursor,
    LineRow,
    NotRecordedRow,
    Page,
    RecordingRow,
    TenantRow,
)
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable

PAGE = 50

Listed = TypeVar("Listed", RecordingRow, NotRecordedRow)


def tenant(tenant_id: str) -> TenantRow | None:
    """A tenant, for its own people."""
    with connected():
        row = next(iter(_tenant(tenant_id)), None)
    return None if row is None else tenant_row(row)


@prepared(TenantTable)
def _tenant(tenant_id: str) -> Any:
    return TenantTable.select().where(TenantTable.id == tenant_id)


def recordings(
    tenant: str,
    *,
    after: Cursor | None = None,
    limit: int = PAGE,
    line: str | None = None,
    party: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[RecordingRow]:
    """A tenant's recordings, latest start first, at most ``limit`` after a place in the list.

    ``line`` is a line's id, ``party`` digits that either party's or the line's number contains,
    ``since`` and ``until`` bound the start.  Tombstones are left out.
    """
    wanted: list[Any] = [RecordingTable.erased_at.is_null()]
    if line is not None:
        wanted.append(RecordingTable.line_id == line)
    if party:
        wanted.append(_has_number(RecordingTable, party))
    with connected():
        rows = _page(RecordingTable, tenant, wanted, after, limit, since, until)
    return _paged([recording_row(row) for row in rows], limit)


def recording(tenant: str, recording_id: str) -> RecordingRow | None:
    """One recording of a tenant, a tombstone included (``erased_at`` says so)."""
    with connected():
        row = next(iter(_recording(tenant, recording_id)), None)
    return None if row is None else recording_row(row)


@prepared(RecordingTable)
def _recording(tenant: str, recording_id: str) -> Any:
    return RecordingTable.select().where(
        (RecordingTable.tenant == tenant) & (RecordingTable.id == recording_id)
    )


def not_recorded(
    tenant: str,
    *,
    after: Cursor | None = None,
    limit: int = PAGE,
    party: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[NotRecordedRow]:
    """A tenant's calls that were not recorded, latest start first, with their reasons.  ``party`` is
    digits that the caller's or the line's number contains."""
    wanted = (
        [NotRecordedTable.external_value.contains(party) | NotRecordedTable.number.contains(party)]
        if party
        else []
    )
    with connected():
        rows = _page(NotRecordedTable, tenant, wanted, after, limit, since, until)
    return _paged([not_recorded_row(row) for row in rows], limit)


def not_recorded_by_id(tenant: str, ids: Sequence[str]) -> dict[str, NotRecordedRow]:
    """Those of them that are (still) there, by their ids."""
    with connected():
        mine = (NotRecordedTable.tenant == tenant) & NotRecordedTable.id.in_(list(ids))
        return {row.id: not_recorded_row(row) for row in NotRecordedTable.select().where(mine)}


def lines(tenant: str, *, ended: bool = False) -> tuple[LineRow, ...]:
    """A tenant's numbers, the ones it no longer has with ``ended``."""
    with connected():
        query = LineTable.select().where(LineTable.tenant == tenant)
        if not ended:
            query = query.where(LineTable.until.is_null())
        return tuple(line_row(row) for row in query.order_by(LineTable.digits, LineTable.since))


def line(tenant: str, line_id: str) -> LineRow | None:
    """One line of a tenant, ended or not."""
    with connected():
        row = LineTable.get_or_none((LineTable.tenant == tenant) & (LineTable.id == line_id))
    return None if row is None else line_row(row)


def announcements(tenant: str) -> tuple[AnnouncementRow, ...]:
    """Every version of every announcement of a tenant, by name, latest version first."""
    with connected():
        query = (
            AnnouncementTable.select(AnnouncementTable, SoundTable.sha256, SoundTable.duration_ms)
            .join(SoundTable, on=AnnouncementTable.sound)
            .where(AnnouncementTable.tenant == tenant)
            .order_by(AnnouncementTable.name, AnnouncementTable.version.desc())
        )
        return tuple(announcement_row(row, row.sound.duration_ms) for row in query)


def announcement(tenant: str, announcement_id: str) -> AnnouncementRow | None:
    """One version of an announcement of a tenant."""
    return next((row for row in announcements(tenant) if row.id == announcement_id), None)


def _has_number(model: Any, digits: str) -> Any:
    return (
        model.external_value.contains(digits)
        | model.internal_value.contains(digits)
        | model.number.contains(digits)
    )


def own_purposes(tenant: str) -> dict[str, frozenset[str]]:
    """A tenant's own purposes (not the standard ones): their codes, and the roles that may use each."""
    with connected():
        return {row.code: frozenset(row.roles) for row in _own_purposes(tenant)}


@prepared(PurposeTable)
def _own_purposes(tenant: str) -> Any:
    return PurposeTable.select(PurposeTable.code, PurposeTable.roles).where(PurposeTable.tenant == tenant)


def _page(
    model: Any,
    tenant: str,
    wanted: list[Any],
    after: Cursor | None,
    limit: int,
    since: datetime | None,
    until: datetime | None,
) -> list[Any]:
    """One row more than ``limit``, so that the end of the list shows."""
    query = model.select().where(model.tenant == tenant, *wanted)
    if since is not None:
        query = query.where(model.started_at >= since)
    if until is not None:
        query = query.where(model.started_at < until)
    if after is not None:
        at = after.started_at
        query = query.where((model.started_at < at) | ((model.started_at == at) & (model.id < after.id)))
    return list(query.order_by(model.started_at.desc(), model.id.desc()).limit(max(1, limit) + 1))


def _paged(rows: list[Listed], limit: int) -> Page[Listed]:
    shown = rows[: max(1, limit)]
    more = Cursor(shown[-1].started_at, shown[-1].id) if len(rows) > len(shown) else None
    return Page(tuple(shown), more)
