"""A difference about one of the demonstration's calls, and the other person's way into it."""

from __future__ import annotations

from datetime import timedelta

from recorder.catalogue import queries
from recorder.catalogue.records import UserRow
from recorder.clock import utc_now
from recorder.errors import DisputeError
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.invitations import GuestInvitations, IssuedGuestLink
from recorder.features.disputes.queries import dispute_ids
from recorder.features.disputes.service import Disputes
from recorder.lifecycle.amendment_service import Changes
from recorder.mail.outbox import Outbox

SUBJECT = "La date de livraison"
GUEST = "Jan Peeters"
DAYS = 14


def invite_guest(
    changes: Changes, people: tuple[UserRow, UserRow], recordings: set[str], dial_in: DialIn | None
) -> IssuedGuestLink:
    """Open a difference about the first of some recordings, unless one is open, and invite the other person,
    for whom two people vouch. Raises :class:`DisputeError`, :class:`recorder.errors.AccordError`."""
    disputes, (claire, paul) = Disputes(changes), people
    invitations = GuestInvitations(disputes, Outbox(), dial_in)
    every = (disputes.find(claire.tenant, each) for each in dispute_ids(claire.tenant))
    is_open = next((each for each in every if each.closed_at is None), None)
    if is_open is not None:
        for guest in is_open.guests:
            if guest.ended_at is None and not guest.is_third_party:
                return invitations.renew_invitation(claire, is_open.id, guest.id, address=None)
    day = (utc_now() + timedelta(days=DAYS)).date()
    recording = min(recordings, key=lambda each: _started(claire.tenant, each))
    dispute = disputes.open(claire, [recording], subject=SUBJECT, settle_by=day)
    issued = invitations.invite(claire, dispute.id, name=GUEST, language="fr", address=None)
    for person in (claire, paul):
        invitations.vouch(person, dispute.id, issued.guest, "La voix")
    return issued


def _started(tenant: str, recording: str) -> str:
    row = queries.recording(tenant, recording)
    if row is None:
        raise DisputeError(
            "dispute.recordings", f"there is no recording {recording}", "make the calls first: `make run`"
        )
    return row.started_at.isoformat()
