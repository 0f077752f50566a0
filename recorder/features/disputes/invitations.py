"""Invites guests to disputes, and says who they are.

A guest is the person who was recorded, somebody neutral, or the provider's support. A guest with a link gets
a user of their own when they accept, with a session and without a password; it ends with the dispute, and
with it every grant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue import queries as catalogue
from recorder.catalogue.records import UserRow
from recorder.clock import truncate
from recorder.domain import names
from recorder.domain.parties import E164
from recorder.domain.phone_numbers import format_international
from recorder.domain.roles import EXTERNAL_PARTY, NEUTRAL, PROVIDER, SUPPORT
from recorder.errors import AccordError, CatalogueError, DisputeError
from recorder.features.disputes import queries, rules, texts
from recorder.features.disputes.deferrals import defer_erasure, end_deferrals, may_withdraw
from recorder.features.disputes.dial_in import RENEWED, DialIn, grouped
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.features.disputes.sole_handler import SoleHandler, find_sole_handler
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.ids import uuid7
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage, MailSection
from recorder.mail.outbox import Outbox, drop_mail
from recorder.prompts.purposes import LANGUAGES
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import ADDRESS, GUEST_LEFT, PEOPLE
from recorder.seal.dispute_kinds import (
    ACCEPTED,
    ANSWERS,
    LEFT,
    WITHDRAWN,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    GuestVouched,
    TimeChosen,
)
from recorder.verification_calls.code import hash_code, is_code, new_code

LIFETIME: Final = timedelta(days=7)
"""How long the link of an invitation is valid."""

MOST_TIMES: Final = 3
"""Times that an invitation proposes."""

MAIL: Final = "dispute_invitation"
"""The kind of mail that invites the person who was recorded."""

NEUTRAL_MAIL: Final = "dispute_neutral"
"""The kind of mail that invites somebody whom both sides trust."""

REMINDER_MAIL: Final = "dispute_reminder"
"""The kind of mail that reminds a guest of an invitation, once."""

DIAL_CODE_MAIL: Final = "dispute_dial_code"
"""The kind of mail that brings a guest another code for the telephone."""

REMINDER_AFTER: Final = timedelta(days=4)
"""How long after an invitation its reminder is sent, unless the guest has answered."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IssuedGuestLink:
    """A new invitation. ``path`` is its link in the panel, which is known now only; ``code`` is read out with
    a link that is passed on, and ``None`` for one that was ``mailed``. ``dial_code`` is what the guest enters
    on the telephone, where they can (:mod:`recorder.features.disputes.dial_in`)."""

    guest: str
    path: str
    code: str | None
    mailed: bool
    dial_code: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedDialCode:
    """Another ``code`` for the telephone, which is ``mailed`` to whoever was invited by mail."""

    code: str
    mailed: bool


@dataclass(frozen=True, slots=True)
class OpenGuestLink:
    """An invitation as its link shows it."""

    dispute: Dispute
    guest: Guest


