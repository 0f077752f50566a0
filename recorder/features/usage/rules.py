"""What a day is, and what is counted on it. Without I/O.

A count takes the recordings that started before ``until``, the last midnight in the customer's time zone, and
are in the first ``through`` leaves of the log, less those of the count before. So each recording is counted
exactly once, however late it is stored and however often a count is begun. It is counted on the day of its
start, in the time zone that the customer has at that moment: a change of time zone never recounts a day, so
the days around the change can be shorter or longer than 24 hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

WAITS: Final = timedelta(hours=1)
"""From a day's end to its count: the calls that went on at midnight are stored by then."""

STEP: Final = timedelta(days=31)
"""The longest period of one count, so that the first one of a customer with a long history does not keep
others from writing."""


@dataclass(frozen=True, slots=True)
class LineUsage:
    """What was recorded on a line: milliseconds of audio, and bytes as they are stored."""

    line: str
    number: str
    calls: int
    duration_ms: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A recording, as it is counted."""

    line: str
    number: str
    started_at: datetime
    duration_ms: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DayUsage:
    """A row: what was recorded on a day, by line. ``part`` is 1 for the day's own count, and more for what
    was stored after it."""

    tenant: str
    day: date
    part: int
    time_zone: str
    lines: tuple[LineUsage, ...]

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.lines)

    @property
    def duration_ms(self) -> int:
        return sum(each.duration_ms for each in self.lines)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.lines)


@dataclass(frozen=True, slots=True)
class MonthUsage:
    """What a tenant's rows of a month (its first day) add up to."""

    tenant: str
    month: date
    calls: int
    duration_ms: int
    bytes: int


def last_midnight(zone: ZoneInfo, now: datetime) -> datetime:
    """The end of the last day that can be counted."""
    return datetime.combine((now - WAITS).astimezone(zone).date(), time.min, zone)


def step_end(zone: ZoneInfo, first: datetime, limit: datetime) -> datetime:
    """Where a count that begins with a recording at ``first`` ends: a midnight, ``limit`` at the latest."""
    day = (first + STEP).astimezone(zone).date()
    return min(datetime.combine(day, time.min, zone), limit)


def by_day(calls: Iterable[RecordedCall], zone: ZoneInfo) -> dict[date, tuple[LineUsage, ...]]:
    """Calls by the day of their start and by line, in order."""
    sums: dict[date, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for each in calls:
        found = sums[each.started_at.astimezone(zone).date()][each.line, each.number]
        for place, value in enumerate((1, each.duration_ms, each.bytes)):
            found[place] += value
    return {
        day: tuple(LineUsage(*line, *counted) for line, counted in sorted(lines.items()))
        for day, lines in sorted(sums.items())
    }
