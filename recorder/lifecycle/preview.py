"""Previews what a retention limit would do to existing recordings, before it is set.

It counts the catalogue's rows by whole days, so that it is quick for any number of recordings; nothing is
decided by it.  Where other purposes keep a recording, one of its purposes may have ended and still be
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

from peewee import SQL, Case, fn

from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.lifecycle.limits import limits_of
from recorder.seal.amendment_kinds import HOLD_SET
from recorder.seal.revocation import Trust
from recorder.seal.usage_terms import RetentionLimit


@dataclass(frozen=True, slots=True)
class Foreseen:
    """``there``: recordings that are kept now for what the limit concerns.  ``ends``: for how many of them
    that ends earlier, by the day (UTC) on which it then does; ``alone`` of these have no other purpose:
    they are destroyed then, unless they are on legal hold (``held`` of these).

    ``agreed``: how many of those that would end earlier were agreed to be kept longer: with a limit that
    names agreements they end too and are counted in ``ends``; otherwise they stay until the day that was
    agreed."""

    there: int = 0
    ends: Mapping[date, int] = field(default_factory=dict)
    alone: int = 0
    agreed: int = 0
    held: int = 0
    agreed_held: int = 0

    @property
    def earlier(self) -> int:
        """How many end earlier."""
        return sum(self.ends.values())


@dataclass(frozen=True, slots=True)
class _Group:
    """Recordings that began and end on the same days, on one line, for the same purposes."""

    start: datetime
    end: datetime
    line: str
    codes: tuple[str, ...]
    agreed: Mapping[str, str]
    count: int
    held: int

    def ends(self, code: str, limits: Iterable[RetentionLimit]) -> datetime:
        """When a purpose ends: what was announced, and what was agreed, each with the limits that concern
        it."""
        agreed = _day(self.agreed[code]) if code in self.agreed else None
        # What was announced is not told apart in a row: the recording's own day, or a day that was agreed.
        announced = self.end
        for each in limits:
            if each.concerns(self.line, self.start, code):
                announced = min(announced, each.end(self.start))
                if agreed is not None and each.covers(self.start):
                    agreed = min(agreed, each.end(self.start))
        return announced if agreed is None else max(announced, min(agreed, self.end))


def foresee(tenant: str, limit: RetentionLimit, now: datetime, trust: Trust) -> Foreseen:
    """What a limit would end of a customer's recordings, were it set now."""
    with connected():
        before = limits_of(tenant, trust)
        groups = list(_groups(tenant, now))
    there = alone = agreed = held = agreed_held = 0
    ends: Counter[date] = Counter()
    without, named = ([*before, replace(limit, covers_consents=each)] for each in (False, True))
    for each in groups:
        mine = [code for code in each.codes if limit.concerns(each.line, each.start, code)]
        mine = [code for code in mine if each.ends(code, before).date() >= now.date()]
        if not mine:
            continue
        there += each.count
        cut = [code for code in mine if each.ends(code, named).date() < each.ends(code, before).date()]
        spared = [code for code in cut if each.ends(code, without).date() > each.ends(code, named).date()]
        if spared:
            agreed += each.count
            agreed_held += each.held
        cut = cut if limit.covers_consents else [code for code in cut if code not in spared]
        if cut:
            ends[max(each.ends(code, named) for code in cut).date()] += each.count
            held += each.held
            alone += each.count if set(cut) == set(each.codes) else 0
    return Foreseen(there, dict(sorted(ends.items())), alone, agreed, held, agreed_held)


def _groups(tenant: str, now: datetime) -> Iterable[_Group]:
    holds = (
        (AmendmentTable.tenant == tenant)
        & (AmendmentTable.kind == HOLD_SET)
        & AmendmentTable.ended_by.is_null()
    )
    is_held = RecordingTable.id.in_(AmendmentTable.select(AmendmentTable.recording).where(holds))
    what = (
        fn.SUBSTR(RecordingTable.started_at, 1, 10).coerce(False),
        fn.SUBSTR(RecordingTable.keep_until, 1, 10).coerce(False),
        RecordingTable.line_id,
        RecordingTable.purposes,
        RecordingTable.consented_until,
    )
    counts = fn.COUNT(RecordingTable.id), fn.SUM(Case(None, [(is_held, 1)], 0))
    mine = (
        (RecordingTable.tenant == tenant)
        & RecordingTable.erased_at.is_null()
        & (RecordingTable.keep_until > now)
    )
    query: Any = RecordingTable.select(*what, *counts).where(mine)
    # By position: PostgreSQL takes a function with parameters for another one each time it is written.
    for began, until, line, codes, agreed, count, held in query.group_by(
        *(SQL(str(place + 1)) for place in range(len(what)))
    ).tuples():
        yield _Group(_day(began), _day(until), line, tuple(codes), agreed, int(count), int(held))


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
