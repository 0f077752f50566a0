"""Limits failed attempts, counted across all panel processes.

A row is a leaky bucket (GCRA): each attempt adds a drop, which leaks out after a while; an attempt that does
not fit is refused. An attempt is counted before its outcome is known, so that concurrent attempts gain
nothing, and refunded if it succeeds. Keys are hashes made with the panel's secret: no address and no log-in
name is stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import Case

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.throttle import ThrottleTable

KNOWN = timedelta(days=90)
"""How long a place counts as known after a log-in."""

SLACK_MS = 60_000
"""The largest difference between machines' clocks."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``attempts`` at once, then one for each equal share of ``seconds``."""

    attempts: int
    seconds: int

    @property
    def each_ms(self) -> int:
        return max(1, self.seconds * 1000 // self.attempts)

    @property
    def room_ms(self) -> int:
        """The largest fill at which one more attempt fits."""
        return self.each_ms * (self.attempts - 1)


Bucket = tuple[str, RateLimit]


class _Full(Exception):  # rolls back the drops of this attempt
    pass


def is_known_place(key: str, now: datetime) -> bool:
    """Whether somebody has recently logged in from a place."""
    with connected():
        row = ThrottleTable.get_or_none(ThrottleTable.key == key)
    return row is not None and row.known_until is not None and row.known_until > now


def take(buckets: Sequence[Bucket], now: datetime) -> int:
    """Count an attempt in all of these buckets or in none; returns the seconds to wait, 0 if the attempt is
    allowed."""
    if wait := _wait(buckets, now):
        return wait
    try:
        with writing():
            for key, limit in buckets:
                if not _pour(key, limit, _ms(now)):
                    raise _Full
    except _Full:
        return _wait(buckets, now) or 1
    return 0


def give_back(buckets: Iterable[Bucket]) -> None:
    """Refund a successful attempt."""
    with writing():
        for key, limit in buckets:
            ThrottleTable.update(empty_ms=ThrottleTable.empty_ms - limit.each_ms).where(
                ThrottleTable.key == key
            ).execute()


def clear(key: str, now: datetime, *, remember: bool = False) -> None:
    """Forget failed attempts after a success; with ``remember`` the place becomes known."""
    until = now + KNOWN if remember else None
    with writing():
        ThrottleTable.update(empty_ms=0, known_until=until).where(ThrottleTable.key == key).execute()


def share_used(bucket: Bucket, now: datetime) -> float:
    """How much of a bucket's room is taken; from 1 on, no attempt fits."""
    key, limit = bucket
    with connected():
        row = ThrottleTable.get_or_none(ThrottleTable.key == key)
    filled = 0 if row is None else max(0, row.empty_ms - _ms(now))
    return 0.0 if filled > limit.room_ms + limit.each_ms + SLACK_MS else filled / (limit.room_ms + 1)


def drop_old(now: datetime) -> int:
    """Drop empty buckets; returns how many."""
    unknown = ThrottleTable.known_until.is_null() | (ThrottleTable.known_until <= now)
    with writing():
        return int(ThrottleTable.delete().where((ThrottleTable.empty_ms <= _ms(now)) & unknown).execute())


def _pour(key: str, limit: RateLimit, now: int) -> bool:
    each, room = limit.each_ms, limit.room_ms
    fits = (ThrottleTable.empty_ms <= now + room) | _from_another_time(limit, now)
    filled = (ThrottleTable.empty_ms > now) & (ThrottleTable.empty_ms <= now + room)
    fuller = Case(None, [(filled, ThrottleTable.empty_ms + each)], now + each)
    added = ThrottleTable.insert(key=key, empty_ms=now + each).on_conflict(
        conflict_target=[ThrottleTable.key], update={ThrottleTable.empty_ms: fuller}, where=fits
    )
    return bool(added.as_rowcount().execute())


def _from_another_time(limit: RateLimit, now: int) -> Any:
    """The condition for a bucket that is fuller than possible: it was filled by a clock that had jumped
    ahead."""
    return ThrottleTable.empty_ms > now + limit.room_ms + limit.each_ms + SLACK_MS


def _wait(buckets: Sequence[Bucket], now: datetime) -> int:
    """Seconds until one more attempt fits into each bucket."""
    with connected():
        rows = ThrottleTable.select().where(ThrottleTable.key.in_([key for key, _limit in buckets]))
        filled = {row.key: row.empty_ms - _ms(now) for row in rows}
    longest = 0
    for key, limit in buckets:
        excess = filled.get(key, 0) - limit.room_ms
        if 0 < excess <= limit.each_ms + SLACK_MS:
            longest = max(longest, excess)
    return math.ceil(longest / 1000)


def _ms(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
