"""The calls of a customer, those with a recording and those without, in one list by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from recorder.catalogue import queries
from recorder.catalogue.records import Cursor, NotRecordedRow, Page, RecordingRow
from web.recordings.filters import Wishes


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One line of the list: exactly one of ``recording`` and ``missing`` is there."""

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


def calls(tenant: str, wishes: Wishes, zone: ZoneInfo, limit: int) -> Page[CallEntry]:
    """At most ``limit`` calls after a place, latest first.

    Both kinds are sorted alike (start, id) and their ids never meet, so that one place serves for both.
    """
    found: list[CallEntry] = []
    since, until, digits = wishes.since(zone), wishes.until(zone), wishes.digits
    more = False
    if wishes.kind != "not-recorded":
        page = queries.recordings(
            tenant, after=wishes.after, limit=limit, party=digits, since=since, until=until
        )
        found += [CallEntry(row, None) for row in page.rows]
        more = more or page.more is not None
    if wishes.kind != "recorded":
        missing = queries.not_recorded(
            tenant, after=wishes.after, limit=limit, party=digits, since=since, until=until
        )
        found += [CallEntry(None, row) for row in missing.rows]
        more = more or missing.more is not None
    found.sort(key=lambda call: (call.started_at, call.row.id), reverse=True)
    shown = found[:limit]
    more = more or len(found) > limit
    return Page(tuple(shown), shown[-1].place if more and shown else None)


def by_day(shown: tuple[CallEntry, ...], zone: ZoneInfo) -> list[tuple[datetime, list[CallEntry]]]:
    """Calls under their day in the customer's zone; the time is the first call's."""
    days: list[tuple[datetime, list[CallEntry]]] = []
    for call in shown:
        local = call.started_at.astimezone(zone)
        if not days or days[-1][0].astimezone(zone).date() != local.date():
            days.append((call.started_at, []))
        days[-1][1].append(call)
    return days
