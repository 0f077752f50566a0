"""Counts what was recorded, by day and line, and reads the counts.

Nothing is limited by them. A row contains no personal data (a line is the customer's own number), so it stays
when recordings are erased.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple
from datetime import date, datetime

from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.usage import UsageTable
from recorder.clock import to_iso
from recorder.domain import time_zones
from recorder.features.usage import queries, rules
from recorder.ids import Entropy

COUNTED = "usage.counted"


def count_due(tenant: TenantRow, now: datetime, entropy: Entropy) -> int:
    """Count a tenant's recordings up to its last midnight; returns the number of rows written. A count that
    is interrupted leaves nothing, and the next one does the same."""
    count = 0
    while True:
        with connected():
            if _find_uncounted(tenant, now) is None:
                return count
        with tenant_lock(tenant.id):
            found = _find_uncounted(tenant, now)  # another worker may have counted them
            if found is None:
                return count
            count += _write(tenant, *found, now, entropy)


def _find_uncounted(
    tenant: TenantRow, now: datetime
) -> tuple[list[rules.RecordedCall], datetime, int] | None:
    """The recordings of the next count, up to when it counts, and in how many leaves; ``None`` if there are
    none."""
    zone = time_zones.display_zone(tenant.time_zone)
    until, through = queries.last_count(tenant.id)
    late = [] if until is None else queries.arrived_late(tenant.id, through, until)
    if until is not None and len(late) == queries.MOST_LATE:
        return [call for _number, call in late], until, late[-1][0] + 1
    limit = rules.last_midnight(zone, now)
    first = queries.first_start(tenant.id, until, limit)
    end = until if first is None else rules.step_end(zone, first, limit)
    calls = [call for _number, call in late]
    if first is not None and end is not None:
        calls += queries.started(tenant.id, until, end)
    if not calls or end is None:
        return None
    return calls, end, queries.log_size(tenant.id)


def _write(
    tenant: TenantRow,
    calls: Iterable[rules.RecordedCall],
    until: datetime,
    through: int,
    now: datetime,
    entropy: Entropy,
) -> int:
    days = rules.by_day(calls, time_zones.display_zone(tenant.time_zone))
    for day, lines in days.items():
        part = queries.next_part(tenant.id, day)
        row = rules.DayUsage(tenant.id, day, part, tenant.time_zone, lines)
        identity, content = f"{tenant.id}/{day}/{part}", [list(astuple(each)) for each in lines]
        UsageTable.create(
            id=identity, tenant=tenant.id, day=day.isoformat(), part=part, time_zone=row.time_zone,
            lines=content, calls=row.calls, duration_ms=row.duration_ms, bytes=row.bytes, until=until,
            through=through, counted_at=now,
        )  # fmt: skip
        body = {
            "usage": identity, "day": day.isoformat(), "part": part, "time_zone": row.time_zone,
            "lines_sha256": sha256_of(content), "calls": row.calls, "duration_ms": row.duration_ms,
            "bytes": row.bytes, "until": to_iso(until), "through": through,
        }  # fmt: skip
        append(tenant.id, COUNTED, body, now, entropy)
    return len(days)


def usage_of(tenant: str, first: date | None = None, last: date | None = None) -> list[rules.DayUsage]:
    """A tenant's rows from the day ``first`` to the day ``last``, in order."""
    with connected():
        return queries.usage_rows(tenant, first, last)


def everyones_usage(first: date | None = None, last: date | None = None) -> list[rules.DayUsage]:
    """Every tenant's rows, for the provider."""
    with connected():
        return list(queries.everyones_rows(first, last))


def everyones_months(first: date, last: date) -> list[rules.MonthUsage]:
    """The sums of every tenant's rows from the day ``first`` to the day ``last``, by month, for the
    provider."""
    with connected():
        return queries.everyones_months(first, last)


def first_day() -> date | None:
    """The first day on which any tenant's calls were counted; ``None`` if there is none yet."""
    with connected():
        return queries.first_day()
