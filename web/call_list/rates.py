"""What the page of how calls go shows: rates by week or month, by number, and why calls were not recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask_babel import format_date
from flask_babel import gettext as _

from recorder.features.call_list.rates import CallRates, count_rates
from web.text import formats

WEEK: Final = "week"
MONTH: Final = "month"
STEPS: Final = (WEEK, MONTH)

PERIODS: Final = 12
"""Weeks or months that are shown, with the one that is under way."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the number and the share of a row's calls that it shows."""

    heading: str
    value: str
    of: str = "calls"

    def number(self, rates: CallRates) -> int:
        return int(getattr(rates, self.value))

    def share(self, rates: CallRates) -> float:
        whole = int(getattr(rates, self.of))
        return self.number(rates) / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class RatesTable:
    """Rates by period, the latest first, by the id of the line, and in all."""

    periods: tuple[tuple[str, CallRates], ...]
    lines: Mapping[str, CallRates]
    whole: CallRates


def columns() -> tuple[Column, ...]:
    return (
        Column(str(_("Announced")), "announcements"),
        Column(str(_("Recording refused")), "refusals"),
        Column(str(_("Asked to keep")), "questions"),
        Column(str(_("Agreed to keep")), "agreements", of="questions"),
        Column(str(_("Not recorded")), "unrecorded"),
    )


def table(tenant: str, today: date, zone: ZoneInfo, step: str, lines: frozenset[str] | None) -> RatesTable:
    """The rates of the last weeks or months up to a day in the customer's time zone."""
    rows: list[tuple[str, CallRates]] = []
    by_line: dict[str, CallRates] = {}
    for first, until in periods(today, step):
        begin, end = (datetime.combine(each, time.min, zone) for each in (first, until))
        counts = count_rates(tenant, begin, end, lines)
        rows.append((_name(first, step), sum(counts.values(), CallRates())))
        for line, rates in counts.items():
            by_line[line] = by_line.get(line, CallRates()) + rates
    return RatesTable(tuple(rows), by_line, sum(by_line.values(), CallRates()))


def periods(today: date, step: str) -> list[tuple[date, date]]:
    """The first days of the periods and of those after them, the latest first."""
    first = today.replace(day=1) if step == MONTH else today - timedelta(days=today.weekday())
    days = [first]
    for _number in range(PERIODS - 1):
        before = days[-1] - timedelta(days=1 if step == MONTH else 7)
        days.append(before.replace(day=1) if step == MONTH else before)
    next_day = (first + timedelta(days=31)).replace(day=1) if step == MONTH else first + timedelta(days=7)
    return list(zip(days, [next_day, *days[:-1]], strict=True))


def _name(first: date, step: str) -> str:
    if step == MONTH:
        return str(format_date(first, "LLLL y"))
    return str(_("Week of %(date)s", date=formats.short_date(first)))
