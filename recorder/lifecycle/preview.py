"""Previews the effect of a retention limit on existing recordings, before it is set: how many, and which.

It reads the catalogue's rows by whole days, so that it is quick for any number of recordings; no decision
rests on it. A recording kept for several purposes may be counted although one of them has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

from peewee import SQL, Case, fn

from recorder.catalogue.database import connected
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.lifecycle import amendments
from recorder.lifecycle.limits import limits_of
from recorder.seal.amendment_kinds import HOLD_SET
from recorder.seal.revocation import Trust
from recorder.seal.usage_terms import RetentionLimit


@dataclass(frozen=True, slots=True)
class LimitPreview:
    """``there``: recordings that are kept now for what the limit concerns. ``ends``: how many of them end
    earlier, by the day (UTC) on which they then end; ``alone`` of these have no other purpose and are erased
    on that day unless they are on legal hold (``on_hold`` of these).

    ``agreed``: recordings that would end earlier but were agreed to be kept longer. If the limit names
    agreements, they end too and are counted in ``ends``; otherwise they last until the agreed day."""

    there: int = 0
    ends: Mapping[date, int] = field(default_factory=dict)
    alone: int = 0
    agreed: int = 0
    on_hold: int = 0
    agreed_on_hold: int = 0

    @property
    def earlier(self) -> int:
        """How many recordings end earlier."""
        return sum(self.ends.values())


@dataclass(frozen=True, slots=True)
class ShortenedRecording:
    """A recording that a limit concerns.  ``until`` is when it would end for the limit's purpose: earlier
    than now, or, if that was agreed, on the agreed day.  ``on_hold``: it is on legal hold and stays."""

    row: RecordingRow
    until: datetime
    on_hold: bool


@dataclass(frozen=True, slots=True)
class NamedRecordings:
    """Recordings that a limit concerns, by name.  ``ends``: those that end earlier, oldest first; ``agreed``:
    those that an agreement exempts, latest first.  Each list may be cut off."""

    ends: tuple[ShortenedRecording, ...] = ()
    agreed: tuple[ShortenedRecording, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """Recordings on one line that start and end on the same days and have the same purposes."""

    start: datetime
    end: datetime
    line: str
    codes: tuple[str, ...]
    agreed: Mapping[str, str]
    count: int
    on_hold: int

    def ends(self, code: str, limits: Iterable[RetentionLimit]) -> datetime:
        """When a purpose ends: the later of what was announced and what was agreed, each as shortened by the
        limits."""
        agreed = _day(self.agreed[code]) if code in self.agreed else None
        # A row has one end for both, the announced day or an agreed one.
        announced = self.end
        for each in limits:
            if each.concerns(self.line, self.start, code):
                announced = min(announced, each.end(self.start))
                if agreed is not None and each.covers(self.start):
                    agreed = min(agreed, each.end(self.start))
        return announced if agreed is None else max(announced, min(agreed, self.end))


def preview_limit(tenant: str, limit: RetentionLimit, now: datetime, trust: Trust) -> LimitPreview:
    """The effect of setting a limit on a customer's recordings now."""
    with connected():
        before = limits_of(tenant, trust)
        groups = list(_groups(tenant, now))
    count = alone = agreed = on_hold = agreed_held = 0
    ends: Counter[date] = Counter()
    without, with_consents = ([*before, replace(limit, covers_consents=each)] for each in (False, True))
    for each in groups:
        codes = [code for code in each.codes if limit.concerns(each.line, each.start, code)]
        codes = [code for code in codes if each.ends(code, before).date() >= now.date()]
        if not codes:
            continue
        count += each.count
        cut = [
            code for code in codes if each.ends(code, with_consents).date() < each.ends(code, before).date()
        ]
        exempt = [
            code for code in cut if each.ends(code, without).date() > each.ends(code, with_consents).date()
        ]
        if exempt:
            agreed += each.count
            agreed_held += each.on_hold
        cut = cut if limit.covers_consents else [code for code in cut if code not in exempt]
        if cut:
            ends[max(each.ends(code, with_consents) for code in cut).date()] += each.count
            on_hold += each.on_hold
            alone += each.count if set(cut) == set(each.codes) else 0
    return LimitPreview(count, dict(sorted(ends.items())), alone, agreed, on_hold, agreed_held)


SCANNED = 5000
"""Rows that are read, oldest first, to name those that end earlier."""


def name_recordings(
    tenant: str, limit: RetentionLimit, now: datetime, trust: Trust, *, ends: int, agreed: int
) -> NamedRecordings:
    """The recordings that a limit (without ``covers_consents``) would end earlier, at most ``ends``, and
    those that an agreement exempts, at most ``agreed``."""
    with connected():
        before = limits_of(tenant, trust)
        after, with_consents = ([*before, replace(limit, covers_consents=each)] for each in (False, True))
        found: tuple[list[ShortenedRecording], list[ShortenedRecording]] = ([], [])
        is_agreed = _current(tenant, now) & (RecordingTable.consented_until != {})
        on_hold = _recordings_on_hold(tenant)
        for want, condition, order, names in (
            (ends, _current(tenant, now), RecordingTable.started_at, found[0]),
            (agreed, is_agreed, RecordingTable.started_at.desc(), found[1]),
        ):
            for row in RecordingTable.select().where(condition).order_by(order).limit(SCANNED).iterator():
                group = _group_of(row)
                codes = [code for code in group.codes if limit.concerns(group.line, group.start, code)]
                codes = [code for code in codes if group.ends(code, before).date() >= now.date()]
                cut = [c for c in codes if group.ends(c, with_consents).date() < group.ends(c, before).date()]
                exempt = [c for c in cut if group.ends(c, after).date() > group.ends(c, with_consents).date()]
                codes_to_list = exempt if names is found[1] else [c for c in cut if c not in exempt]
                if codes_to_list and len(names) < want:
                    until = max(group.ends(code, after) for code in codes_to_list)
                    names.append(ShortenedRecording(recording_row(row), until, row.id in on_hold))
                if len(names) >= want:
                    break
    return NamedRecordings(tuple(found[0]), tuple(found[1]))


def _group_of(row: RecordingTable) -> _Group:
    start, end = (each.date().isoformat() for each in (row.started_at, row.keep_until))
    codes, agreed = tuple(row.purposes), row.consented_until
    return _Group(_day(start), _day(end), row.line_id, codes, agreed, 1, 0)


def _current(tenant: str, now: datetime) -> Any:
    """The recordings that are there."""
    return (
        (RecordingTable.tenant == tenant)
        & RecordingTable.erased_at.is_null()
        & (RecordingTable.keep_until > now)
    )


def _recordings_on_hold(tenant: str) -> frozenset[str]:
    return frozenset(each.recording for each in amendments.holds(tenant))


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
    query: Any = RecordingTable.select(*what, *counts).where(_current(tenant, now))
    # By position: PostgreSQL treats each occurrence of a function with parameters as a different one.
    for start, until, line, codes, agreed, count, on_hold in query.group_by(
        *(SQL(str(place + 1)) for place in range(len(what)))
    ).tuples():
        yield _Group(_day(start), _day(until), line, tuple(codes), agreed, int(count), int(on_hold))


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
