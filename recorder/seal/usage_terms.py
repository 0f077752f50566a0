"""What a recording may be used for and until when, by all that was sealed of it: kept as long as announced,
then gone (P9).

:func:`terms` is a pure function of the manifest, its amendments in their order, what the customer set since,
and the country's pack.  Each purpose ends at its own time, and with the last one the recording.  What ends or
keeps it outranks in this order: its day, then a withdrawal, then that it is to be deleted, then a hold.

A purpose can rest on two things: that it was announced, and that it was agreed to (in the call, or later).
Who withdraws takes back the second; the first only where the call was recorded because they agreed, or did
not refuse, and never where a law asks for it.  A customer's retention limit shortens the first; what was
agreed lasts until its own day, unless the limit names the agreements made before it.

The pack is the ceiling of use.  It destroys nothing by itself: a customer's country, or a pack, that is
another than it was would otherwise destroy what no later correction brings back.
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
    DELETED,
    EXPIRED,
    NARROWED,
    NOT_ANNOUNCED,
    SHORTENED,
    WITHDRAWN,
    ConsentAdded,
    ConsentWithdrawn,
    DeletionRequested,
    HoldLifted,
    HoldSet,
    PurposesNarrowed,
)
from recorder.seal.manifest import AnnouncedPurpose, Manifest


@dataclass(frozen=True, slots=True)
class RetentionLimit:
    """That a customer keeps recordings no longer than ``keep_days`` since ``since``: for one purpose, on one
    line (``None``: any).  Lifted at ``until``, it still holds for what was recorded before.  A purpose that a
    law asks for is limited only by its name.  What was agreed is limited only with ``covers_consents``, and only
    where it was agreed before ``since``."""

    keep_days: int
    purpose: str | None
    line: str | None
    since: datetime
    until: datetime | None = None
    covers_consents: bool = False

    def concerns(self, line: str, started_at: datetime, code: str) -> bool:
        """Whether it holds for a purpose of a recording, made on a line at a time."""
        if self.until is not None and started_at >= self.until:
            return False
        mine = not by_law(code) if self.purpose is None else self.purpose == code
        return mine and self.line in (None, line)

    def end(self, kept_from: datetime) -> datetime:
        """When what is kept from a time on ends by it."""
        return max(self.since, kept_from + timedelta(days=self.keep_days))

    def names(self, agreed_at: datetime) -> bool:
        """Whether it also shortens what was agreed at a time."""
        return self.covers_consents and agreed_at < self.since


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that is set: its amendment's ``number``, and what that says."""

    number: int
    since: datetime
    said: HoldSet


@dataclass(frozen=True, slots=True)
class Term:
    """A purpose: it lasts ``until``, and ``why`` it then ends; it may be used up to ``use_until``, which is
    earlier where the country allows less.  ``consented_until``: until when it was agreed to, limits and deletion
    aside; ``None`` where nobody agreed, or that was taken back."""

    code: str
    until: datetime
    use_until: datetime
    why: str
    consented_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """All of it: ``until`` and ``why`` are the recording's own; ``deleted_at`` is when its customer asked for
    it to be deleted."""

    purposes: tuple[Term, ...]
    until: datetime
    why: str
    holds: tuple[Hold, ...]
    deleted_at: datetime | None

    def due(self, now: datetime) -> bool:
        """Whether it is to be destroyed."""
        return not self.holds and now >= self.until

    def term(self, code: str) -> Term | None:
        return next((each for each in self.purposes if each.code == code), None)

    def living(self, now: datetime) -> tuple[str, ...]:
        """The purposes that have not ended, holds aside."""
        return tuple(each.code for each in self.purposes if now < each.until)

    def held_for(self, code: str) -> tuple[HoldSet, ...]:
        """The holds that keep it for a purpose."""
        return tuple(each.said for each in self.holds if code in each.said.purposes)


def by_law(code: str) -> bool:
    """Whether a law asks to keep it for this purpose: by the data of the standard purposes."""
    known = standard().get(code)
    return known is not None and known.by_law


