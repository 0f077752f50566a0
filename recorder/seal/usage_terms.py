"""The usage terms of a recording: its purposes and when each ends, by all sealed documents (P9).

:func:`terms` is a pure function of the manifest, its amendments in order, the customer's retention limits and
the country's rules.  Each purpose has its own end, and the recording ends with the last one.  Precedence,
lowest first: expiry, withdrawal, deletion, deferral, legal hold.  A deferral keeps the recording, and revives
no purpose.

A purpose can rest on the announcement and on consent (in the call, or later).  A withdrawal ends consent.  It
ends the announced purpose only where the call was recorded by consent (opt-in or opt-out), and never where a
law requires the purpose.  A retention limit shortens announced purposes; consent lasts until its own end,
unless the limit covers earlier consents.

The country's rules limit use and erase nothing: otherwise a wrong country or a changed file would erase
recordings beyond recovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recorder.domain.call_plan import NOTICE
from recorder.prompts.country_rules import Pack
from recorder.prompts.purposes import standard
from recorder.seal.amendment import Amendment
from recorder.seal.amendment_kinds import (
    BOTH_SIDES,
    DELETED,
    EXPIRED,
    NARROWED,
    NOT_ANNOUNCED,
    SHORTENED,
    WITHDRAWN,
    ConsentAdded,
    ConsentWithdrawn,
    DeferralEnded,
    DeletionRequested,
    ErasureDeferred,
    HoldSet,
    OutcomeAdded,
    PurposesNarrowed,
    ended_hold,
)
from recorder.seal.manifest import AnnouncedPurpose, Manifest
from recorder.verified_state import VerifiedState

LONGEST_DEFERRAL = timedelta(days=212)
"""The longest time for which one amendment defers an erasure."""

READING_TIME = timedelta(days=7)
"""How long a deferral lasts after its dispute's outcome is sealed: both sides can still open and keep it."""


@dataclass(frozen=True, slots=True)
class RetentionLimit:
    """A customer's limit of ``keep_days``, in force since ``since``: for one purpose and one line (``None``:
    any).  Lifted at ``until``, it still holds for earlier recordings.  A purpose required by law is limited
    only by its name.  Consents are limited only with ``covers_consents``, and only those before ``since``."""

    keep_days: int
    purpose: str | None
    line: str | None
    since: datetime
    until: datetime | None = None
    covers_consents: bool = False

    def concerns(self, line: str, started_at: datetime, code: str) -> bool:
        """Whether the limit applies to a purpose of a recording."""
        if self.until is not None and started_at >= self.until:
            return False
        mine = not is_required_by_law(code) if self.purpose is None else self.purpose == code
        return mine and self.line in (None, line)

    def end(self, kept_from: datetime) -> datetime:
        """Return the end of a purpose by this limit, with retention from ``kept_from``."""
        return max(self.since, kept_from + timedelta(days=self.keep_days))

    def covers(self, agreed_at: datetime) -> bool:
        """Whether the limit covers a consent of this time."""
        return self.covers_consents and agreed_at < self.since


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold in force: its amendment's ``number`` and data, and ``since`` when it is held, by whichever
    hold was the first."""

    number: int
    since: datetime
    data: HoldSet


@dataclass(frozen=True, slots=True)
class Deferral:
    """A deferral of the erasure, set by the amendment ``number`` at ``since`` for a dispute: until its last
    day, or until an outcome that both sides agreed on has been sealed for :data:`READING_TIME`.  Its guests
    may hear the recording for these purposes meanwhile."""

    number: int
    dispute: str
    since: datetime
    until: datetime
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A purpose: its end, the reason ``why`` it ends, and ``use_until``, the end of its use, which is earlier
    where the country allows less.  ``consented_until`` is the end of consent, without limits and deletion;
    ``None`` where there is none, or it was withdrawn.

    It is a separate type beside the manifest's purpose because it is recomputed whenever it is needed:
    amendments, retention limits and the country's rules change the end, and the manifest cannot change."""

    code: str
    until: datetime
    use_until: datetime
    why: str
    consented_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Terms(VerifiedState):
    """The terms of a recording: ``until`` and ``why`` are the recording's own; ``deleted_at`` is the time of
    its customer's deletion request.  Without its ``deferrals`` it would have ended at ``ended_at``."""

    purposes: tuple[Term, ...]
    until: datetime
    why: str
    holds: tuple[Hold, ...]
    deleted_at: datetime | None
    ended_at: datetime
    deferrals: tuple[Deferral, ...] = ()

    def deferral(self, now: datetime) -> Deferral | None:
        """The deferral that keeps a recording that has ended: the one that lasts longest."""
        last = max(self.deferrals, key=lambda each: each.until, default=None)
        return last if last is not None and self.ended_at <= now < last.until else None

    def due(self, now: datetime) -> bool:
        """Whether the recording is due for erasure."""
        return not self.holds and now >= self.until

    def term(self, code: str) -> Term | None:
        return next((each for each in self.purposes if each.code == code), None)

    def active(self, now: datetime) -> tuple[str, ...]:
        """Return the purposes that have not ended, without regard to holds."""
        return tuple(each.code for each in self.purposes if now < each.until)

    def held_for(self, code: str) -> tuple[HoldSet, ...]:
        """Return the holds for a purpose."""
        return tuple(each.data for each in self.holds if code in each.data.purposes)


