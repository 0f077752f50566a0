"""Opens, follows and closes disputes: two sides of a call remember it differently, and listen together.

Each step is a signed statement with its leaf (:mod:`recorder.seal.dispute_statement`), written in one
transaction with what follows from it. A dispute puts its recordings on legal hold, so that they last as long
as it does. A guest gets a user of their own when they accept, with a session and without a password; it ends
with the dispute, and with it every grant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from recorder.auditlog.append import lock_tenant
from recorder.catalogue import queries as catalogue
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.database import writing
from recorder.catalogue.records import RecordingRow, UserRow
from recorder.clock import truncate
from recorder.domain import names
from recorder.domain.parties import E164
from recorder.domain.roles import (
    ADMIN,
    CUSTOMER,
    EXTERNAL_PARTY,
    GUESTS,
    NEUTRAL,
    PROVIDER,
    SUPPORT,
    THIRD_PARTIES,
)
from recorder.errors import AccordError, CatalogueError, DisputeError
from recorder.features.disputes import queries, rules
from recorder.features.disputes.rules import Dispute, Guest
from recorder.identity import users
from recorder.identity.links import new_token, token_hash
from recorder.ids import uuid7
from recorder.lifecycle import plans
from recorder.lifecycle.amendment_service import LONGEST_REVIEW, Changes, RecordingStatus
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage, MailSection
from recorder.mail.outbox import Outbox, drop_mail
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import PEOPLE
from recorder.seal.dispute_kinds import (
    ACCEPTED,
    ANSWERS,
    CLOSED_HOW,
    LEFT,
    OPEN,
    OUTCOMES,
    SETTLED,
    UNSETTLED,
    WITHDRAWN,
    AmendedRecording,
    DisputeClosed,
    DisputeData,
    DisputeOpened,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    GuestVouched,
    HeldRecording,
    OutcomeConfirmed,
    OutcomeRecorded,
    OutcomeRetracted,
    OutcomeWritten,
    PassageConfirmed,
    PassageLeftOpen,
    PassageMarked,
    PassageWorded,
    Rescheduled,
)
from recorder.seal.dispute_statement import next_statement, read, write
from recorder.verification_calls.code import hash_code, is_code, new_code

LIFETIME: Final = timedelta(days=7)
"""How long the link of an invitation is valid."""

LONGEST: Final = timedelta(days=180)
"""How far away the day may be by which a dispute is to be settled."""

MOST_TIMES: Final = 3
"""Times that an invitation proposes."""

HANDLERS: Final = (ADMIN, CUSTOMER)
"""Roles that open and handle disputes, and vouch for guests."""

MAIL: Final = "dispute_invitation"
"""The kind of mail that invites the person who was recorded."""

NEUTRAL_MAIL: Final = "dispute_neutral"
"""The kind of mail that invites somebody whom both sides trust."""

AGREEMENT: Final = "agreement"
"""The purpose for which a recording is kept longer after an outcome."""

KEEP_DAYS: Final = (365, 730, 1826, 3653)
"""Days, counted from the call, for which an outcome can have the recordings kept."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IssuedGuestLink:
    """A new invitation. ``path`` is its link in the panel, which is known now only; ``code`` is read out with
    a link that is passed on, and ``None`` for one that was ``mailed``."""

    guest: str
    path: str
    code: str | None
    mailed: bool


@dataclass(frozen=True, slots=True)
class OpenGuestLink:
    """An invitation as its link shows it."""

    dispute: Dispute
    guest: Guest


