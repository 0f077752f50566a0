"""Amends recordings after the call: legal holds, withdrawn consent, later agreements, ended purposes, and
deletion at the customer's request.

An amendment is put beside the manifest first, which commits it, and then listed with its leaf. Before that a
pending row is written, so that the worker can list it after a crash (``amendment_recovery.py``). Rules are
checked against the chain in the bucket, never against rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

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
from recorder.errors import AccessError, RetentionError, SealError
from recorder.ids import Entropy
from recorder.lifecycle import amendments, plans
from recorder.lifecycle.amendment_store import chain_of_row, put
from recorder.lifecycle.erased_recording import recording_erased
from recorder.lifecycle.limits import limits_of
from recorder.lifecycle.statements import Statements
from recorder.prompts.purposes import standard
from recorder.seal import hints
from recorder.seal import usage_terms as sealed
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import Chain
from recorder.seal.amendment_kinds import (
    STATED,
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeferralEnded,
    DeletionRequested,
    ErasureDeferred,
    HoldLifted,
    HoldSet,
    OutcomeAdded,
    PurposesNarrowed,
)
from recorder.seal.keyring import data_key_path
from recorder.seal.manifest import Manifest
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.signing import Signer
from recorder.seal.usage_terms import Deferral, Terms
from recorder.store.contract import Conflict, NotFound, Store
from recorder.verified_state import VerifiedState

LONGEST_REVIEW = timedelta(days=366)
"""The longest time until a hold is reviewed."""

LONGEST_REASON = 500

WIDENS: Final = (ConsentAdded, HoldLifted, DeferralEnded)
"""Amendments after which more is heard, or erased: only where the chain has every amendment that the log
names."""

TRIES = 3

_HOLDS = "`accord recording show` lists its holds"
"""Attempts, if several people amend a recording at once."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RecordingStatus(VerifiedState):
    """A recording as it was when somebody looked: its row, its sealed documents, and the resulting terms."""

    row: RecordingRow
    chain: Chain
    terms: Terms
    now: datetime

    def may_hold(self) -> tuple[str, ...]:
        """The purposes for which it can be put on hold: those that can serve a dispute and have not ended."""
        return tuple(code for code in self.terms.active(self.now) if sealed.serves_disputes(code))

    def may_withdraw(self) -> tuple[str, ...]:
        """The purposes for which consent can be withdrawn."""
        active = self.terms.active(self.now)
        withdrawable = sealed.withdrawable_purposes(self.chain.manifest, self.chain.amendments)
        return tuple(code for code in withdrawable if code in active)

    def may_narrow(self) -> tuple[str, ...]:
        """The purposes that the customer can end."""
        return tuple(code for code in self.terms.active(self.now) if not sealed.is_required_by_law(code))

    def why_not_agree(self) -> str | None:
        """The id of the reason why no later agreement is possible; ``None`` if one is."""
        manifest = self.chain.manifest
        if manifest.announced is None and manifest.import_sha256 is None:
            return "retention.not_announced"
        over = not self.terms.active(self.now) and not self.terms.holds
        if manifest.import_sha256 is not None and not self.terms.purposes:
            over = self.now >= self.terms.until
        return "retention.over" if over or self.terms.deleted_at is not None else None

    def why_not_delete(self) -> str | None:
        """The id of the reason why it cannot be deleted; ``None`` if it can."""
        if self.terms.holds:
            return "retention.held"
        if any(sealed.is_required_by_law(code) for code in self.terms.active(self.now)):
            return "retention.by_law"
        return "retention.deleted" if self.terms.deleted_at is not None else None


def recording_status(row: RecordingRow, chain: Chain, terms: Terms, now: datetime) -> RecordingStatus:
    """The status of a recording by its chain and terms. Raises :class:`SealError` (``seal.manifest_foreign``)
    for the chain of another one."""
    manifest = chain.manifest
    if (manifest.tenant, manifest.recording) != (row.tenant, row.id):
        what = f"the chain of recording {manifest.recording} is not that of {row.id}"
        raise SealError("seal.manifest_foreign", what, hints.COMPARE)
    return RecordingStatus(row, chain, terms, now)


