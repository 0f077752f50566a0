"""Amends recordings after the call: legal holds, withdrawn consent, later agreements, ended purposes, and
deletion at the customer's request.

An amendment is put beside the manifest first, which commits it, then listed with its leaf.  Before that a
pending row is written, so that the worker can list what was put before a crash (``amendment_recovery.py``).
Rules are checked against the chain in the bucket: no row decides anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.database import connected
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables import lease
from recorder.clock import Now, truncate, utc_now
from recorder.domain import time_zones
from recorder.domain.roles import ADMIN
from recorder.errors import AccessError, KeepingError
from recorder.ids import Entropy
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_store import chain_of_row, put
from recorder.lifecycle.limits import limits_of
from recorder.lifecycle.statements import Statements
from recorder.prompts.purposes import standard
from recorder.seal import usage_terms as sealed
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import (
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeletionRequested,
    HoldLifted,
    HoldSet,
    PurposesNarrowed,
)
from recorder.seal.keyring import data_key_path
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.signing import Signer
from recorder.seal.usage_terms import Terms
from recorder.store.contract import Conflict, NotFound, Store

LONGEST_REVIEW = timedelta(days=366)
"""A hold is looked at again within a year."""

LONGEST_REASON = 500

TRIES = 3
"""Where several people amend a recording at once."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Looked:
    """A recording as it stands: its row, all that was sealed of it, and what follows."""

    row: RecordingRow
    chain: Chain
    terms: Terms
    now: datetime

    def may_hold(self) -> tuple[str, ...]:
        """The purposes that it can be held for: a dispute can need them, and they have not ended."""
        return tuple(code for code in self.terms.active(self.now) if sealed.serves_disputes(code))

    def may_withdraw(self) -> tuple[str, ...]:
        """The purposes of which consent can be withdrawn."""
        living = self.terms.active(self.now)
        asked = sealed.withdrawable_purposes(self.chain.manifest, self.chain.amendments)
        return tuple(code for code in asked if code in living)

    def may_narrow(self) -> tuple[str, ...]:
        """The purposes that its customer can end."""
        return tuple(code for code in self.terms.active(self.now) if not sealed.is_required_by_law(code))

    def why_not_agree(self) -> str | None:
        """The id of the reason why nothing can be agreed about it any more; ``None`` where it can."""
        manifest = self.chain.manifest
        if manifest.announced is None and manifest.import_sha256 is None:
            return "retention.not_announced"
        ended = not self.terms.active(self.now) and not self.terms.holds
        if manifest.import_sha256 is not None and not self.terms.purposes:
            ended = self.now >= self.terms.until
        return "retention.over" if ended or self.terms.deleted_at is not None else None

    def why_not_delete(self) -> str | None:
        """The id of the reason why it cannot be deleted; ``None`` where it can."""
        if self.terms.holds:
            return "retention.held"
        if any(sealed.is_required_by_law(code) for code in self.terms.active(self.now)):
            return "retention.by_law"
        return "retention.deleted" if self.terms.deleted_at is not None else None


