"""The call list: recorded and unrecorded calls together, by time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from recorder.catalogue import queries
from recorder.catalogue.records import Cursor, NotRecordedRow, Page, RecordingRow
from web.recordings.filters import CallFilter


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One row of the list: either a ``recording`` or an unrecorded call (``missing``)."""

    recording: RecordingRow | None
    missing: NotRecordedRow | None

    @property
    def row(self) -> RecordingRow | NotRecordedRow:
        row = self.recording or self.missing
        assert row is not None
        return row

    @property
    def started_at(self) -> datetime:
        return self.row.started_at

    @property
    def place(self) -> Cursor:
        return Cursor(self.row.started_at, self.row.id)


def list_page(
    tenant: str,
    call_filter: CallFilter,
    zone: ZoneInfo,
    limit: int,
    scope: Collection[str] | None = None,
) -> Page[CallEntry]:
    """At most ``limit`` calls after the filter's position, latest first; with ``scope`` only those of these
    lines.

    Both kinds are sorted by start and id, and no id occurs in both, so one position serves for both.
    """
    found: list[CallEntry] = []
    since, until, digits = call_filter.since(zone), call_filter.until(zone), call_filter.digits
    more = False
    if call_filter.kind != "not-recorded":
        page = queries.recordings(
            tenant,
            after=call_filter.after,
            limit=limit,
            party=digits,
            since=since,
            until=until,
            scope=scope,
        )
        found += [CallEntry(row, None) for row in page.rows]
        more = more or page.more is not None
    if call_filter.kind != "recorded":
        missing = queries.not_recorded(
            tenant,
            after=call_filter.after,
            limit=limit,
            party=digits,
            since=since,
            until=until,
            scope=scope,
        )
        found += [CallEntry(None, row) for row in missing.rows]
        more = more or missing.more is not None
    found.sort(key=lambda call: (call.started_at, call.row.id), reverse=True)
    shown = found[:limit]
    more = more or len(found) > limit
    return Page(tuple(shown), shown[-1].place if more and shown else None)


def group_by_day(shown: tuple[CallEntry, ...], zone: ZoneInfo) -> list[tuple[datetime, list[CallEntry]]]:
    """The calls by day in the customer's time zone; each day is given by the start of its first call."""
    days: list[tuple[datetime, list[CallEntry]]] = []
    for call in shown:
        local = call.started_at.astimezone(zone)
        if not days or days[-1][0].astimezone(zone).date() != local.date():
            days.append((call.started_at, []))
        days[-1][1].append(call)
    return days