Rule = Callable[[RecordingStatus], Data]
"""Makes an amendment's data from a recording's status. Raises :class:`RetentionError` if the amendment is not
allowed."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Writes amendments, signed by ``signer``. ``boundary`` is called with each point reached; an amendment
    by a ``revoked`` key is not accepted. A method that amends takes the status of a recording that somebody
    has looked at (:meth:`look`), and decides by what it is then.

    Every method raises :class:`AccessError` (``access.not_found``, ``access.erased``),
    :class:`RetentionError` (as listed with each; ``retention.busy`` while another process amends this
    recording), :class:`recorder.errors.SealError` for documents that are not as sealed, and
    ``StoreError``."""

    store: Store
    root: Ed25519PublicKey
    signer: Signer
    now: Now = utc_now
    entropy: Entropy = os.urandom
    boundary: Callable[[str], None] = field(default=lambda _boundary: None)
    revoked: Callable[[], Revoked] = none_revoked

    @property
    def trust(self) -> Trust:
        """The keys that statements are verified with."""
        return Trust(self.root, self.revoked)

    def look(self, tenant: str, recording: str) -> RecordingStatus:
        """The status of a customer's recording, read from the bucket now."""
        with connected():
            row = queries.recording(tenant, recording)
            if row is None:
                raise AccessError(
                    "access.not_found",
                    "there is no such recording",
                    "`accord recording list` shows a customer's recordings",
                )
            if row.erased_at is not None:
                raise recording_erased()
            limits, pack = limits_of(tenant, self.trust), pack_of(tenant)
        chain = chain_of_row(row, self.store, self.root, self.revoked())
        if chain.erased is not None:
            raise recording_erased()
        usage = sealed.terms(chain.manifest, chain.amendments, limits, pack)
        return recording_status(row, chain, usage, self.now())

    def hold(
        self,
        current: RecordingStatus,
        by: By,
        *,
        owner: str,
        purposes: Sequence[str],
        reason: str,
        review_at: datetime,
        roles: Sequence[str] = (ADMIN,),
    ) -> int:
        """Keep a recording until the hold is lifted, whatever else would end it; meanwhile only these roles
        may hear it, for these purposes. Returns the hold's number. Raises ``retention.not_for_disputes``,
        ``retention.reason``, ``retention.review``, ``retention.roles``, ``retention.being_erased``."""

        def rule(status: RecordingStatus) -> Data:
            if not purposes or not set(purposes) <= set(status.may_hold()):
                raise RetentionError(
                    "retention.not_for_disputes",
                    "it cannot be held for these purposes: they cannot serve a dispute, or have ended",
                    "choose purposes that can serve a dispute and are in force: `accord recording show`",
                )
            if not status.now < review_at <= status.now + LONGEST_REVIEW:
                raise RetentionError(
                    "retention.review",
                    "--review must be within a year",
                    "choose a day in the next year; the hold can be renewed then",
                )
            if not roles or not set(roles) <= _roles(purposes):
                raise RetentionError(
                    "retention.roles",
                    "the purposes do not include these roles",
                    "choose roles that the purposes include",
                )
            if self._is_being_destroyed(status.row):
                raise RetentionError(
                    "retention.being_erased",
                    "the recording is being erased",
                    "nothing can be done: a hold comes too late",
                )
            at = truncate(review_at)
            return HoldSet(_distinct(purposes), owner, _check_reason(reason), at, _distinct(roles))

        return self._amend(current, by, rule)

    def _is_being_destroyed(self, row: RecordingRow) -> bool:
        """Whether the recording, or all of its customer's data, is being erased. The bucket's key goes first;
        a row alone prevents no hold."""
        if row.wrapped_key is None:
            try:
                self.store.size(data_key_path(row.tenant, row.id))
            except NotFound:
                return True
        return Statements(self.store, self.root, self.revoked).orders_erasure(row.tenant)

    def lift(self, current: RecordingStatus, by: By, *, hold: int, reason: str) -> None:
        """Lift a hold; what has expired meanwhile is then erased. Raises ``retention.no_hold``,
        ``retention.reason``."""

        def rule(status: RecordingStatus) -> Data:
            if hold not in {each.number for each in status.terms.holds}:
                raise RetentionError(
                    "retention.no_hold", f"it has no hold {hold}, or the hold was lifted", _HOLDS
                )
            return HoldLifted(hold, _check_reason(reason))

        self._amend(current, by, rule)

    def hand_over(self, current: RecordingStatus, by: By, *, hold: int, owner: str) -> None:
        """Let somebody else, with the id ``owner``, handle what a hold is about. Raises
        ``retention.no_hold``, ``retention.handler`` (they handle it already)."""

        def rule(status: RecordingStatus) -> Data:
            found = next((each.data for each in status.terms.holds if each.number == hold), None)
            if found is None:
                raise RetentionError(
                    "retention.no_hold", f"it has no hold {hold}, or the hold was lifted", _HOLDS
                )
            if found.owner == owner:
                raise RetentionError(
                    "retention.handler",
                    "that person handles the hold already",
                    "choose another person, or change nothing",
                )
            return replace(found, owner=owner, replaces=hold)

        self._amend(current, by, rule)

    def withdraw(
        self, current: RecordingStatus, by: By, *, reason: str, purposes: Sequence[str] | None = None
    ) -> None:
        """Withdraw consent, which ends at once what rests on it. ``purposes`` ``None``: all that do. Raises
        ``retention.not_by_consent``, ``retention.reason``."""

        def rule(status: RecordingStatus) -> Data:
            allowed = status.may_withdraw()
            chosen_codes = allowed if purposes is None else tuple(purposes)
            if not chosen_codes or not set(chosen_codes) <= set(allowed):
                raise RetentionError(
                    "retention.not_by_consent",
                    "these purposes do not rest on consent",
                    "name others: `accord recording show`; `accord recording restrict` ends any purpose",
                )
            return ConsentWithdrawn(_distinct(chosen_codes), _check_reason(reason))

        self._amend(current, by, rule)

    def agree(
        self,
        current: RecordingStatus,
        by: By,
        *,
        purpose: str,
        keep_days: int,
        reason: str,
        on: date | None = None,
        basis: str = STATED,
    ) -> None:
        """Record an agreement made after the call: :func:`agreement_rule`, with its errors. An imported
        recording gets its first purpose this way, on its customer's statement in ``reason``."""
        rule = agreement_rule(
            current.row.tenant, purpose=purpose, keep_days=keep_days, reason=reason, on=on, basis=basis
        )
        self._amend(current, by, rule)

    def add_outcome(
        self,
        current: RecordingStatus,
        by: By,
        is_same: Callable[[OutcomeAdded, Manifest], bool],
        make: Callable[[Manifest], OutcomeAdded],
    ) -> int:
        """Seal what the two sides of a dispute agreed on beside a recording of theirs; ``make`` encrypts it
        for that recording. Returns the amendment's number, also if ``is_same`` says that one before it is the
        same outcome."""
        for each in current.chain.amendments:
            if isinstance(each.data, OutcomeAdded) and is_same(each.data, current.chain.manifest):
                return each.number
        return self._amend(current, by, lambda status: make(status.chain.manifest))

    def defer_erasure(
        self, current: RecordingStatus, by: By, *, dispute: str, until: datetime, purposes: Sequence[str]
    ) -> int | None:
        """Let the erasure of a recording wait for a dispute's outcome, at most until a last day; its guests
        may hear it for these purposes meanwhile. Returns the deferral's number; ``None`` if one for this
        dispute lasts as long already."""
        until = truncate(until)
        for each in current.terms.deferrals:
            if each.dispute == dispute and each.until >= until:
                return None
        return self._amend(current, by, lambda _status: ErasureDeferred(dispute, until, _distinct(purposes)))

    def end_deferrals(
        self, current: RecordingStatus, by: By, *, dispute: str, how: str, people: Sequence[str]
    ) -> None:
        """End what :meth:`defer_erasure` set for a dispute: what one side asked for takes effect. ``people``
        said so, for the reason ``how`` (:class:`recorder.seal.amendment_kinds.DeferralEnded`)."""
        for each in current.terms.deferrals:
            if each.dispute == dispute:
                self._amend(current, by, partial(_end_deferral, each, how, people))

    def narrow(self, current: RecordingStatus, by: By, *, purposes: Sequence[str], reason: str) -> None:
        """End some purposes at once: :func:`narrowing_rule`, with its errors."""
        self._amend(current, by, narrowing_rule(purposes=purposes, reason=reason))

    def preview(self, tenant: str, recording: str, by: By, rule: Rule) -> tuple[RecordingStatus, Terms]:
        """A recording's status, and its terms after a rule's amendment; nothing is written. Raises as the
        rule does."""
        status = self.look(tenant, recording)
        after = [*status.chain.amendments, status.chain.next_amendment(rule(status), by, status.now)]
        with connected():
            limits, pack = limits_of(tenant, self.trust), pack_of(tenant)
        return status, sealed.terms(status.chain.manifest, after, limits, pack)

    def delete(self, current: RecordingStatus, by: By, *, reason: str) -> None:
        """Delete a recording at its customer's request: nobody hears it from now on, and the worker erases
        it. Raises ``retention.held``, ``retention.by_law``, ``retention.deleted``, ``retention.reason``."""

        def rule(status: RecordingStatus) -> Data:
            if (why := status.why_not_delete()) is not None:
                raise RetentionError(
                    why,
                    "it cannot be deleted: it is on legal hold, a law requires it, or it was deleted before",
                    "lift its holds first, or wait for its end: `accord recording show` has both",
                )
            return DeletionRequested(_check_reason(reason))

        self._amend(current, by, rule)

    def leave(self, current: RecordingStatus, by: By, *, reason: str) -> None:
        """Delete a recording of a departed customer, even if a law requires that customer to keep it: they
        have received it. If it was deleted before, nothing changes. Raises ``retention.held``."""

        def rule(status: RecordingStatus) -> Data:
            if status.terms.holds:
                raise RetentionError(
                    "retention.held", "the recording is on legal hold", "`accord hold lift` lifts the hold"
                )
            return DeletionRequested(_check_reason(reason))

        if current.terms.deleted_at is None:
            self._amend(current, by, rule)

    def _amend(self, current: RecordingStatus, by: By, rule: Rule) -> int:
        """Write the rule's amendment; returns its number. Nobody else amends the recording meanwhile, and the
        rule decides by what it is then."""
        owner, now = self.entropy(8).hex(), self.now()
        tenant, recording = current.row.tenant, current.row.id
        claim = f"recording:{recording}"
        if not lease.take(claim, owner, now):
            raise RetentionError(
                "retention.busy", "another process is changing this recording", "try again in a minute"
            )
        try:
            amendments.begin_amendment(tenant, recording, now)
            self.boundary("begun")
            try:
                chain = self._put(tenant, recording, by, rule)
            except (AccessError, RetentionError):
                amendments.end_amendment(recording)
                raise
            self.boundary("put")
            amendments.list_amendments(chain, self.trust, now=now, entropy=self.entropy)
            self.boundary("listed")
        finally:
            lease.release(claim, owner)
        return len(chain.amendments)

    def _put(self, tenant: str, recording: str, by: By, rule: Rule) -> Chain:
        """The chain with the rule's amendment at its end."""
        for again in reversed(range(TRIES)):
            status = self.look(tenant, recording)
            data = rule(status)
            if isinstance(data, WIDENS):
                amendments.check_logged(status.chain)
            try:
                amendment = put(self.store, status.chain, data, by, self.signer, self.root, status.now)
            except Conflict:
                if not again:
                    raise
                continue
            log.info("recording.amended", recording=recording, number=amendment.number, kind=amendment.kind)
            break
        return chain_of_row(status.row, self.store, self.root, self.revoked())