Rule = Callable[[Looked], Data]
"""What is to be sealed of a recording as it stands.  Raises :class:`KeepingError` where it cannot be."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Writes amendments.  ``signer`` signs them; ``boundary`` is told each point that was reached, and
    nothing follows an amendment by a key that is ``revoked``.  Everything is asked with the customer's id.

    Everything raises :class:`AccessError` (``access.not_found``, ``access.erased``), :class:`KeepingError`
    (each method says which; ``retention.busy`` where somebody else is at this recording),
    :class:`recorder.errors.SealError` for what is not as it was sealed, and ``StoreError``."""

    store: Store
    root: Ed25519PublicKey
    signer: Signer
    now: Now = utc_now
    entropy: Entropy = os.urandom
    boundary: Callable[[str], None] = field(default=lambda _boundary: None)
    revoked: Callable[[], Revoked] = none_revoked

    @property
    def trust(self) -> Trust:
        """What statements are checked with."""
        return Trust(self.root, self.revoked)

    def look(self, tenant: str, recording: str) -> Looked:
        """A recording of a customer as the bucket has it now."""
        with connected():
            row = queries.recording(tenant, recording)
            if row is None:
                raise AccessError("access.not_found", "there is no such recording")
            if row.erased_at is not None:
                raise AccessError("access.erased", "the recording was destroyed")
            limits, pack = limits_of(tenant, self.trust), pack_of(tenant)
        chain = chain_of_row(row, self.store, self.root, self.revoked())
        if chain.erased is not None:
            raise AccessError("access.erased", "the recording was destroyed")
        told = sealed.terms(chain.manifest, chain.amendments, limits, pack)
        return Looked(row, chain, told, self.now())

    def hold(
        self,
        tenant: str,
        recording: str,
        by: By,
        *,
        owner: str,
        purposes: Sequence[str],
        reason: str,
        review_at: datetime,
        roles: Sequence[str] = (ADMIN,),
    ) -> None:
        """Keep it, whatever would end it, until the hold is lifted; heard by these roles for these purposes
        alone.  Raises ``retention.not_for_disputes``, ``retention.reason``, ``retention.review``,
        ``retention.roles``, ``retention.being_erased``."""

        def rule(looked: Looked) -> Data:
            if not purposes or not set(purposes) <= set(looked.may_hold()):
                raise KeepingError(
                    "retention.not_for_disputes", "a dispute cannot need it for these purposes"
                )
            if not looked.now < review_at <= looked.now + LONGEST_REVIEW:
                raise KeepingError("retention.review", "a hold is looked at again within a year")
            if not roles or not set(roles) <= _roles(purposes):
                raise KeepingError("retention.roles", "these roles may not use it for these purposes")
            if self._is_being_destroyed(looked.row):
                raise KeepingError("retention.being_erased", "it is being destroyed")
            at = truncate(review_at)
            return HoldSet(_once(purposes), owner, _said(reason), at, _once(roles))

        self._amend(tenant, recording, by, rule)

    def _is_being_destroyed(self, row: RecordingRow) -> bool:
        """Whether a recording, or all of its customer's, is being destroyed: the bucket's key goes first,
        and what a row alone says keeps nobody from holding it."""
        if row.wrapped_key is None:
            try:
                self.store.size(data_key_path(row.tenant, row.id))
            except NotFound:
                return True
        return Statements(self.store, self.root, self.revoked).erases(row.tenant)

    def lift(self, tenant: str, recording: str, by: By, *, hold: int, reason: str) -> None:
        """End a hold; what has ended meanwhile goes then.  Raises ``retention.no_hold``,
        ``retention.reason``."""

        def rule(looked: Looked) -> Data:
            if hold not in {each.number for each in looked.terms.holds}:
                raise KeepingError("retention.no_hold", f"it has no hold {hold}, or that was lifted")
            return HoldLifted(hold, _said(reason))

        self._amend(tenant, recording, by, rule)

    def withdraw(
        self, tenant: str, recording: str, by: By, *, reason: str, purposes: Sequence[str] | None = None
    ) -> None:
        """Consent is withdrawn: at once, what rests on it ends.  ``purposes`` ``None``: all that do.  Raises
        ``retention.not_by_consent``, ``retention.reason``."""

        def rule(looked: Looked) -> Data:
            can = looked.may_withdraw()
            wanted = can if purposes is None else tuple(purposes)
            if not wanted or not set(wanted) <= set(can):
                raise KeepingError(
                    "retention.not_by_consent", "it does not rest on consent for these purposes"
                )
            return ConsentWithdrawn(_once(wanted), _said(reason))

        self._amend(tenant, recording, by, rule)

    def agree(
        self,
        tenant: str,
        recording: str,
        by: By,
        *,
        purpose: str,
        keep_days: int,
        reason: str,
        on: date | None = None,
    ) -> None:
        """It was agreed after the call that it may be used for a purpose: :func:`agreeing`, with its
        errors.  One from elsewhere gets its first purpose so, on what its customer states in ``reason``."""
        rule = agreeing(tenant, purpose=purpose, keep_days=keep_days, reason=reason, on=on)
        self._amend(tenant, recording, by, rule)

    def narrow(self, tenant: str, recording: str, by: By, *, purposes: Sequence[str], reason: str) -> None:
        """End some of its purposes at once: :func:`narrowing`, with its errors."""
        self._amend(tenant, recording, by, narrowing(purposes=purposes, reason=reason))

    def foresee(self, tenant: str, recording: str, by: By, rule: Rule) -> tuple[Looked, Terms]:
        """A recording as it stands, and what would hold of it after a rule's amendment; nothing is written.
        Raises what the rule does."""
        looked = self.look(tenant, recording)
        after = [*looked.chain.amendments, looked.chain.next_amendment(rule(looked), by, looked.now)]
        with connected():
            limits, pack = limits_of(tenant, self.trust), pack_of(tenant)
        return looked, sealed.terms(looked.chain.manifest, after, limits, pack)

    def delete(self, tenant: str, recording: str, by: By, *, reason: str) -> None:
        """Its customer has it deleted: nobody hears it any more, and the worker destroys it.  Raises
        ``retention.held``, ``retention.by_law``, ``keeping.deleted``, ``retention.reason``."""

        def rule(looked: Looked) -> Data:
            if (why := looked.why_not_delete()) is not None:
                raise KeepingError(why, "it cannot be deleted")
            return DeletionRequested(_said(reason))

        self._amend(tenant, recording, by, rule)

    def leave(self, tenant: str, recording: str, by: By, *, reason: str) -> None:
        """Its customer has left, and nothing of it is to be kept: also what a law asks of that customer,
        who was handed it.  What was to be deleted before stays as it is.  Raises ``retention.held``."""

        def rule(looked: Looked) -> Data:
            if looked.terms.holds:
                raise KeepingError("retention.held", "it is held: lift the hold first")
            return DeletionRequested(_said(reason))

        if self.look(tenant, recording).terms.deleted_at is None:
            self._amend(tenant, recording, by, rule)

    def _amend(self, tenant: str, recording: str, by: By, rule: Rule) -> None:
        owner, now = self.entropy(8).hex(), self.now()
        self.look(tenant, recording)  # anybody else's is not there, and is not noted either
        claim = f"recording:{recording}"
        if not lease.take(claim, owner, now):
            raise KeepingError(
                "retention.busy", "somebody else is at this recording", "try again in a minute"
            )
        try:
            amendments.begin(tenant, recording, now)
            self.boundary("begun")
            try:
                chain = self._put(tenant, recording, by, rule)
            except KeepingError:
                amendments.end(recording)
                raise
            self.boundary("put")
            amendments.amended(chain, self.trust, now=now, entropy=self.entropy)
            self.boundary("listed")
        finally:
            lease.give_back(claim, owner)

    def _put(self, tenant: str, recording: str, by: By, rule: Rule) -> Chain:
        """The chain with what a rule says at its end."""
        for again in reversed(range(TRIES)):
            looked = self.look(tenant, recording)
            data = rule(looked)
            try:
                made = put(self.store, looked.chain, data, by, self.signer, self.root, looked.now)
            except Conflict:
                if not again:
                    raise
                continue
            log.info("recording.amended", recording=recording, number=made.number, kind=made.kind)
            break
        return chain_of_row(looked.row, self.store, self.root, self.revoked())


