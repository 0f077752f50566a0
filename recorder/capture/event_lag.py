"""How far the daemon is behind the switch's events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from recorder import metrics

WINDOW: Final = 10.0
"""Seconds for which a late event is shown at least, and twice as long at most."""


class EventLag:
    """The lag of one connection's events, which are handled one after another. ``monotonic`` returns
    seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._window = 0
        self._longest = 0.0
        self._longest_before = 0.0
        self._in_progress: tuple[float, float] | None = None

    def begin(self, lag: float) -> None:
        """Note that an event is being handled, so many seconds after it happened."""
        metrics.EVENT_LAG.observe(lag)
        self._move_window()
        self._longest = max(self._longest, lag)
        self._in_progress = lag, self._monotonic()

    def end(self) -> None:
        """Note that it has been handled."""
        self._in_progress = None

    def longest(self) -> float:
        """The longest lag of late, in seconds: of an event whose handling began, or of one that is still
        being handled while others wait behind it."""
        self._move_window()
        lag, start = self._in_progress or (0.0, self._monotonic())
        return max(self._longest, self._longest_before, lag + self._monotonic() - start)

    def _move_window(self) -> None:
        window = int(self._monotonic() // WINDOW)
        if window != self._window:
            self._longest_before = self._longest if window == self._window + 1 else 0.0
            self._window, self._longest = window, 0.0