def agreement_rule(
    tenant: str,
    *,
    purpose: str,
    keep_days: int,
    reason: str,
    on: date | None = None,
    basis: str = STATED,
) -> Rule:
    """A later agreement, on that day in the customer's time zone, that a recording may be used for a purpose
    and kept for so many days from the call: at most as long as the customer's country and plan allow. It
    rests on the word of whoever enters it, or on a dispute's outcome (``basis``).

    The rule raises ``retention.not_announced``, ``retention.over``, ``retention.purpose``,
    ``retention.too_long``, ``retention.plan``, ``retention.past``, ``retention.agreed_on``,
    ``retention.reason``."""

    def rule(status: RecordingStatus) -> Data:
        if (why := status.why_not_agree()) is not None:
            raise RetentionError(
                why,
                "no agreement is possible: it was not announced, has expired, or is being deleted",
                "the recording's page shows which of these it is",
            )
        if purpose not in standard() and purpose not in queries.own_purposes(tenant):
            raise RetentionError(
                "retention.purpose",
                f"there is no purpose {purpose!r}",
                "`accord announcement show` lists the purposes of an announcement",
            )
        with connected():
            pack = pack_of(tenant)
        for objection in pack.objections([purpose], keep_days=keep_days):
            raise RetentionError("retention.too_long", objection.message, objection.hint)
        if not plans.plan_of(tenant).allows_days(keep_days):
            raise RetentionError(
                "retention.plan",
                f"the customer's plan does not include {keep_days} days of retention",
                "choose a shorter period, or another plan: `accord tenant set --plan`",
            )
        until = sealed.retention_start(status.chain.manifest) + timedelta(days=keep_days)
        if until <= status.now:
            raise RetentionError(
                "retention.past",
                f"{keep_days} days from the call have passed",
                "choose a longer period: it counts from the call",
            )
        if on is not None and not _day_of(tenant, status.row.started_at) <= on <= _day_of(tenant, status.now):
            raise RetentionError(
                "retention.agreed_on",
                "--on must be between the call's date and today",
                "give the day on which they agreed",
            )
        return ConsentAdded(purpose, until, pack.code, _check_reason(reason), on, basis)

    return rule