def agreeing(tenant: str, *, purpose: str, keep_days: int, reason: str, on: date | None = None) -> Rule:
    """That it was agreed after the call, on that day in the customer's zone, that it may be used for a
    purpose, kept so many days from the call on: at most as long as the customer's country allows.

    The rule raises ``keeping.not_announced``, ``keeping.over``, ``retention.purpose``,
    ``retention.too_long``, ``retention.past``, ``retention.agreed_on``, ``retention.reason``."""

    def rule(looked: Looked) -> Data:
        if (why := looked.why_not_agree()) is not None:
            raise KeepingError(why, "it was not announced, or its time is over, or it is to be deleted")
        if purpose not in standard() and purpose not in queries.own_purposes(tenant):
            raise KeepingError("retention.purpose", f"there is no purpose {purpose!r}")
        with connected():
            pack = pack_of(tenant)
        for objection in pack.objections([purpose], keep_days=keep_days):
            raise KeepingError("retention.too_long", objection.message, objection.hint)
        until = sealed.retention_start(looked.chain.manifest) + timedelta(days=keep_days)
        if until <= looked.now:
            raise KeepingError("retention.past", "counted from the call, that time is over already")
        if on is not None and not _day_of(tenant, looked.row.started_at) <= on <= _day_of(tenant, looked.now):
            raise KeepingError("retention.agreed_on", "it was agreed on a day from the call up to today")
        return ConsentAdded(purpose, until, pack.code, _said(reason), on)

    return rule


def narrowing(*, purposes: Sequence[str], reason: str) -> Rule:
    """That some of its purposes end at once.  The rule raises ``retention.purpose``, ``retention.by_law``,
    ``retention.reason``."""

    def rule(looked: Looked) -> Data:
        if not purposes or not set(purposes) <= set(looked.terms.active(looked.now)):
            raise KeepingError("retention.purpose", "it has no such purpose, or it has ended")
        if not set(purposes) <= set(looked.may_narrow()):
            raise KeepingError("retention.by_law", "a law asks that it be kept for that")
        return PurposesNarrowed(_once(purposes), _said(reason))

    return rule


def _roles(purposes: Sequence[str]) -> set[str]:
    known = standard()
    return {role for code in purposes if code in known for role in known[code].roles}


def _day_of(tenant: str, at: datetime) -> date:
    """The customer's day of a time."""
    owner = queries.tenant(tenant)
    return at.astimezone(time_zones.usable(owner.time_zone if owner else time_zones.FALLBACK)).date()


def _once(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))


def _said(reason: str) -> str:
    said = " ".join(reason.split())
    if not said or len(said) > LONGEST_REASON or not said.isprintable():
        raise KeepingError("retention.reason", f"a reason has up to {LONGEST_REASON} characters")
    return said
