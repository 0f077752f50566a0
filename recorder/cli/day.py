"""Days as options of commands."""

from __future__ import annotations

from datetime import date
from typing import Any

import click


class Day(click.ParamType[date]):
    """A day, written as ``2026-11-29``; converts to a :class:`date`."""

    name = "day"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day: write it as YYYY-MM-DD", param, ctx)


DAY = Day()
