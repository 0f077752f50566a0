"""Clocks and timestamps. Whatever needs the time takes a :data:`Now`, so tests can set it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

Now = Callable[[], datetime]
"""Returns the current time, aware, in UTC."""


SLACK = timedelta(minutes=1)
"""Maximum difference between two correct clocks, and maximum correction of one at a time."""


def utc_now() -> datetime:
    """The current time by the machine's clock, in UTC."""
    return datetime.now(UTC)


HIDDEN_BOOT_ID: Final = ""
"""Stands for a boot id that a unit or container hides (systemd's ``ProcSubset=pid`` does)."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Time since boot, which no clock adjustment changes: ``up`` are the seconds, including sleep, since the
    boot with the id ``boot`` (:data:`HIDDEN_BOOT_ID` if that cannot be read)."""

    boot: str
    up: float


def uptime() -> Uptime:
    """This machine's current uptime."""
    return Uptime(_boot(), time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def _boot() -> str:
    # Cached: no process outlives a boot.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return HIDDEN_BOOT_ID


def to_iso(at: datetime) -> str:
    """The time as RFC 3339 in UTC with milliseconds, ``2026-11-24T23:58:40.123Z``: the only form on disk.

    Raises ``ValueError`` for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be written")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def truncate(at: datetime) -> datetime:
    """The time in whole milliseconds, as :func:`to_iso` writes it."""
    return from_iso(to_iso(at))


def from_iso(text: str) -> datetime:
    """Read an RFC 3339 time with a zone, such as :func:`to_iso` writes; returns it in UTC. Raises
    ``ValueError`` for anything else."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    try:
        return at.astimezone(UTC)
    except OverflowError:  # the first or last representable day, in another zone
        raise ValueError(f"a time outside the calendar: {text!r}") from None