def _end_deferral(deferral: Deferral, how: str, people: Sequence[str], _status: RecordingStatus) -> Data:
    return DeferralEnded(deferral.number, how, _distinct(people))


def narrowing_rule(*, purposes: Sequence[str], reason: str) -> Rule:
    """The end of some purposes. The rule raises ``retention.purpose``, ``retention.by_law``,
    ``retention.reason``."""

    def rule(status: RecordingStatus) -> Data:
        if not purposes or not set(purposes) <= set(status.terms.active(status.now)):
            raise RetentionError(
                "retention.purpose",
                "the recording has no such purpose, or it has ended",
                "`accord recording show` lists the purposes that are in force",
            )
        if not set(purposes) <= set(status.may_narrow()):
            raise RetentionError(
                "retention.by_law",
                "a law requires the customer to keep it for that purpose",
                "narrow other purposes",
            )
        return PurposesNarrowed(_distinct(purposes), _check_reason(reason))

    return rule


def _roles(purposes: Sequence[str]) -> set[str]:
    known = standard()
    return {role for code in purposes if code in known for role in known[code].roles}


def _day_of(tenant: str, at: datetime) -> date:
    """The date of a time in the customer's time zone."""
    owner = queries.tenant(tenant)
    return at.astimezone(time_zones.display_zone(owner.time_zone if owner else time_zones.FALLBACK)).date()


def _distinct(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))


def _check_reason(reason: str) -> str:
    text = " ".join(reason.split())
    if not text or len(text) > LONGEST_REASON or not text.isprintable():
        raise RetentionError(
            "retention.reason",
            f"the reason must have 1 to {LONGEST_REASON} printable characters",
            "shorten or rewrite it, in one line",
        )
    return text