def for_disputes(code: str) -> bool:
    """Whether a dispute can need this purpose."""
    known = standard().get(code)
    return known is not None and known.disputes


def kept_from(manifest: Manifest) -> datetime:
    """The time that its keeping is counted from; of a recording from elsewhere its call's end, as stated."""
    if manifest.import_sha256 is not None:
        return manifest.ended_at
    told, more = manifest.announced, manifest.keep_consent
    if told is not None and told.purposes:
        return told.purposes[0].until - timedelta(days=told.keep_days)
    if more is not None:
        return more.until - timedelta(days=more.keep_days)
    return max(manifest.ended_at, manifest.sealed_at)


def rests_on_consent(manifest: Manifest, code: str) -> bool:
    """Whether that it was announced for this purpose is not enough: they agreed, or did not refuse."""
    return manifest.consent.mode != NOTICE and not by_law(code)


def withdrawable(manifest: Manifest, amendments: Iterable[Amendment]) -> tuple[str, ...]:
    """The purposes of which somebody can take back that they agreed."""
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
    """What holds of a recording after all that was sealed; ``pack`` ``None``: no ceiling is known."""
    deleted = min((each.at for each in amendments if isinstance(each.data, DeletionRequested)), default=None)
    codes = _codes(manifest, amendments)
    found = []
    for code in codes:
        until, why, agreed = _purpose(manifest, amendments, limits, code)
        if deleted is not None and deleted < until:
            until, why = deleted, DELETED
        use = until
        if pack is not None:
            use = min(use, kept_from(manifest) + timedelta(days=pack.rule(code).longest_keep_days))
        found.append(Term(code, until, use, why, agreed))
    if found:
        last = max(found, key=lambda each: each.until)
        until, why = last.until, last.why
    else:
        until, why = manifest.keep_until, EXPIRED if manifest.announced else NOT_ANNOUNCED
        if deleted is not None and deleted < until:
            until, why = deleted, DELETED
    return Terms(tuple(found), until, why, _holds(amendments), deleted)


def _codes(manifest: Manifest, amendments: Sequence[Amendment]) -> tuple[str, ...]:
    later = (each.data.purpose for each in amendments if isinstance(each.data, ConsentAdded))
    return tuple(dict.fromkeys([*(each.code for each in manifest.purposes), *later]))


@dataclass(frozen=True, slots=True)
class _Ground:
    """Something that a purpose rests on: until when, and why it then ends; ``agreed_at`` is when it was
    agreed to, ``None`` where it was announced."""

    until: datetime
    agreed_at: datetime | None = None
    why: str = EXPIRED

    def cut(self, at: datetime, why: str) -> _Ground:
        return replace(self, until=at, why=why) if at < self.until else self


def _purpose(
    manifest: Manifest, amendments: Sequence[Amendment], limits: Sequence[RetentionLimit], code: str
) -> tuple[datetime, str, datetime | None]:
    """Until when a purpose lasts, what ends it, and until when it was agreed to; deletion aside."""
    grounds = _grounds(manifest, amendments, code)
    agreed = [each.until for each in grounds if each.agreed_at is not None and each.why == EXPIRED]
    limited = [each for each in limits if each.concerns(manifest.line, manifest.started_at, code)]
    for limit in limited:
        end = limit.end(kept_from(manifest))
        grounds = [
            each.cut(end, SHORTENED) if each.agreed_at is None or limit.names(each.agreed_at) else each
            for each in grounds
        ]
    last = max(grounds, key=lambda each: each.until)
    return last.until, last.why, max(agreed, default=None)


def _grounds(manifest: Manifest, amendments: Sequence[Amendment], code: str) -> list[_Ground]:
    """All that a purpose rests on, withdrawn and narrowed since."""
    found = []
    if (told := _first(manifest.announced.purposes if manifest.announced else (), code)) is not None:
        found.append(_Ground(told))
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
    lifted = {each.data.hold for each in amendments if isinstance(each.data, HoldLifted)}
    return tuple(
        Hold(each.number, each.at, each.data)
        for each in amendments
        if isinstance(each.data, HoldSet) and each.number not in lifted
    )
