"""What a shorter keeping time would do to the recordings that are there: told to people before it is set.

Counted by the catalogue's rows and by whole days, so that it is quick for any number of recordings: nothing
is decided by it.  A recording that is held goes later; where other purposes keep a recording, one of its
purposes may have ended already and is counted still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from peewee import SQL, fn

from recorder.catalogue.limits import limits_of
from recorder.catalogue.models import Recording, connected
from recorder.seal.terms import Limit


@dataclass(frozen=True, slots=True)
class Foreseen:
    """``there``: recordings that are kept for the purpose now.  ``ends``: for how many of them it ends
    earlier, by the day (UTC) on which it then does.  ``alone`` of these have no other purpose: they are
    destroyed then."""

    there: int
    ends: Mapping[date, int]
    alone: int

    @property
    def earlier(self) -> int:
        """How many end earlier."""
        return sum(self.ends.values())


def foresee(tenant: str, purpose: str, keep_days: int, now: datetime) -> Foreseen:
    """What keeping a customer's recordings for a purpose at most so many days would end."""
    limit = Limit(keep_days, purpose, None, now)
    began = fn.SUBSTR(Recording.started_at, 1, 10).coerce(False)
    until = fn.SUBSTR(Recording.keep_until, 1, 10).coerce(False)
    what = (began, until, Recording.line_id, Recording.purposes)
    with connected():
        set_before = limits_of(tenant)
        mine = (Recording.tenant == tenant) & Recording.destroyed_at.is_null() & (Recording.keep_until > now)
        groups: Any = Recording.select(*what, fn.COUNT(Recording.id)).where(mine)
        # By position: PostgreSQL takes a function with parameters for another one each time it is written.
        groups = groups.group_by(*(SQL(str(place + 1)) for place in range(len(what)))).tuples()
        rows = [row for row in groups if purpose in row[3]]
    ends: Counter[date] = Counter()
    there = alone = 0
    for began_on, until_on, line, codes, count in rows:
        start, end = _day(began_on), _day(until_on)
        for each in set_before:
            if each.concerns(line, start, purpose):
                end = min(end, each.end(start))
        if end.date() < now.date():
            continue
        there += count
        if limit.end(start).date() < end.date():
            ends[limit.end(start).date()] += count
            alone += count if codes == [purpose] else 0
    return Foreseen(there, dict(sorted(ends.items())), alone)


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
