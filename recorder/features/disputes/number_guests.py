"""Guests who have opened the call in question with both codes of their own call.

It is established who they are: the number that took part was called with one of the codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.records import UserRow
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.invitations import GuestInvitations, OpenGuestLink
from recorder.features.disputes.rules import Dispute, Guest
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import CODE
from recorder.seal.dispute_kinds import GuestVerified
from recorder.verification_calls.verified_number import VerifiedNumber

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NumberGuests:
    """Lets such people answer an invitation to their number, without its link."""

    invitations: GuestInvitations

    def find_all(self, person: VerifiedNumber) -> Iterator[OpenGuestLink]:
        """The invitations of a person to open questions about their call, newest first."""
        disputes, now = self.invitations.disputes, self.invitations.disputes.changes.now()
        for each in queries.disputes_about(person.tenant, person.recording):
            try:
                dispute = disputes.find(person.tenant, each)
            except SealError as error:
                log.error("dispute.link_refused", dispute=each, guest=person.guest, error_id=error.error_id)
                continue
            for guest in dispute.guests:
                is_open = dispute.closed_at is None and (guest.takes_part or now < guest.until)
                if is_open and _is_theirs(dispute, guest, person):
                    yield OpenGuestLink(dispute, guest)

    def find(self, person: VerifiedNumber, dispute: str) -> OpenGuestLink:
        """Their invitation to an open question. Raises :class:`DisputeError` (``dispute.no_guest``)."""
        found = next((each for each in self.find_all(person) if each.dispute.id == dispute), None)
        if found is None:
            raise DisputeError(
                "dispute.no_guest",
                "the person is not invited to this open question",
                "the customer invites the number of the call again",
            )
        return found

    def answer(
        self, person: VerifiedNumber, dispute: str, answer: str, *, notice: str, language: str
    ) -> UserRow | None:
        """Their answer, as :meth:`GuestInvitations.answer`; with a yes it is established who they are.
        Raises what that and :meth:`find` do."""
        link, disputes = self.find(person, dispute), self.invitations.disputes
        user = self.invitations.answer(link, answer, notice=notice, language=language)
        if user is not None:
            with tenant_lock(person.tenant):
                found = disputes.find(person.tenant, dispute)
                guest = found.find_guest(link.guest.id)
                if _is_theirs(found, guest, person) and guest.verified_how is None:
                    by = By("user", guest.id)
                    disputes.state(found, person.tenant, dispute, by, GuestVerified(guest.id, CODE))
        return user


def _is_theirs(dispute: Dispute, guest: Guest, person: VerifiedNumber) -> bool:
    """Whether a guest was invited as the person of this call."""
    was_in_it = guest.role == EXTERNAL_PARTY and guest.number == person.number
    return was_in_it and guest.ended_at is None and person.recording in dispute.recording_ids
