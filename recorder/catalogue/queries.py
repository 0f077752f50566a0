"""Tenant-scoped queries for people. Every query takes a tenant: an id alone never selects a row.

``None`` means that the tenant has no such row; a row of another tenant gives the same answer. Log-ins and
sessions are in ``identity/users.py``, the creation of tenants in ``features/tenants/service.py``, and the
worker's queries about recordings in ``lifecycle/recordings.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from peewee import JOIN, fn

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
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.tables.announcement import AnnouncementTable, PurposeTable, SoundTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError
from recorder.fault_log import FaultLog
from recorder.isolation import concerns_all

PAGE = 50

NOT_KEPT: Final = "not_kept"
"""Why a call is listed as not recorded whose recording was destroyed at its end, for want of a yes."""

Listed = TypeVar("Listed", RecordingRow, NotRecordedRow)


def tenant(tenant_id: str) -> TenantRow | None:
    """A tenant, for its own users."""
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
    scope: Collection[str] | None = None,
) -> Page[RecordingRow]:
    """A tenant's recordings, latest start first: at most ``limit``, from ``after`` on.

    ``scope`` are the ids of the only lines that the user sees (``None``: all), ``line`` is a line's id,
    ``party`` are digits in the number of either party or of the line, ``since`` (inclusive) and ``until``
    (exclusive) bound the start. Tombstones are omitted.
    """
    conditions: list[Any] = [RecordingTable.erased_at.is_null()]
    if line is not None:
        conditions.append(RecordingTable.line_id == line)
    if scope is not None:
        conditions.append(RecordingTable.line_id.in_(list(scope)))
    if party:
        conditions.append(_has_number(RecordingTable, party))
    with connected():
        rows = _page(RecordingTable, tenant, conditions, after, limit, since, until)
    return _paged([recording_row(row) for row in rows], limit)


def has_recordings(tenant: str) -> bool:
    """Whether a tenant has, or had, a recording: a tombstone counts."""
    with connected():
        return bool(RecordingTable.select().where(RecordingTable.tenant == tenant).exists())


def count_keep_answers(tenant: str, line: str, since: datetime) -> dict[str, int]:
    """The number of a line's calls since then in which the keep question was asked: recordings by their
    ``keep_answer``, also those that were erased since, and as ``destroyed`` the calls that were destroyed at
    their end for want of a yes."""
    question_asked = (
        (RecordingTable.tenant == tenant)
        & (RecordingTable.line_id == line)
        & (RecordingTable.started_at >= since)
        & RecordingTable.keep_answer.is_null(False)
    )
    destroyed = (
        (NotRecordedTable.tenant == tenant)
        & (NotRecordedTable.line_id == line)
        & (NotRecordedTable.started_at >= since)
        & (NotRecordedTable.reason == NOT_KEPT)
    )
    with connected():
        counts = RecordingTable.select(RecordingTable.keep_answer, fn.COUNT(RecordingTable.id))
        query: Any = counts.where(question_asked).group_by(RecordingTable.keep_answer)
        found = {str(answer): int(count) for answer, count in query.tuples()}
        return found | {"destroyed": NotRecordedTable.select().where(destroyed).count()}


def recording(tenant: str, recording_id: str) -> RecordingRow | None:
    """One recording of a tenant, or its tombstone (``erased_at`` is set). Raises :class:`CatalogueError`
    (``catalogue.row_damaged``) if its row contains what is never written there."""
    try:
        with connected():
            row = next(iter(_recording(tenant, recording_id)), None)
            return None if row is None else recording_row(row)
    except Exception as error:
        if concerns_all(error):
            raise
        raise CatalogueError(
            "catalogue.row_damaged",
            f"the catalogue's row of recording {recording_id} cannot be read: {error}",
            "run `accord audit run`: the row was changed after it was written",
        ) from error


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
    scope: Collection[str] | None = None,
) -> Page[NotRecordedRow]:
    """A tenant's unrecorded calls, latest start first, with their reasons. ``party`` are digits in the number
    of the external party or of the line; ``scope`` as in :func:`recordings`."""
    conditions: list[Any] = (
        [NotRecordedTable.external_value.contains(party) | NotRecordedTable.number.contains(party)]
        if party
        else []
    )
    if scope is not None:
        conditions.append(NotRecordedTable.line_id.in_(list(scope)))
    with connected():
        rows = _page(NotRecordedTable, tenant, conditions, after, limit, since, until)
    return _paged([not_recorded_row(row) for row in rows], limit)


def not_recorded_by_id(tenant: str, ids: Sequence[str]) -> dict[str, NotRecordedRow]:
    """A tenant's unrecorded calls with these ids, by id; those that no longer exist are omitted."""
    with connected():
        mine = (NotRecordedTable.tenant == tenant) & NotRecordedTable.id.in_(list(ids))
        return {row.id: not_recorded_row(row) for row in NotRecordedTable.select().where(mine)}


