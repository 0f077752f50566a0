"""The months of the usage that the provider sees, each named by its first day."""

from __future__ import annotations

from datetime import date, timedelta


def shift(month: date, by: int) -> date:
    """The month so many months later, or earlier."""
    number = month.year * 12 + month.month - 1 + by
    return date(number // 12, number % 12 + 1, 1)


def last_day(month: date) -> date:
    return shift(month, 1) - timedelta(days=1)


def months_since(first: date | None, today: date) -> list[date]:
    """The months that can be chosen, the newest first: those since the day ``first``, and this one."""
    found = [today.replace(day=1)]
    while first is not None and found[-1] > first:
        found.append(shift(found[-1], -1))
    return found


def parse_month(text: str, known: list[date]) -> date:
    """The month that was chosen (``2026-11``); the newest one for anything else."""
    return next((each for each in known if f"{each:%Y-%m}" == text), known[0])
