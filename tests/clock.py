"""Clocks that stand still until a test moves them, and one that goes faster than the machine's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from recorder.clock import Uptime


@dataclass
class Clock:
    """A wall clock that stands still until it is moved."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 25, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> datetime:
        """Move the clock by a ``timedelta`` of these arguments, and read it."""
        self.at += timedelta(**by)
        return self.at


@dataclass
class MonotonicClock:
    """Seconds since some moment, as ``time.monotonic`` has them."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass(frozen=True)
class PacedClock:
    """A wall clock that read ``start`` when ``time.monotonic()``, which all processes of a machine share, was
    ``zero``, and that goes ``speed`` times as fast."""

    start: datetime
    speed: float
    zero: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=(time.monotonic() - self.zero) * self.speed)


def since_boot(at: datetime) -> Uptime:
    """The uptime of a machine whose wall clock was always right."""
    return Uptime("this start", at.timestamp())
