"""Who may hear a dispute's recordings in its room: the same in a browser and by telephone. The gate asks the
statements again at each request for sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recorder.catalogue import queries as catalogue
from recorder.catalogue.records import UserRow
from recorder.domain.roles import GUESTS, SUPPORT
from recorder.errors import DisputeError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.seal.revocation import Trust
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class RoomHearer(VerifiedState):
    """Somebody who may be in a dispute's room, as its statements say, and the recordings that they hear
    there, by id, with their durations in milliseconds. ``third_party`` is the guest who was not in the call
    that they are, or for whom they came in: they hear passages."""

    user: UserRow
    dispute: Dispute
    durations: Mapping[str, int]
    third_party: Guest | None = None


def find_dispute(user: UserRow, dispute: str, trust: Trust) -> Dispute:
    """A dispute of a user's company; for the provider's support, of the customer who called it. Raises as
    :func:`recorder.features.disputes.queries.find_dispute`."""
    tenant = user.tenant
    if user.role == SUPPORT:
        tenants = {identity: customer for customer, identity in queries.disputes_for_support()}
        if dispute not in tenants:
            raise DisputeError(
                "dispute.not_found",
                "support was not called to this dispute",
                "open the dispute from the support page",
            )
        tenant = tenants[dispute]
    return queries.find_dispute(tenant, dispute, trust)


def find_hearer(user: UserRow, dispute: Dispute) -> RoomHearer | None:
    """A user who may be in a dispute's room: whoever handles it, guests who were recognised, and those whom
    both sides let hear some passages. ``None`` for anybody else, once it is closed, and where nothing is left
    to hear."""
    if dispute.closed_at is not None or user.revoked_at is not None:
        return None
    guest = None
    if user.role in (*GUESTS, SUPPORT):
        own = (each for each in dispute.guests if user.id in (each.id, *each.entered) and each.may_hear)
        guest = next(own, None)
        if guest is None:
            return None
    elif user.tenant != dispute.tenant or not Disputes.may_hear(user, dispute):
        return None
    third = guest if guest is not None and guest.is_third_party else None
    durations = {}
    for recording in dispute.recording_ids:
        row = catalogue.recording(dispute.tenant, recording)
        hears = third is None or dispute.passages_for(third, recording)
        if row is not None and row.erased_at is None and hears:
            durations[recording] = row.duration_ms
    return RoomHearer(user, dispute, durations, third) if durations else None