@dataclass(frozen=True, slots=True)
class Disputes:
    """Disputes, by statements that the signer of ``changes`` signs. ``outbox`` queues invitations.

    Methods take the customer's id first, and raise :class:`DisputeError` (as listed, and what
    :func:`recorder.features.disputes.rules.follow` refuses), :class:`SealError` for a dispute that is not as
    it was signed and logged, and for a key that is not endorsed for it."""

    changes: Changes
    outbox: Outbox

    def find(self, tenant: str, dispute: str) -> Dispute:
        """A customer's dispute. Raises ``dispute.not_found``."""
        return queries.find_dispute(tenant, dispute, self.changes.trust)

    def open(self, person: UserRow, recordings: Sequence[str], *, subject: str, settle_by: date) -> Dispute:
        """Open a dispute about some recordings, which are put on legal hold for it; the person handles it.
        Raises ``dispute.may_not`` (auditors, and colleagues who do not see a call), ``dispute.subject``,
        ``dispute.day``, ``dispute.recordings`` (none, or too many), ``dispute.not_announced`` (one of them
        cannot be kept for a dispute), and as :meth:`Changes.hold`."""
        subject = rules.check_subject(subject)
        self._check_day(settle_by)
        ids = tuple(dict.fromkeys(recordings))
        if not 1 <= len(ids) <= rules.MOST_RECORDINGS:
            raise DisputeError(
                "dispute.recordings", f"a dispute is about 1 to {rules.MOST_RECORDINGS} recordings"
            )
        statuses = [self.changes.look(person.tenant, each) for each in ids]
        for status in statuses:
            self._check_handler(person, status.row)
        purposes = _shared_purposes(statuses)
        by, recordings_held = By("user", person.id), list[HeldRecording]()
        try:
            for each in ids:
                hold = self._hold(person, each, purposes, subject, settle_by)
                recordings_held.append(HeldRecording(each, hold))
            now, entropy = self.changes.now(), self.changes.entropy
            with writing():
                lock_tenant(person.tenant)
                data = DisputeOpened(tuple(recordings_held), subject, settle_by, purposes)
                return self._state(None, person.tenant, str(uuid7(now, entropy)), by, data)
        except AccordError:
            for one in recordings_held:
                self._lift(person.tenant, one, by, "the difference was not opened")
            raise

    def reschedule(self, person: UserRow, dispute: str, settle_by: date) -> None:
        """Set another day by which it is to be settled. Raises ``dispute.day``, ``dispute.may_not``."""
        self._check_day(settle_by)
        with writing():
            lock_tenant(person.tenant)
            found = self._handled(person, dispute)
            self._state(found, found.tenant, found.id, By("user", person.id), Rescheduled(settle_by))

    def invite(
        self,
        person: UserRow,
        dispute: str,
        *,
        name: str,
        language: str,
        address: str | None,
        times: Sequence[datetime] = (),
        section: MailSection | None = None,
    ) -> IssuedGuestLink:
        """Invite the person who was recorded: by mail to their ``address``, or with a link and a code that
        the customer passes on. ``section`` says in the mail which times are proposed. Raises
        ``dispute.name``, ``dispute.language``, ``dispute.may_not``, ``dispute.times``, ``dispute.no_mail``
        (no mail can be sent from here), ``dispute.several_numbers`` (the recordings are of different
        numbers), :class:`recorder.errors.MailError` (``mail.address``)."""
        name = _check_name(name)
        if language not in LANGUAGES:
            raise DisputeError("dispute.language", f"no language {language!r}")
        now = truncate(self.changes.now())
        guest = str(uuid7(now, self.changes.entropy))
        number = self._number_of(self._handled(person, dispute))
        invited = GuestInvited(guest, EXTERNAL_PARTY, name, language, (), now, number=number)
        return self._send_link(person, dispute, invited, address, times, section)

    def invite_neutral(
        self,
        person: UserRow,
        dispute: str,
        passages: Sequence[str],
        *,
        name: str,
        language: str,
        address: str | None,
        times: Sequence[datetime] = (),
        section: MailSection | None = None,
    ) -> IssuedGuestLink:
        """Invite somebody whom both sides trust to hear some passages (their ids), once the other side
        agrees. Raises as :meth:`invite`, ``dispute.passages_needed``, ``dispute.no_passage``."""
        name = _check_name(name)
        if language not in LANGUAGES:
            raise DisputeError("dispute.language", f"no language {language!r}")
        now = truncate(self.changes.now())
        guest, ids = str(uuid7(now, self.changes.entropy)), self._passages(person, dispute, passages)
        invited = GuestInvited(guest, NEUTRAL, name, language, (), now, passages=ids)
        return self._send_link(person, dispute, invited, address, times, section)

    def call_support(self, person: UserRow, dispute: str, passages: Sequence[str], *, name: str) -> None:
        """Ask the provider's support to help: it hears some passages (their ids), once the other side agrees.
        ``name`` is what people call it. Raises ``dispute.may_not``, ``dispute.passages_needed``,
        ``dispute.no_passage``, ``dispute.too_many``, ``dispute.support_called``."""
        ids, now = self._passages(person, dispute, passages), truncate(self.changes.now())
        identity = str(uuid7(now, self.changes.entropy))
        with writing():
            lock_tenant(person.tenant)
            found = self._handled(person, dispute)
            if any(each.role == SUPPORT and each.ended_at is None for each in found.guests):
                raise DisputeError("dispute.support_called", "support has been called")
            data = GuestInvited(identity, SUPPORT, name, person.language, (), now, passages=ids)
            self._state(found, found.tenant, found.id, By("user", person.id), data)

    def _passages(self, person: UserRow, dispute: str, passages: Sequence[str]) -> tuple[str, ...]:
        """Passages that somebody is to hear, in the dispute's order."""
        found = self._handled(person, dispute)
        for each in passages:
            found.find_passage(each)
        ids = tuple(each.id for each in found.passages if each.id in set(passages))
        if not ids:
            raise DisputeError(
                "dispute.passages_needed", "somebody who was not in the call hears passages", "choose some"
            )
        return ids

    def agree_to_guest(
        self, person: UserRow, dispute: str, guest: str, answer: str, *, passages: Sequence[str]
    ) -> None:
        """The person who was recorded says whether somebody who was not in the call may hear ``passages``,
        which are those that were shown to them. Raises ``dispute.not_theirs``, ``dispute.no_guest``,
        ``dispute.passages_changed``."""
        if answer not in ANSWERS or not passages:
            raise DisputeError("dispute.passages_changed", "no answer about any passages")
        self._say(person, dispute, GuestAgreed(guest, answer, tuple(passages)))

    def enter(self, person: UserRow, tenant: str, dispute: str, guest: str, reason: str) -> None:
        """One of the provider's support people comes in to help, and says why each time. Raises
        ``dispute.reason``, ``dispute.may_not``, ``dispute.no_guest``, ``dispute.not_agreed``,
        ``dispute.closed``."""
        reason = rules.check_reason(reason)
        if (person.role, person.tenant) != (SUPPORT, PROVIDER):
            raise DisputeError("dispute.may_not", f"user {person.id} is not the provider's support")
        with writing():
            lock_tenant(tenant)
            found = self.find(tenant, dispute)
            data = GuestEntered(guest, person.name, reason)
            self._state(found, tenant, dispute, By("user", person.id), data)

    # --- what the two sides say

    def mark_passage(
        self, person: UserRow, dispute: str, recording: str, begin_ms: int, end_ms: int, text: str
    ) -> None:
        """Mark a passage of a recording, in milliseconds of audio, and describe it in a sentence. Raises
        ``dispute.passage_text``, ``dispute.passage``, ``dispute.passages``, ``dispute.not_theirs``."""
        now, row = truncate(self.changes.now()), catalogue.recording(person.tenant, recording)
        if row is None or not 0 <= begin_ms < end_ms <= row.duration_ms:
            raise DisputeError("dispute.passage", "that is no passage of a recording")
        identity = str(uuid7(now, self.changes.entropy))
        words = rules.check_passage(text)
        self._say(person, dispute, PassageMarked(identity, recording, begin_ms, end_ms, words))

    def word_passage(self, person: UserRow, dispute: str, passage: str, text: str) -> None:
        """Describe a passage differently. Raises ``dispute.passage_text``, ``dispute.no_passage``,
        ``dispute.not_theirs``."""
        self._say(person, dispute, PassageWorded(passage, rules.check_passage(text)))

    def confirm_passage(self, person: UserRow, dispute: str, passage: str, text_sha256: str) -> None:
        """Confirm the words that were shown of a passage. Raises ``dispute.text_changed``,
        ``dispute.no_passage``, ``dispute.not_theirs``."""
        self._say(person, dispute, PassageConfirmed(passage, rules.check_hash(text_sha256)))

    def leave_passage_open(self, person: UserRow, dispute: str, passage: str) -> None:
        """Leave a passage open. Raises ``dispute.no_passage``, ``dispute.not_theirs``."""
        self._say(person, dispute, PassageLeftOpen(passage))

    def write_outcome(
        self, person: UserRow, dispute: str, outcome: str, text: str, keep_days: int | None = None
    ) -> None:
        """Write what comes of the dispute, in place of any earlier text. Raises ``dispute.outcome``,
        ``dispute.outcome_text``, ``dispute.keep_days``, ``dispute.outcome_final``,
        ``dispute.not_theirs``."""
        if outcome not in OUTCOMES:
            raise DisputeError("dispute.outcome", f"a dispute does not end as {outcome!r}")
        words, salt = rules.check_outcome(text), self.changes.entropy(32).hex()
        if keep_days is not None and keep_days not in self.keep_choices(self.find(person.tenant, dispute)):
            raise DisputeError("dispute.keep_days", f"{keep_days} days cannot be chosen")
        self._say(person, dispute, OutcomeWritten(outcome, words, salt, keep_days))

    def confirm_outcome(self, person: UserRow, dispute: str, outcome_sha256: str) -> None:
        """Confirm the outcome that was shown. Raises ``dispute.text_changed``, ``dispute.no_outcome``,
        ``dispute.outcome_final``, ``dispute.not_theirs``."""
        self._say(person, dispute, OutcomeConfirmed(rules.check_hash(outcome_sha256)))

    def retract_outcome(self, person: UserRow, dispute: str) -> None:
        """Take a confirmation of the outcome back. Raises as :meth:`confirm_outcome`."""
        self._say(person, dispute, OutcomeRetracted())

    def keep_choices(self, dispute: Dispute) -> tuple[int, ...]:
        """For how many days from the call an outcome can have the recordings kept: longer than they are now,
        and at most as long as the customer's country and plan allow."""
        longest = pack_of(dispute.tenant).rule(AGREEMENT).longest_keep_days
        plan = plans.plan_of(dispute.tenant)
        rows = [catalogue.recording(dispute.tenant, each) for each in dispute.recording_ids]
        still_there = [row for row in rows if row is not None and row.erased_at is None]
        return tuple(
            days
            for days in KEEP_DAYS
            if still_there
            and days <= longest
            and plan.allows_days(days)
            and all(row.started_at + timedelta(days=days) > row.keep_until for row in still_there)
        )

    def _say(self, person: UserRow, dispute: str, data: DisputeData) -> None:
        """State what one of the two sides says. Raises ``dispute.may_not``, ``dispute.no_guest``,
        ``dispute.not_theirs``."""
        with writing():
            lock_tenant(person.tenant)
            found = self.find(person.tenant, dispute)
            if person.role in GUESTS:
                found.find_guest(person.id)
            else:
                self.check_handler(person, found)
            self._state(found, found.tenant, found.id, By("user", person.id), data)

    # --- invitations

    def renew_invitation(
        self,
        person: UserRow,
        dispute: str,
        guest: str,
        *,
        address: str | None,
        times: Sequence[datetime] = (),
        section: MailSection | None = None,
    ) -> IssuedGuestLink:
        """Send an invitation again: a new link; the old one ends. Raises as :meth:`invite`, and
        ``dispute.no_guest``."""
        old = self._handled(person, dispute).find_guest(guest)
        if old.role == SUPPORT:
            raise DisputeError("dispute.no_guest", "support has no link")
        until, passages = truncate(self.changes.now()), old.passages or None
        invited = GuestInvited(
            guest, old.role, old.name, old.language, (), until, passages=passages, number=old.number
        )
        return self._send_link(person, dispute, invited, address, times, section)

    def withdraw_invitation(self, person: UserRow, dispute: str, guest: str) -> None:
        """Withdraw an invitation, also one that was accepted: link and session end at once. Raises
        ``dispute.no_guest``, ``dispute.may_not``."""
        with writing():
            lock_tenant(person.tenant)
            found = self._handled(person, dispute)
            self._end_guest(found, found.find_guest(guest), WITHDRAWN, By("user", person.id))

    def leave(self, tenant: str, dispute: str, guest: str) -> None:
        """A guest leaves for good; it costs nothing. Raises ``dispute.no_guest``."""
        with writing():
            lock_tenant(tenant)
            found = self.find(tenant, dispute)
            self._end_guest(found, found.find_guest(guest), LEFT, By("user", guest))

    def open_link(self, token: str) -> OpenGuestLink:
        """The invitation that a link leads to; opening it changes nothing. Raises ``dispute.unknown_link``
        (also for an old one), ``dispute.guest_ended``, ``dispute.closed``, ``dispute.link_expired``."""
        found = queries.find_link(token_hash(token))
        if found is None:
            raise _unknown_link()
        tenant, dispute, guest_id = found
        state = self.find(tenant, dispute)
        guest = state.find_guest(guest_id)
        if guest.token_sha256 != token_hash(token):
            log.error("dispute.link_refused", dispute=dispute, guest=guest_id)
            raise _unknown_link()
        if state.closed_at is not None:
            raise DisputeError("dispute.closed", "the dispute is closed")
        if guest.ended_at is not None:
            raise DisputeError("dispute.guest_ended", f"guest {guest.id} no longer takes part")
        if self.changes.now() >= guest.until:
            raise DisputeError("dispute.link_expired", "the invitation has expired", "send it again")
        return OpenGuestLink(state, guest)

    def check_code(self, link: OpenGuestLink, code: str) -> None:
        """Check the code that was read out with a link that was passed on; one that was mailed has none.
        Raises ``dispute.wrong_code``. Attempts are the caller's to count."""
        guest = link.guest
        if guest.code_hash is not None and not is_code(guest.id, code, guest.code_hash):
            raise DisputeError("dispute.wrong_code", "the code is wrong")

    def answer(self, link: OpenGuestLink, answer: str, *, notice: str, language: str) -> UserRow | None:
        """A guest's answer, after :meth:`check_code`. ``notice`` is what they were told, of which the hash is
        signed. Returns their user if they accept, also if they did so before: the link then leads back in.
        Raises what :meth:`open_link` does."""
        tenant, guest = link.dispute.tenant, link.guest
        with writing():
            lock_tenant(tenant)
            found = self.find(tenant, link.dispute.id)
            current = found.find_guest(guest.id)
            if current.token_sha256 != guest.token_sha256:
                raise _unknown_link()
            if current.takes_part and answer == ACCEPTED:
                return users.user(tenant, guest.id)
            sha256 = hashlib.sha256(notice.encode()).hexdigest()
            data = GuestAnswered(guest.id, answer, sha256, language)
            self._state(found, tenant, found.id, By("user", guest.id), data)
            drop_mail(tenant, guest.id)
            if answer != ACCEPTED:
                return None
            return users.create_guest(
                tenant, guest.id, name=guest.name, role=guest.role, language=language,
                now=self.changes.now(), entropy=self.changes.entropy, signer=self.changes.signer,
            )  # fmt: skip

    def vouch(self, person: UserRow, dispute: str, guest: str, reason: str) -> None:
        """One of the customer's people says how they recognised a guest; with the second, it is established
        who the guest is. Raises ``dispute.reason``, ``dispute.may_not``, ``dispute.no_guest``."""
        reason, by = rules.check_reason(reason), By("user", person.id)
        with writing():
            lock_tenant(person.tenant)
            found = self._handled(person, dispute)
            vouched = self._state(found, found.tenant, found.id, by, GuestVouched(guest, reason))
            if len(vouched.find_guest(guest).vouchers) >= rules.VOUCHERS:
                self._state(vouched, found.tenant, found.id, by, GuestVerified(guest, PEOPLE))

    def verify(self, tenant: str, dispute: str, guest: str, how: str, by: By) -> None:
        """Inside the caller's transaction, which has locked the customer: state that a guest is the person
        who was recorded."""
        self._state(self.find(tenant, dispute), tenant, dispute, by, GuestVerified(guest, how))

    def close(self, person: UserRow, dispute: str, how: str = UNSETTLED) -> None:
        """Close a dispute: no guest takes part any more, and its holds are lifted. Raises
        ``dispute.may_not``, ``dispute.outcome_waits`` (both sides have agreed on an outcome: it closes by
        itself)."""
        if how not in CLOSED_HOW:
            raise DisputeError("dispute.how", f"a dispute is not closed as {how!r}")
        by = By("user", person.id)
        with writing():
            lock_tenant(person.tenant)
            found = self._handled(person, dispute)
            if found.outcome is not None and found.outcome.agreed_at is not None:
                raise DisputeError(
                    "dispute.outcome_waits", "both sides agreed on an outcome, which is sealed the next day"
                )
            self.end(found, how, by)
        self.lift_holds(found, by)

    def end(self, dispute: Dispute, how: str, by: By) -> None:
        """Inside the caller's transaction, which has locked the customer: close a dispute."""
        self._state(dispute, dispute.tenant, dispute.id, by, DisputeClosed(how))
        for guest in dispute.guests:
            self._end_access(dispute.tenant, guest.id, by)

    def record_outcome(self, dispute: Dispute, recordings: Sequence[AmendedRecording], by: By) -> str:
        """Inside the caller's transaction, which has locked the customer: state that the outcome is sealed
        beside these recordings, and close the dispute. Returns the path of the outcome's page. Raises
        ``dispute.outcome_open``."""
        assert dispute.outcome is not None
        token = new_token(self.changes.entropy)
        data = OutcomeRecorded(tuple(recordings), token_hash(token))
        after = self._state(dispute, dispute.tenant, dispute.id, by, data)
        queries.note_page(dispute.id, token)
        self.end(after, UNSETTLED if dispute.outcome.statement.outcome == OPEN else SETTLED, by)
        return f"/together/outcome/{token}"

    def open_page(self, token: str) -> Dispute:
        """The dispute whose outcome has a page with this token. Raises ``dispute.unknown_link``."""
        place = queries.find_page(token)
        if place is None:
            raise _unknown_link()
        found = self.find(*place)
        if found.outcome is None or found.outcome.page_sha256 != token_hash(token):
            log.error("dispute.link_refused", dispute=found.id)
            raise _unknown_link()
        return found

    def lift_holds(self, dispute: Dispute, by: By) -> None:
        """Lift the holds of a closed dispute."""
        for each in dispute.recordings:
            self._lift(dispute.tenant, each, by, "the difference was closed")

    def check_handler(self, person: UserRow, dispute: Dispute) -> None:
        """Refuse a person who may not handle a dispute: auditors, and colleagues who do not see all of its
        calls. Raises ``dispute.may_not``."""
        for recording in dispute.recording_ids:
            row = catalogue.recording(dispute.tenant, recording)
            if row is not None:
                self._check_handler(person, row)

    def may_hear(self, person: UserRow, dispute: Dispute) -> bool:
        """Whether one of the customer's people may hear a dispute's recordings: admins, and whoever opened
        it, as the legal hold says."""
        try:
            self.check_handler(person, dispute)
        except DisputeError:
            return False
        return person.role == ADMIN or person.id == dispute.opened_by.id

    # --- steps, inside the caller's transaction

    def _handled(self, person: UserRow, dispute: str) -> Dispute:
        found = self.find(person.tenant, dispute)
        self.check_handler(person, found)
        return found

    def _state(self, before: Dispute | None, tenant: str, dispute: str, by: By, data: DisputeData) -> Dispute:
        """Sign a statement and add it, with what follows from it in the indexes."""
        now, changes = self.changes.now(), self.changes
        statement = next_statement(tenant, dispute, before.statements if before else (), data, by, now)
        rules.follow(before, statement)  # before anything is signed
        signed = write(statement, changes.signer)
        statement = read(signed, changes.trust)
        found = rules.follow(before, statement)
        queries.add_statement(statement, signed, now, changes.entropy)
        queries.index_dispute(found)
        log.info("dispute.stated", dispute=dispute, number=statement.number, kind=statement.kind)
        return found

    def _send_link(
        self,
        person: UserRow,
        dispute: str,
        invited: GuestInvited,
        address: str | None,
        times: Sequence[datetime],
        section: MailSection | None,
    ) -> IssuedGuestLink:
        """Issue a link for an invitation that has no link, address and times yet."""
        link = self._new_link(invited, address, times)
        with writing():
            lock_tenant(person.tenant)
            return self._issue(self._handled(person, dispute), link, By("user", person.id), section)

    def _new_link(
        self, invited: GuestInvited, address: str | None, times: Sequence[datetime]
    ) -> tuple[GuestInvited, str, str | None]:
        """An invitation with its token and code."""
        now = truncate(self.changes.now())
        if address is not None and not self.outbox.sends:
            raise DisputeError("dispute.no_mail", "no mail can be sent from here", "pass the link on instead")
        if len(times) > MOST_TIMES or any(each <= now for each in times):
            raise DisputeError("dispute.times", f"propose up to {MOST_TIMES} times that are not over")
        token = new_token(self.changes.entropy)
        code = None if address is not None else new_code(self.changes.entropy)
        complete = replace(
            invited, times=tuple(truncate(each) for each in sorted(times)), until=now + LIFETIME,
            token_sha256=token_hash(token), address=None if address is None else normalize_address(address),
            code_hash=None if code is None else hash_code(invited.guest, code, self.changes.entropy),
        )  # fmt: skip
        return complete, token, code

    def _issue(
        self,
        dispute: Dispute,
        link: tuple[GuestInvited, str, str | None],
        by: By,
        section: MailSection | None,
    ) -> IssuedGuestLink:
        invited, token, code = link
        self._state(dispute, dispute.tenant, dispute.id, by, invited)
        path, mailed = f"/together/invitation/{token}", False
        drop_mail(dispute.tenant, invited.guest)
        if invited.address is not None:
            mailed = self.outbox.enqueue(
                dispute.tenant, invited.address, self._mail(dispute, invited, path, by, section),
                self.changes.now(), self.changes.entropy, about=invited.guest,
            )  # fmt: skip
        return IssuedGuestLink(invited.guest, path, code, mailed)

    def _mail(
        self, dispute: Dispute, invited: GuestInvited, path: str, by: By, section: MailSection | None
    ) -> MailMessage:
        customer, person = catalogue.tenant(dispute.tenant), users.user(dispute.tenant, by.id or "")
        values = {
            "name": invited.name,
            "customer": "" if customer is None else customer.name,
            "person": "" if person is None else person.name,
            "subject": dispute.subject,
        }
        sections = () if section is None else (section,)
        kind = NEUTRAL_MAIL if invited.role == NEUTRAL else MAIL
        return MailMessage(kind, invited.language, values, path, LIFETIME, sections)

    def _end_guest(self, dispute: Dispute, guest: Guest, how: str, by: By) -> None:
        self._state(dispute, dispute.tenant, dispute.id, by, GuestEnded(guest.id, how))
        self._end_access(dispute.tenant, guest.id, by)

    def _end_access(self, tenant: str, guest: str, by: By) -> None:
        """End a guest's user, sessions, grants and waiting mail; support has no user of the customer's."""
        drop_mail(tenant, guest)
        users.revoke_user(tenant, guest, now=self.changes.now(), entropy=self.changes.entropy, by=by)

    # --- legal holds

    def _hold(
        self, person: UserRow, recording: str, purposes: Sequence[str], subject: str, settle_by: date
    ) -> int:
        now = self.changes.now()
        review = datetime.combine(settle_by, datetime.min.time(), now.tzinfo) + timedelta(days=1)
        return self.changes.hold(
            person.tenant, recording, By("user", person.id), owner=person.id, purposes=purposes,
            reason=subject, review_at=min(review, now + LONGEST_REVIEW),
            roles=(ADMIN, EXTERNAL_PARTY, *THIRD_PARTIES),
        )  # fmt: skip

    def _lift(self, tenant: str, recording: HeldRecording, by: By, reason: str) -> None:
        """Lift a hold of a dispute. One that somebody lifted before is none; where the store is away, the
        hold stays and is due for review, which admins are told."""
        try:
            self.changes.lift(tenant, recording.recording, by, hold=recording.hold, reason=reason)
        except AccordError as error:
            log.warning(
                "dispute.hold_stays", recording=recording.recording, hold=recording.hold,
                error_id=error.error_id, error=error.message,
            )  # fmt: skip

    # --- checks

    def _check_day(self, settle_by: date) -> None:
        today = self.changes.now().date()
        if not today <= settle_by <= today + LONGEST:
            raise DisputeError(
                "dispute.day", f"{settle_by} is not within {LONGEST.days} days", "choose a nearer day"
            )

    def _check_handler(self, person: UserRow, row: RecordingRow) -> None:
        if person.role not in HANDLERS or (person.lines is not None and row.line not in person.lines):
            raise DisputeError("dispute.may_not", f"user {person.id} does not handle this call")

    def _number_of(self, dispute: Dispute) -> str | None:
        """The number of the external party in a dispute's recordings; ``None`` if it is withheld, or none.
        Raises ``dispute.several_numbers``."""
        found = set()
        for recording in dispute.recording_ids:
            row = catalogue.recording(dispute.tenant, recording)
            if row is not None and row.erased_at is None:
                party = row.external_party
                found.add(party.value if party is not None and party.kind == E164 else None)
        if len(found) > 1:
            raise DisputeError(
                "dispute.several_numbers", "the recordings are of different numbers", "one dispute for each"
            )
        return next(iter(found), None)


def _shared_purposes(statuses: Sequence[RecordingStatus]) -> tuple[str, ...]:
    """The purposes that all of some recordings can be kept for in a dispute, and that the person who was
    recorded may listen for. Raises :class:`DisputeError` (``dispute.not_announced``)."""
    known = standard()
    shared = [
        code
        for code in statuses[0].may_hold()
        if all(code in each.may_hold() for each in statuses) and EXTERNAL_PARTY in known[code].roles
    ]
    if not shared:
        raise DisputeError(
            "dispute.not_announced", "no purpose was announced for which the call can be heard together"
        )
    return tuple(shared)


def _check_name(name: str) -> str:
    try:
        return names.tidy(name, "the name", "dispute.name")
    except CatalogueError as error:
        raise DisputeError(error.error_id, error.message, error.hint) from error


def _unknown_link() -> DisputeError:
    return DisputeError("dispute.unknown_link", "there is no such invitation, or a newer one was sent")