def is_required_by_law(code: str) -> bool:
    """Whether a law requires this purpose, by the standard purposes."""
    known = standard().get(code)
    return known is not None and known.by_law


def serves_disputes(code: str) -> bool:
    """Whether the purpose can serve a dispute."""
    known = standard().get(code)
    return known is not None and known.disputes


def retention_start(manifest: Manifest) -> datetime:
    """Return the start of retention; for an imported recording the stated end of the call."""
    if manifest.import_sha256 is not None:
        return manifest.ended_at
    announced, more = manifest.announced, manifest.keep_consent
    if announced is not None and announced.purposes:
        return announced.purposes[0].until - timedelta(days=announced.keep_days)
    if more is not None:
        return more.until - timedelta(days=more.keep_days)
    return max(manifest.ended_at, manifest.sealed_at)


def rests_on_consent(manifest: Manifest, code: str) -> bool:
    """Whether the announced purpose also rests on consent to recording (opt-in or opt-out)."""
    return manifest.consent.mode != NOTICE and not is_required_by_law(code)


def withdrawable_purposes(manifest: Manifest, amendments: Iterable[Amendment]) -> tuple[str, ...]:
    """Return the purposes whose consent can be withdrawn."""
    agreed = {each.data.purpose for each in amendments if isinstance(each.data, ConsentAdded)}
    if manifest.keep_consent is not None:
        agreed.add(manifest.keep_consent.code)
    codes = dict.fromkeys([*(each.code for each in manifest.purposes), *sorted(agreed)])
    return tuple(code for code in codes if code in agreed or rests_on_consent(manifest, code))


def terms(
    manifest: Manifest,
    amendments: Sequence[Amendment],
    limits: Sequence[RetentionLimit] = (),
    pack: Pack | None = None,
) -> Terms:
    """Return the terms of a recording by all sealed documents; without ``pack`` there is no ceiling of
    use."""
    deleted = min((each.at for each in amendments if isinstance(each.data, DeletionRequested)), default=None)
    codes = _codes(manifest, amendments)
    found = []
    for code in codes:
        until, why, agreed = _purpose(manifest, amendments, limits, code)
        if deleted is not None and deleted < until:
            until, why = deleted, DELETED
        use = until
        if pack is not None:
            use = min(use, retention_start(manifest) + timedelta(days=pack.rule(code).longest_keep_days))
        found.append(Term(code, until, use, why, agreed))
    if found:
        last = max(found, key=lambda each: each.until)
        until, why = last.until, last.why
    else:
        until, why = manifest.keep_until, EXPIRED if manifest.announced else NOT_ANNOUNCED
        if deleted is not None and deleted < until:
            until, why = deleted, DELETED
    deferred = deferrals(amendments)
    last_day = max((until, *(each.until for each in deferred)))
    return Terms(tuple(found), last_day, why, _holds(amendments), deleted, until, deferred)


