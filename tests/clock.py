"""Clocks that stand still until a test moves them."""

from __future__ import annotations

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


def since_boot(at: datetime) -> Uptime:
    """The uptime of a machine whose wall clock was always right."""
    return Uptime("this start", at.timestamp())