def lines(tenant: str, *, ended: bool = False, faults: FaultLog | None = None) -> tuple[LineRow, ...]:
    """A tenant's lines; with ``ended``, also those that it no longer has. With ``faults``, those that cannot
    be read are left out, and reported as ``line.unreadable``."""
    with connected():
        query = LineTable.select().where(LineTable.tenant == tenant)
        if not ended:
            query = query.where(LineTable.until.is_null())
        query = query.order_by(LineTable.digits, LineTable.since)
        return tuple(map(line_row, query) if faults is None else _readable_lines(query, faults))


def line(tenant: str, line_id: str, faults: FaultLog | None = None) -> LineRow | None:
    """One line of a tenant, ended or not. With ``faults``, as :func:`lines`."""
    mine = LineTable.select().where((LineTable.tenant == tenant) & (LineTable.id == line_id))
    with connected():
        return next(iter(map(line_row, mine) if faults is None else _readable_lines(mine, faults)), None)


def _readable_lines(query: Any, faults: FaultLog) -> list[LineRow]:
    return read_rows(query, line_row, faults, "line.unreadable")


def announcements(tenant: str, *, faults: FaultLog | None = None) -> tuple[AnnouncementRow, ...]:
    """Every version of every announcement of a tenant, by name, latest version first. With ``faults``, those
    that cannot be read are left out, and reported as ``announcement.unreadable``."""
    with connected():
        duration_ms = fn.COALESCE(SoundTable.duration_ms, 0).alias("sound_ms")
        query: Any = (
            AnnouncementTable.select(AnnouncementTable, duration_ms)
            .join(SoundTable, JOIN.LEFT_OUTER, on=AnnouncementTable.sound)
            .where(AnnouncementTable.tenant == tenant)
            .order_by(AnnouncementTable.name, AnnouncementTable.version.desc())
        )
        return tuple(
            map(_announcement_row, query)
            if faults is None
            else read_rows(query, _announcement_row, faults, "announcement.unreadable")
        )


def _announcement_row(row: Any) -> AnnouncementRow:
    return announcement_row(row, row.sound_ms)


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
    """The roles that may use each of a tenant's own purposes, by code; without the standard purposes."""
    with connected():
        return {row.code: frozenset(row.roles) for row in _own_purposes(tenant)}


@prepared(PurposeTable)
def _own_purposes(tenant: str) -> Any:
    return PurposeTable.select(PurposeTable.code, PurposeTable.roles).where(PurposeTable.tenant == tenant)


def _page(
    model: Any,
    tenant: str,
    conditions: list[Any],
    after: Cursor | None,
    limit: int,
    since: datetime | None,
    until: datetime | None,
) -> list[Any]:
    """At most ``limit`` rows and one more, which shows that the list continues."""
    query = model.select().where(model.tenant == tenant, *conditions)
    if since is not None:
        query = query.where(model.started_at >= since)
    if until is not None:
        query = query.where(model.started_at < until)
    if after is not None:
        at = after.started_at
        query = query.where((model.started_at < at) | ((model.started_at == at) & (model.id < after.id)))
    return list(query.order_by(model.started_at.desc(), model.id.desc()).limit(max(1, limit) + 1))


def _paged(rows: list[Listed], limit: int) -> Page[Listed]:
    visible = rows[: max(1, limit)]
    more = Cursor(visible[-1].started_at, visible[-1].id) if len(rows) > len(visible) else None
    return Page(tuple(visible), more)
