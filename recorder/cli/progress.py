"""Progress of long commands, on standard error: a line that is rewritten on a terminal, elsewhere a line from
time to time, and none for a phase that is over before that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import click

INTERVAL_S: Final = 10.0
"""Where no terminal watches, the seconds from one line to the next."""

_REDRAW_S: Final = 0.1
_BAR: Final = 30


class ProgressLine:
    """The progress of a command with one phase or several."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._phase = ""
        self._start = self._printed_at = seconds()
        self._first = 0
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end_line()

    def tell(self, phase: str, count: int, total: int | None = None) -> None:
        """Show ``count`` of ``total`` (``None``: not known yet) in a phase."""
        now = self._seconds()
        if phase != self._phase:
            self._end_line()
            self._phase, self._start, self._printed_at, self._is_shown = (
                phase,
                now,
                now - 2 * _REDRAW_S,
                False,
            )
            self._first = count if total is not None else 0  # the rate counts this run only
        is_last = count == total and (self._is_terminal or self._is_shown)
        if now - self._printed_at < (_REDRAW_S if self._is_terminal else INTERVAL_S) and not is_last:
            return
        self._printed_at, self._is_shown = now, True
        rate = (count - self._first) / max(now - self._start, 0.001)
        text = f"{phase}: {count}" + ("" if total is None else f" of {total}")
        if rate and not is_last:
            text += f", {rate:.0f}/s"
            if total is not None:
                text += f", {_span((total - count) / rate)} left"
        if self._is_terminal:
            share = "" if not total else f"[{'#' * (_BAR * count // total):<{_BAR}}] "
            click.echo(f"\r{share}{text:<60}", nl=False, err=True)
            self._is_open = True
        else:
            click.echo(text, err=True)

    def _end_line(self) -> None:
        if self._is_open:
            click.echo(err=True)
            self._is_open = False


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