def _codes(manifest: Manifest, amendments: Sequence[Amendment]) -> tuple[str, ...]:
    later = (each.data.purpose for each in amendments if isinstance(each.data, ConsentAdded))
    return tuple(dict.fromkeys([*(each.code for each in manifest.purposes), *later]))


@dataclass(frozen=True, slots=True)
class _Ground:
    """A ground of a purpose: its end, and the reason. ``agreed_at`` is the time of a consent, ``None`` for
    the announcement."""

    until: datetime
    agreed_at: datetime | None = None
    why: str = EXPIRED

    def cut(self, at: datetime, why: str) -> _Ground:
        return replace(self, until=at, why=why) if at < self.until else self


def _purpose(
    manifest: Manifest, amendments: Sequence[Amendment], limits: Sequence[RetentionLimit], code: str
) -> tuple[datetime, str, datetime | None]:
    """Return a purpose's end, its reason, and the end of consent, without regard to deletion."""
    grounds = _grounds(manifest, amendments, code)
    agreed = [each.until for each in grounds if each.agreed_at is not None and each.why == EXPIRED]
    limited = [each for each in limits if each.concerns(manifest.line, manifest.started_at, code)]
    for limit in limited:
        end = limit.end(retention_start(manifest))
        grounds = [
            each.cut(end, SHORTENED) if each.agreed_at is None or limit.covers(each.agreed_at) else each
            for each in grounds
        ]
    last = max(grounds, key=lambda each: each.until)
    return last.until, last.why, max(agreed, default=None)


def _grounds(manifest: Manifest, amendments: Sequence[Amendment], code: str) -> list[_Ground]:
    """Return the grounds of a purpose after withdrawals and narrowing."""
    found = []
    if (
        announced_until := _first(manifest.announced.purposes if manifest.announced else (), code)
    ) is not None:
        found.append(_Ground(announced_until))
    if manifest.keep_consent is not None and manifest.keep_consent.code == code:
        found.append(_Ground(manifest.keep_consent.until, manifest.ended_at))
    for each in amendments:
        data, at = each.data, each.at
        if isinstance(data, ConsentAdded) and data.purpose == code:
            found.append(_Ground(data.until, at))
        elif isinstance(data, ConsentWithdrawn) and code in data.purposes:
            both = rests_on_consent(manifest, code)
            found = [g.cut(at, WITHDRAWN) if both or g.agreed_at is not None else g for g in found]
        elif isinstance(data, PurposesNarrowed) and code in data.purposes:
            found = [g.cut(at, NARROWED) for g in found]
    return found


def _first(purposes: Iterable[AnnouncedPurpose], code: str) -> datetime | None:
    return next((each.until for each in purposes if each.code == code), None)


def _holds(amendments: Sequence[Amendment]) -> tuple[Hold, ...]:
    holds: dict[int | None, Hold] = {}
    for each in amendments:
        before = holds.pop(ended_hold(each.data), None)
        if isinstance(each.data, HoldSet):
            since = each.at if before is None else before.since
            holds[each.number] = Hold(each.number, since, each.data)
    return tuple(holds.values())


def deferrals(amendments: Iterable[Amendment]) -> tuple[Deferral, ...]:
    """Return the deferrals of a recording's erasure that nothing has ended before their last day."""
    found: dict[int, Deferral] = {}
    for each in amendments:
        data = each.data
        if isinstance(data, ErasureDeferred):
            found[each.number] = Deferral(each.number, data.dispute, each.at, data.until, data.purposes)
        elif isinstance(data, DeferralEnded):
            found.pop(data.deferral, None)
        elif isinstance(data, OutcomeAdded) and data.basis == BOTH_SIDES:
            last_day = each.at + READING_TIME
            found = {
                number: replace(one, until=min(one.until, last_day)) if one.dispute == data.dispute else one
                for number, one in found.items()
            }
    return tuple(found.values())