@dataclass(frozen=True, slots=True)
class GuestInvitations:
    """Invitations to ``disputes``; ``outbox`` queues their mail. With ``dial_in``, guests can listen by
    telephone. Methods raise as those of :class:`recorder.features.disputes.service.Disputes`."""

    disputes: Disputes
    outbox: Outbox
    dial_in: DialIn | None = None

    def invite(
        self,
        person: UserRow,
        dispute: str,
        *,
        name: str,
        language: str,
        address: str | None,
        times: Sequence[datetime] = (),
        sections: tuple[MailSection, ...] = (),
    ) -> IssuedGuestLink:
        """Invite the person who was recorded: by mail to their ``address``, or with a link and a code that
        the customer passes on. ``sections`` say in the mail which call it is and which times are proposed.
        Raises ``dispute.name``, ``dispute.language``, ``dispute.may_not``, ``dispute.times``,
        ``dispute.no_mail`` (no mail can be sent from here), ``dispute.several_numbers`` (the recordings are
        of different numbers), :class:`recorder.errors.MailError` (``mail.address``)."""
        name = _check_name(name)
        _check_language(language)
        now = truncate(self.disputes.changes.now())
        guest = str(uuid7(now, self.disputes.changes.entropy))
        number = self._number_of(self.disputes.find_handled(person, dispute))
        invited = GuestInvited(guest, EXTERNAL_PARTY, name, language, (), now, number=number)
        return self._send_link(person, dispute, invited, address, times, sections)

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
        sections: tuple[MailSection, ...] = (),
    ) -> IssuedGuestLink:
        """Invite somebody whom both sides trust to hear some passages (their ids), once the other side
        agrees. Raises as :meth:`invite`, ``dispute.passages_needed``, ``dispute.no_passage``."""
        name = _check_name(name)
        _check_language(language)
        now = truncate(self.disputes.changes.now())
        guest, ids = str(uuid7(now, self.disputes.changes.entropy)), self._passages(person, dispute, passages)
        invited = GuestInvited(guest, NEUTRAL, name, language, (), now, passages=ids)
        return self._send_link(person, dispute, invited, address, times, sections)

    def call_support(self, person: UserRow, dispute: str, passages: Sequence[str], *, name: str) -> None:
        """Ask the provider's support to help: it hears some passages (their ids), once the other side agrees.
        ``name`` is what people call it. Raises ``dispute.may_not``, ``dispute.passages_needed``,
        ``dispute.no_passage``, ``dispute.too_many``, ``dispute.support_called``."""
        ids, now = self._passages(person, dispute, passages), truncate(self.disputes.changes.now())
        identity = str(uuid7(now, self.disputes.changes.entropy))
        with tenant_lock(person.tenant):
            found = self.disputes.find_handled(person, dispute)
            if any(each.role == SUPPORT and each.ended_at is None for each in found.guests):
                raise DisputeError(
                    "dispute.support_called", "support has been called before", "wait for support to enter"
                )
            data = GuestInvited(identity, SUPPORT, name, person.language, (), now, passages=ids)
            self.disputes.state(found, found.tenant, found.id, By("user", person.id), data)

    def agree_to_guest(
        self, person: UserRow, dispute: str, guest: str, answer: str, *, passages: Sequence[str]
    ) -> None:
        """The person who was recorded says whether somebody who was not in the call may hear ``passages``,
        which are those that were shown to them. Raises ``dispute.not_theirs``, ``dispute.no_guest``,
        ``dispute.passages_changed``."""
        if answer not in ANSWERS or not passages:
            raise DisputeError(
                "dispute.passages_changed", "the answer names no passages", "reload the page and answer again"
            )
        self.disputes.say(person, dispute, GuestAgreed(guest, answer, tuple(passages)))

    def enter(self, person: UserRow, tenant: str, dispute: str, guest: str, reason: str) -> None:
        """One of the provider's support people comes in to help, and says why each time. Raises
        ``dispute.reason``, ``dispute.may_not``, ``dispute.no_guest``, ``dispute.not_agreed``,
        ``dispute.closed``."""
        reason = texts.check_reason(reason)
        if (person.role, person.tenant) != (SUPPORT, PROVIDER):
            raise DisputeError(
                "dispute.may_not",
                f"user {person.id} is not the provider's support",
                "give them the support role: `accord user set`",
            )
        with tenant_lock(tenant):
            found = self.disputes.find(tenant, dispute)
            data = GuestEntered(guest, person.name, reason)
            self.disputes.state(found, tenant, dispute, By("user", person.id), data)

    def renew_invitation(
        self,
        person: UserRow,
        dispute: str,
        guest: str,
        *,
        address: str | None,
        times: Sequence[datetime] = (),
        sections: tuple[MailSection, ...] = (),
    ) -> IssuedGuestLink:
        """Send an invitation again: a new link; the old one ends. Raises as :meth:`invite`, and
        ``dispute.no_guest``."""
        old = self.disputes.find_handled(person, dispute).find_guest(guest)
        if old.role == SUPPORT:
            raise DisputeError(
                "dispute.no_guest",
                "support is not invited by a link",
                "support enters from its own page; send them no link",
            )
        until, passages = truncate(self.disputes.changes.now()), old.passages or None
        invited = GuestInvited(
            guest, old.role, old.name, old.language, (), until, passages=passages, number=old.number
        )
        return self._send_link(person, dispute, invited, address, times, sections)

    def renew_dial_code(self, person: UserRow, dispute: str, guest: str) -> IssuedDialCode | None:
        """Give the person who was recorded another code for the telephone; the old one is dead at once, and
        a mail brings the new one to the address that was invited. ``None`` where they have none. Raises
        ``dispute.no_guest``, ``dispute.may_not``, ``dispute.closed``."""
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        with tenant_lock(person.tenant):
            found = self.disputes.find_handled(person, dispute)
            found.check_open()
            recipient = found.find_guest(guest)
            if self.dial_in is None or recipient.role != EXTERNAL_PARTY:
                return None
            body = {"dispute": found.id, "guest": guest, "actor": person.id}
            append(person.tenant, RENEWED, body, now, entropy)
            code = self.dial_in.code_of(found, guest, now)
            if code is None:
                return None
            return IssuedDialCode(code, self._mail_dial_code(found, recipient, self.dial_in, code))

    def withdraw_invitation(self, person: UserRow, dispute: str, guest: str) -> None:
        """Withdraw an invitation, also one that was accepted: link and session end at once. Raises
        ``dispute.no_guest``, ``dispute.may_not``."""
        with tenant_lock(person.tenant):
            found = self.disputes.find_handled(person, dispute)
            self._end_guest(found, found.find_guest(guest), WITHDRAWN, By("user", person.id))

    def leave(self, tenant: str, dispute: str, guest: str) -> None:
        """A guest leaves for good; it costs nothing. Once the person who was recorded has left, nothing waits
        for them any more, except an outcome that both sides agreed on. Raises ``dispute.no_guest``."""
        by = By("user", guest)
        with tenant_lock(tenant):
            found = self.disputes.find(tenant, dispute)
            self._end_guest(found, found.find_guest(guest), LEFT, by)
        is_agreed = found.outcome is not None and found.outcome.agreed_at is not None
        if found.find_guest(guest).role == EXTERNAL_PARTY and not is_agreed:
            end_deferrals(self.disputes.changes, found, by, GUEST_LEFT, [guest])

    def withdraw_consent(self, tenant: str, dispute: str, guest: str, reason: str) -> None:
        """The person who was recorded withdraws their consent, and leaves: what rests on it ends at once, and
        nothing waits for them. Raises ``dispute.no_guest``, ``dispute.not_theirs`` (it is not established
        that it was them), and as :meth:`Changes.withdraw`."""
        found, by = self.disputes.find(tenant, dispute), By("user", guest)
        person = found.find_guest(guest)
        if not person.may_hear or person.role != EXTERNAL_PARTY:
            raise DisputeError(
                "dispute.not_theirs",
                "only the person who was recorded withdraws their consent",
                "prove your identity on your page first",
            )
        changes = self.disputes.changes
        for recording in found.recording_ids:
            if may_withdraw(changes, tenant, recording):
                changes.withdraw(changes.look(tenant, recording), by, reason=reason)
        self.leave(tenant, dispute, guest)

    def open_link(self, token: str) -> OpenGuestLink:
        """The invitation that a link leads to; opening it changes nothing. Raises ``dispute.unknown_link``
        (also for an old one), ``dispute.guest_ended``, ``dispute.closed``, ``dispute.link_expired``."""
        dispute, guest = self.find_invitation(token)
        dispute.check_open()
        if guest.ended_at is not None:
            raise DisputeError(
                "dispute.guest_ended", f"guest {guest.id} no longer takes part", "invite them again"
            )
        guest.check_link(self.disputes.changes.now())
        return OpenGuestLink(dispute, guest)

    def find_invitation(self, token: str) -> tuple[Dispute, Guest]:
        """The dispute and the guest that a link was made for, even if it leads nowhere any more. Raises
        ``dispute.unknown_link`` (also for an old one)."""
        found = queries.find_link(token_hash(token))
        if found is None:
            raise _unknown_link()
        tenant, dispute, guest_id = found
        state = self.disputes.find(tenant, dispute)
        guest = state.find_guest(guest_id)
        if guest.token_sha256 != token_hash(token):
            log.error("dispute.link_refused", dispute=dispute, guest=guest_id)
            raise _unknown_link()
        return state, guest

    def check_code(self, link: OpenGuestLink, code: str) -> None:
        """Check the code that was read out with a link that was passed on; one that was mailed has none.
        Raises ``dispute.wrong_code``. Attempts are the caller's to count."""
        guest = link.guest
        if guest.code_hash is not None and not is_code(guest.id, code, guest.code_hash):
            raise DisputeError(
                "dispute.wrong_code",
                "the code is wrong",
                "enter the code that came with the invitation; the customer can send another one",
            )

    def answer(self, link: OpenGuestLink, answer: str, *, notice: str, language: str) -> UserRow | None:
        """A guest's answer, after :meth:`check_code`. ``notice`` is what they were told, of which the hash is
        signed. Returns their user if they accept, also if they did so before: the link then leads back in.
        From then on an erasure waits for the outcome (:mod:`recorder.features.disputes.deferrals`). Raises
        what :meth:`open_link` does, and as :meth:`Changes.defer_erasure`."""
        tenant, guest, changes = link.dispute.tenant, link.guest, self.disputes.changes
        by, deferred = By("user", guest.id), tuple[str, ...]()
        until = rules.erasure_waits_until(link.dispute, guest, answer, changes.now())
        if until is not None and not guest.takes_part:
            deferred = defer_erasure(changes, link.dispute, by, until)
        try:
            with tenant_lock(tenant):
                found = self.disputes.find(tenant, link.dispute.id)
                current = found.find_guest(guest.id)
                if current.token_sha256 != guest.token_sha256:
                    raise _unknown_link()
                if current.takes_part and answer == ACCEPTED:
                    return users.user(tenant, guest.id) or self._create_user(tenant, guest, language)
                sha256 = hashlib.sha256(notice.encode()).hexdigest()
                data = GuestAnswered(guest.id, answer, sha256, language, until)
                self.disputes.state(found, tenant, found.id, by, data)
                drop_mail(tenant, guest.id)
                if answer != ACCEPTED:
                    return None
                return self._create_user(tenant, guest, language)
        except AccordError:
            if deferred:
                end_deferrals(changes, link.dispute, by, GUEST_LEFT, [guest.id], deferred)
            raise

    def choose_time(self, tenant: str, dispute: str, guest: str, time: datetime) -> None:
        """A guest chooses one of the times that were proposed. Raises ``dispute.no_guest``,
        ``dispute.no_time``, ``dispute.not_theirs`` (they do not take part)."""
        with tenant_lock(tenant):
            found = self.disputes.find(tenant, dispute)
            if found.find_guest(guest).time != time:
                self.disputes.state(found, tenant, dispute, By("user", guest), TimeChosen(guest, time))

    def _create_user(self, tenant: str, guest: Guest, language: str) -> UserRow:
        """The user of a guest who takes part; a rebuilt catalogue has none."""
        changes = self.disputes.changes
        return users.create_guest(
            tenant, guest.id, name=guest.name, role=guest.role, language=language,
            now=changes.now(), entropy=changes.entropy, signer=changes.signer,
        )  # fmt: skip

    def vouch(self, person: UserRow, dispute: str, guest: str, reason: str) -> None:
        """One of the customer's people says how they recognised a guest; with the second, it is established
        who the guest is. Whoever is alone says where in the call the address was named by whose mailbox the
        guest accepted. Raises ``dispute.reason``, ``dispute.may_not``, ``dispute.no_guest``,
        :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``)."""
        reason, by = texts.check_reason(reason), By("user", person.id)
        # Rows only spare those who are not alone the look into the store.
        seems_alone = self.disputes.is_alone(person, self.disputes.find_handled(person, dispute))
        changes = self.disputes.changes
        signed = signed_length(person.tenant, changes.store, changes.root) if seems_alone else None
        with tenant_lock(person.tenant) as locked:
            found = self.disputes.find_handled(person, dispute)
            vouched = self.disputes.state(found, found.tenant, found.id, by, GuestVouched(guest, reason))
            if len(vouched.find_guest(guest).vouchers) >= rules.VOUCHERS:
                self.disputes.state(vouched, found.tenant, found.id, by, GuestVerified(guest, PEOPLE))
            elif signed is not None and vouched.find_guest(guest).answered_from:
                alone = find_sole_handler(complete_log(locked, signed), person.id, vouched)
                if alone is not None:
                    self._verify_by_address(alone, vouched, guest)

    def _verify_by_address(self, alone: SoleHandler, dispute: Dispute, guest: str) -> None:
        """It is established who a guest is by the mailbox for which the customer's only person vouches."""
        by = By("user", alone.user)
        self.disputes.state(dispute, dispute.tenant, dispute.id, by, GuestVerified(guest, ADDRESS))

    def _passages(self, person: UserRow, dispute: str, passages: Sequence[str]) -> tuple[str, ...]:
        """Passages that somebody is to hear, in the dispute's order."""
        found = self.disputes.find_handled(person, dispute)
        for each in passages:
            found.find_passage(each)
        ids = tuple(each.id for each in found.passages if each.id in set(passages))
        if not ids:
            raise DisputeError(
                "dispute.passages_needed", "somebody who was not in the call hears passages", "choose some"
            )
        return ids

    def _send_link(
        self,
        person: UserRow,
        dispute: str,
        invited: GuestInvited,
        address: str | None,
        times: Sequence[datetime],
        sections: tuple[MailSection, ...],
    ) -> IssuedGuestLink:
        """Issue a link for an invitation that has no link, address and times yet."""
        link = self._new_link(invited, address, times)
        with tenant_lock(person.tenant):
            return self._issue(
                self.disputes.find_handled(person, dispute), link, By("user", person.id), sections
            )

    def _new_link(
        self, invited: GuestInvited, address: str | None, times: Sequence[datetime]
    ) -> tuple[GuestInvited, str, str | None]:
        """An invitation with its token and code."""
        now = truncate(self.disputes.changes.now())
        if address is not None and not self.outbox.sends:
            raise DisputeError("dispute.no_mail", "no mail can be sent from here", "pass the link on instead")
        if len(times) > MOST_TIMES or any(each <= now for each in times):
            raise DisputeError(
                "dispute.times",
                f"at most {MOST_TIMES} times can be proposed, all of them in the future",
                "choose other times, or none",
            )
        token = new_token(self.disputes.changes.entropy)
        code = None if address is not None else new_code(self.disputes.changes.entropy)
        complete = replace(
            invited, times=tuple(truncate(each) for each in sorted(times)), until=now + LIFETIME,
            token_sha256=token_hash(token), address=None if address is None else normalize_address(address),
            code_hash=None if code is None else hash_code(invited.guest, code, self.disputes.changes.entropy),
        )  # fmt: skip
        return complete, token, code

    def _issue(
        self,
        dispute: Dispute,
        link: tuple[GuestInvited, str, str | None],
        by: By,
        sections: tuple[MailSection, ...],
    ) -> IssuedGuestLink:
        invited, token, code = link
        dispute = self.disputes.state(dispute, dispute.tenant, dispute.id, by, invited)
        path, mailed = f"/together/invitation/{token}", False
        drop_mail(dispute.tenant, invited.guest)
        dial_code, now = None, self.disputes.changes.now()
        if self.dial_in is not None:
            dial_code = self.dial_in.code_of(dispute, invited.guest, now)
        if invited.address is not None:
            by_phone = self._dial_in_section(dial_code, invited.language)
            mailed = self._send_mail(dispute, invited, invited.address, path, by, sections, by_phone)
        return IssuedGuestLink(invited.guest, path, code, mailed, dial_code)

    def _mail_dial_code(self, dispute: Dispute, recipient: Guest, dial_in: DialIn, code: str) -> bool:
        """Queue the mail with another code, and drop the reminder that still names the old one. Returns
        whether mail can be sent."""
        if recipient.address is None:
            return False
        drop_mail(dispute.tenant, recipient.id, kind=REMINDER_MAIL)
        customer = catalogue.tenant(dispute.tenant)
        values = {
            "name": recipient.name,
            "customer": "" if customer is None else customer.name,
            "number": format_international(dial_in.number),
            "code": grouped(code),
        }
        message = MailMessage(DIAL_CODE_MAIL, recipient.language, values)
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        return self.outbox.enqueue(
            dispute.tenant, recipient.address, message, now, entropy, about=recipient.id
        )

    def _dial_in_section(self, code: str | None, language: str) -> tuple[MailSection, ...]:
        """What a mail says of listening by telephone."""
        if self.dial_in is None or code is None:
            return ()
        return (MailSection(self.dial_in.sentence(code, language)),)

    def _send_mail(
        self,
        dispute: Dispute,
        invited: GuestInvited,
        address: str,
        path: str,
        by: By,
        sections: tuple[MailSection, ...],
        by_phone: tuple[MailSection, ...],
    ) -> bool:
        """Queue an invitation, and its one reminder: an answer or a newer invitation drops it. Returns
        whether mail can be sent."""
        customer, person = catalogue.tenant(dispute.tenant), users.user(dispute.tenant, by.id or "")
        values = {
            "name": invited.name,
            "customer": "" if customer is None else customer.name,
            "person": "" if person is None else person.name,
            "subject": dispute.subject,
        }
        kind = NEUTRAL_MAIL if invited.role == NEUTRAL else MAIL
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        message = MailMessage(kind, invited.language, values, path, LIFETIME, (*sections, *by_phone))
        left = LIFETIME - REMINDER_AFTER
        reminder = MailMessage(REMINDER_MAIL, invited.language, values, path, left, by_phone)
        tenant, guest = dispute.tenant, invited.guest
        self.outbox.enqueue(
            tenant, address, reminder, now, entropy, about=guest, send_from=now + REMINDER_AFTER
        )
        return self.outbox.enqueue(tenant, address, message, now, entropy, about=guest)

    def _end_guest(self, dispute: Dispute, guest: Guest, how: str, by: By) -> None:
        self.disputes.state(dispute, dispute.tenant, dispute.id, by, GuestEnded(guest.id, how))
        self.disputes.end_access(dispute, guest, by)

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


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise DisputeError(
            "dispute.language",
            f"the guest's page is not available in {language!r}",
            "reload the page and choose one of the languages shown",
        )


def _check_name(name: str) -> str:
    try:
        return names.tidy(name, "the name", "dispute.name")
    except CatalogueError as error:
        raise DisputeError(error.error_id, error.message, error.hint) from error


def _unknown_link() -> DisputeError:
    return DisputeError(
        "dispute.unknown_link",
        "there is no such invitation, or a newer one has replaced it",
        "use the link of the newest invitation, or ask for another one",
    )
