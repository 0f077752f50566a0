"""What the usage page draws and lists. Without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from recorder.features.usage.rules import DayUsage, LineUsage

HEIGHT = 120
"""Of the tallest bar, in the drawing's own units."""

STEP = 10
"""Of one day."""


@dataclass(frozen=True, slots=True)
class DayTotal:
    """A day's sums over all parts; ``corrected``: something was stored after its count."""

    day: date
    calls: int = 0
    duration_ms: int = 0
    bytes: int = 0
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's bar: its place and height in the drawing."""

    total: DayTotal
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """A period: every day in it, the lines with something recorded, the most first, and the sums."""

    days: tuple[DayTotal, ...]
    lines: tuple[LineUsage, ...]
    calls: int
    duration_ms: int
    bytes: int

    @property
    def width(self) -> int:
        return len(self.days) * STEP

    def bars(self) -> list[Bar]:
        """The bars, by length of what was recorded."""
        most = max((each.duration_ms for each in self.days), default=0)
        found = []
        for place, each in enumerate(self.days):
            height = round(HEIGHT * each.duration_ms / most, 1) if most else 0
            found.append(Bar(each, place * STEP, round(HEIGHT - height, 1), height))
        return found


def summarise(rows: Iterable[DayUsage], first: date, last: date) -> UsageSummary:
    """The rows of the days from ``first`` to ``last``; days without a row have zeros."""
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    days = {day: DayTotal(day) for day in every}
    lines: dict[tuple[str, str], LineUsage] = {}
    for row in rows:
        before = days[row.day]
        days[row.day] = DayTotal(
            row.day,
            before.calls + row.calls,
            before.duration_ms + row.duration_ms,
            before.bytes + row.bytes,
            before.corrected or row.part > 1,
        )
        for each in row.lines:
            known = lines.get((each.line, each.number), LineUsage(each.line, each.number, 0, 0, 0))
            lines[each.line, each.number] = LineUsage(
                each.line,
                each.number,
                known.calls + each.calls,
                known.duration_ms + each.duration_ms,
                known.bytes + each.bytes,
            )
    totals = tuple(days.values())
    return UsageSummary(
        totals,
        tuple(sorted(lines.values(), key=lambda each: (-each.duration_ms, each.number))),
        sum(each.calls for each in totals),
        sum(each.duration_ms for each in totals),
        sum(each.bytes for each in totals),
    )
