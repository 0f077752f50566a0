"""Correction of a call's times when it is sealed, where a clock was wrong.

The times of a call are by the machine's clock and by the switch's own, and both can be set at any time.
Nobody sets the uptime: if the machine was not restarted, a reading of it from the call's start tells how long
ago that was, and so its time by the present clock.  Nothing here decides which of two clocks is right.
Retention counts from the later time, so that nothing expires earlier than announced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.clock import HIDDEN_BOOT_ID, SLACK, Uptime, truncate
from recorder.seal.manifest import UncorrectedTimes
from recorder.spool.layout import CallStart, Take


@dataclass(frozen=True, slots=True)
class Timing:
    """Times to the millisecond, in order, none later than ``sealed_at``.  ``kept_from`` is the start of
    retention.  ``uncorrected``: start and end by the clocks of the call, where these are others."""

    started_at: datetime
    bridged_at: datetime | None
    ended_at: datetime
    sealed_at: datetime
    kept_from: datetime
    uncorrected: UncorrectedTimes | None


def correct_times(take: Take, now: datetime, uptime: Uptime | None) -> Timing:
    """Return the corrected times of a take that is sealed now. ``uptime`` is the machine's, ``None`` where it
    is unknown."""
    now = truncate(now)
    uncorrected = UncorrectedTimes(truncate(take.start.started_at), truncate(take.end.ended_at))
    begin, known = uncorrected.started_at, _begin(take.start, now, uptime)
    if begin > now:
        begin = now - max(uncorrected.ended_at - begin, timedelta()) if known is None else known
    elif known is not None and known - begin > SLACK:
        begin = known
    by = begin - uncorrected.started_at
    end = _put_right(uncorrected.ended_at, by, begin, now)
    bridged = take.first("bridged")
    sealed = UncorrectedTimes(begin, end)
    return Timing(
        started_at=begin,
        bridged_at=None if bridged is None else _put_right(truncate(bridged), by, begin, end),
        ended_at=end,
        sealed_at=now,
        # Where the call's age is unknown or the clock was ahead, retention must not begin too early.
        kept_from=now if known is None or uncorrected.started_at > now else begin,
        uncorrected=None if sealed == uncorrected else uncorrected,
    )


def _begin(start: CallStart, now: datetime, uptime: Uptime | None) -> datetime | None:
    """Return the call's start by the present clock, from the uptime; ``None`` where that is unknown."""
    then = start.uptime
    if then is None or uptime is None or HIDDEN_BOOT_ID in (then.boot, uptime.boot):
        return None
    if then.boot != uptime.boot or then.up > uptime.up:
        return None
    return truncate(now - timedelta(seconds=uptime.up - then.up))


def _put_right(at: datetime, by: timedelta, earliest: datetime, latest: datetime) -> datetime:
    """Return a time of the call as noted where that is possible, otherwise moved with the call's start."""
    if not earliest <= at <= latest:
        at += by
    return min(max(at, earliest), latest)
