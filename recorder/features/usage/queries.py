"""The rows of usage, and the recordings that are not counted yet. All but the provider's take a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, Final

from peewee import SQL, fn

from recorder.auditlog.append import REBUILT
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tables.usage import UsageTable
from recorder.features.usage.rules import DayUsage, LineUsage, MonthUsage, RecordedCall

ARRIVALS: Final = ("recording.stored", REBUILT)
"""Kinds of leaves with which a recording comes into the catalogue. The first one about it counts."""

MOST_LATE: Final = 5000
"""Recordings that were stored late, in one count: an import can bring many."""


def last_count(tenant: str) -> tuple[datetime | None, int]:
    """Up to when recordings are counted (``None``: none yet), and in how many leaves."""
    mine = UsageTable.select(UsageTable.until, UsageTable.through).where(UsageTable.tenant == tenant)
    row = mine.order_by(UsageTable.through.desc(), UsageTable.until.desc()).first()
    return (None, 0) if row is None else (row.until, int(row.through))


def log_size(tenant: str) -> int:
    """The number of a tenant's leaves."""
    return int(TenantTable.select(TenantTable.log_size).where(TenantTable.id == tenant).scalar())


def first_start(tenant: str, since: datetime | None, until: datetime) -> datetime | None:
    """The start of the first recording in a period."""
    row = (
        RecordingTable.select(RecordingTable.started_at)
        .where(_started(tenant, since, until))
        .order_by(RecordingTable.started_at)
        .first()
    )
    return None if row is None else row.started_at


def started(tenant: str, since: datetime | None, until: datetime) -> Iterator[RecordedCall]:
    """Recordings that started in a period, erased ones too: their rows keep what is counted."""
    return map(_call, RecordingTable.select(*_COUNTED).where(_started(tenant, since, until)).iterator())


def arrived_late(tenant: str, through: int, until: datetime) -> list[tuple[int, RecordedCall]]:
    """Recordings that started before ``until`` and came into the catalogue after the leaf ``through``, each
    with its leaf's number, in order; at most :data:`MOST_LATE`."""
    kind = LeafTable.kind.in_(ARRIVALS)
    Earlier = LeafTable.alias()
    earlier = Earlier.select().where(
        (Earlier.tenant == tenant)
        & (Earlier.recording_id == LeafTable.recording_id)
        & Earlier.kind.in_(ARRIVALS)
        & (Earlier.number < LeafTable.number)
    )
    rows = (
        LeafTable.select(LeafTable.number, *_COUNTED)
        .join(RecordingTable, on=(RecordingTable.id == LeafTable.recording_id))
        .where((LeafTable.tenant == tenant) & (LeafTable.number >= through) & kind)
        .where(_started(tenant, None, until) & ~fn.EXISTS(earlier))
        .order_by(LeafTable.number)
        .limit(MOST_LATE)
        .objects()
    )
    return [(int(row.number), _call(row)) for row in rows]


_COUNTED: Final = (
    RecordingTable.line_id,
    RecordingTable.number.alias("line_number"),
    RecordingTable.started_at,
    RecordingTable.duration_ms,
    RecordingTable.stored_bytes,
)


def _started(tenant: str, since: datetime | None, until: datetime) -> Any:
    condition = (RecordingTable.tenant == tenant) & (RecordingTable.started_at < until)
    return condition if since is None else condition & (RecordingTable.started_at >= since)


def _call(row: Any) -> RecordedCall:
    return RecordedCall(row.line_id, row.line_number, row.started_at, row.duration_ms, row.stored_bytes)


def next_part(tenant: str, day: date) -> int:
    """The part that a day's next row is."""
    mine = (UsageTable.tenant == tenant) & (UsageTable.day == day.isoformat())
    return int(UsageTable.select(fn.MAX(UsageTable.part)).where(mine).scalar() or 0) + 1


def usage_rows(tenant: str, first: date | None, last: date | None) -> list[DayUsage]:
    """A tenant's rows of some days (inclusive), in order."""
    mine = (UsageTable.tenant == tenant) & _days(first, last)
    return [_row(row) for row in UsageTable.select().where(mine).order_by(UsageTable.day, UsageTable.part)]


def everyones_rows(first: date | None, last: date | None) -> Iterable[DayUsage]:
    """Every tenant's rows of some days (inclusive), for the provider."""
    query = UsageTable.select().where(_days(first, last))
    return map(_row, query.order_by(UsageTable.tenant, UsageTable.day, UsageTable.part).iterator())


def everyones_months(first: date, last: date) -> list[MonthUsage]:
    """The sums of every tenant's rows of some days (inclusive), by month, for the provider."""
    month = fn.SUBSTR(UsageTable.day, SQL("1"), SQL("7"))  # no parameters: PostgreSQL compares the text
    sums = [fn.SUM(each) for each in (UsageTable.calls, UsageTable.duration_ms, UsageTable.bytes)]
    query = UsageTable.select(UsageTable.tenant, month, *sums).where(_days(first, last))
    rows: Any = query.group_by(UsageTable.tenant, month).order_by(month, UsageTable.tenant).tuples()
    return [
        MonthUsage(tenant, date.fromisoformat(f"{text}-01"), *map(int, counted))
        for tenant, text, *counted in rows
    ]


def first_day() -> date | None:
    """The first day of any tenant's rows."""
    found = UsageTable.select(fn.MIN(UsageTable.day)).scalar()
    return None if found is None else date.fromisoformat(found)


def _days(first: date | None, last: date | None) -> Any:
    condition = UsageTable.day >= (first or date.min).isoformat()
    return condition if last is None else condition & (UsageTable.day <= last.isoformat())


def _row(row: UsageTable) -> DayUsage:
    return read_value(DayUsage, row, lines=tuple(LineUsage(*each) for each in row.lines))
