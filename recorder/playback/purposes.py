"""Which purposes a recording has, and which of them a user may use now.

A recording has the purposes of its manifest and amendments (``seal/usage_terms.py``), for as long as they
last, minus what its row restricts: a row can only narrow them. A purpose names the roles that may use it. A
recording under legal hold may be used for the hold's purposes, by the roles that the hold names and by the
person who handles it, and for nothing else. While its erasure is deferred, a dispute's guests may still hear
it. Whatever nothing allows is denied: an empty policy, an unknown code, a purpose without roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from recorder.catalogue.records import RecordingRow
from recorder.domain.roles import ADMITTED
from recorder.playback.interface import PurposeChoice
from recorder.prompts import purposes as prompts
from recorder.seal.usage_terms import Term, Terms

Roles = Mapping[str, frozenset[str]]
"""Who may use each purpose, by its code."""


@dataclass(frozen=True, slots=True)
class PurposePolicy:
    """The actor's role and id, the time, and the roles of each purpose; :meth:`choices` applies the
    policy."""

    role: str
    now: datetime
    roles: Roles
    user: str | None = None

    def choices(self, terms: Terms, row: RecordingRow) -> tuple[PurposeChoice, ...]:
        """Every purpose that was announced or agreed to, with whether this user may use it now."""
        return tuple(
            PurposeChoice(each.code, reason is None, reason)
            for each in terms.purposes
            for reason in [self._refusal(each, terms, row)]
        )

    def _refusal(self, term: Term, terms: Terms, row: RecordingRow) -> str | None:
        holds = terms.held_for(term.code)
        if terms.holds and not holds:
            return "access.held"
        is_deferred = self._hears_deferred(term.code, terms)
        if not holds and not is_deferred and terms.deleted_at is not None and self.now >= terms.deleted_at:
            return "access.erased"
        if not is_deferred and self.now >= _lasts_until(term, terms, row):
            return "access.expired"
        if term.code in row.restricted or term.code not in row.purposes or not row.usable:
            return "access.purpose_restricted"
        if self.role not in self.roles.get(term.code, frozenset()):
            return "access.purpose_not_for_role"
        # Who handles it is part of the signed hold.
        if holds and not any(self.role in each.roles or self.user == each.owner for each in holds):
            return "access.held"
        return None

    def _hears_deferred(self, code: str, terms: Terms) -> bool:
        """Whether this user is a guest, and a deferral keeps the recording for this purpose."""
        deferral = terms.deferral(self.now)
        return self.role in ADMITTED and deferral is not None and code in deferral.purposes

    def lasts_until(self, code: str, terms: Terms, row: RecordingRow) -> datetime:
        """When this user's use of a purpose ends."""
        deferral = terms.deferral(self.now)
        if deferral is not None and self._hears_deferred(code, terms):
            return deferral.until
        term = terms.term(code)
        return row.keep_until if term is None else _lasts_until(term, terms, row)


def preselect(choices: Iterable[PurposeChoice], recent: str | None) -> str | None:
    """The purpose that a user need not choose: the only one that they may use, or else the one that they
    listened for most recently (``recent``), if they may use it here; ``None`` if they must choose."""
    allowed = [each.code for each in choices if each.allowed]
    if len(allowed) == 1:
        return allowed[0]
    return recent if recent in allowed else None


def _lasts_until(term: Term, terms: Terms, row: RecordingRow) -> datetime:
    """The end of a purpose: as sealed, or earlier if the row says so; under a legal hold for it, the hold's
    end."""
    if terms.held_for(term.code):
        return datetime.max.replace(tzinfo=UTC)
    return min(term.use_until, row.keep_until)


def roles_by_code(own: Roles) -> Roles:
    """The roles of each purpose: the standard ones and a tenant's own, which never replace a standard one."""
    return {**own, **{code: purpose.roles for code, purpose in prompts.standard().items()}}
