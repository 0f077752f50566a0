"""The call that tells a guest a code: only the person who answers the number in the recordings hears it. And
the call to the room, in which whoever answers enters the code of their invitation: a telephone shows a
number, not a person.

Nobody can use this to call strangers: the number is that of the external party in a recording, it is called
only after its person was invited and accepted. A caller can write any number as theirs, so the policy for
calls decides (:mod:`recorder.verification_calls.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from recorder.auditlog.append import tenant_lock
from recorder.errors import DisputeError
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import CODE
from recorder.seal.dispute_kinds import GuestVerified
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import DISPUTE, ROOM, VerificationCall
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class RoomCallee(VerifiedState):
    """A guest who was in the call and may hear its recordings: only they are called to the room."""

    tenant: str
    dispute: str
    guest: Guest


def find_callee(dispute: Dispute, guest: str) -> RoomCallee:
    """A guest of a dispute, as its statements say, whom the room may call. Raises :class:`DisputeError`:
    ``dispute.closed``, ``dispute.no_guest``, ``dispute.not_theirs`` (they were not in the call, or may not
    hear its recordings)."""
    dispute.check_open()
    person = dispute.find_guest(guest)
    if person.is_third_party or not person.may_hear:
        raise DisputeError(
            "dispute.not_theirs",
            f"guest {guest} was not in the call, or may not hear the recordings",
            "prove your identity on your page first",
        )
    return RoomCallee(dispute.tenant, dispute.id, person)


@dataclass(frozen=True, slots=True)
class GuestCalls:
    """Calls guests with a code. Methods take the customer's id and raise :class:`DisputeError` as listed, and
    what :meth:`Disputes.find` raises."""

    disputes: Disputes
    policy: CallPolicy = field(default_factory=CallPolicy)

    def order(self, tenant: str, dispute: str, guest: str) -> VerificationCall:
        """Order a call to a guest's number; an earlier code becomes invalid. Raises ``dispute.no_guest``,
        ``dispute.closed``, ``dispute.guest_ended``, ``dispute.verified``, ``dispute.no_number`` (there is
        none); :class:`recorder.errors.VerificationCallError` as :func:`register.order`."""
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        with tenant_lock(tenant):
            found = self._unverified(tenant, dispute, guest)
            return register.order(
                self.policy, DISPUTE, tenant, _number_of(found), language=found.language, who=guest, now=now,
                entropy=entropy, dispute=dispute, guest=guest,
            )  # fmt: skip

    def order_to_room(self, tenant: str, dispute: str, guest: str) -> VerificationCall:
        """Order a call to the number of a guest who was in the call and may hear its recordings: whoever
        answers enters the guest's code, and is in the room. Raises as :func:`find_callee`;
        ``dispute.no_number``; :class:`recorder.errors.VerificationCallError` as :func:`register.order`."""
        with tenant_lock(tenant):
            return self._call_to_room(find_callee(self.disputes.find(tenant, dispute), guest))

    def _call_to_room(self, callee: RoomCallee) -> VerificationCall:
        guest, changes = callee.guest, self.disputes.changes
        return register.order(
            self.policy, ROOM, callee.tenant, _number_of(guest), language=guest.language, who=guest.id,
            now=changes.now(), entropy=changes.entropy, dispute=callee.dispute, guest=guest.id,
        )  # fmt: skip

    def try_code(self, tenant: str, dispute: str, guest: str, code: str) -> bool:
        """Whether this is the code of a guest's latest call; if so, it is established who they are. Each
        attempt is counted first. Raises ``dispute.verified``; :class:`recorder.errors.VerificationCallError`
        as :func:`register.try_code`."""
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        with tenant_lock(tenant):
            self._unverified(tenant, dispute, guest)
            call = latest_call(tenant, guest)
            right = register.try_code(call, code, who=guest, now=now, entropy=entropy)
            if right:
                found, by = self.disputes.find(tenant, dispute), By("user", guest)
                self.disputes.state(found, tenant, dispute, by, GuestVerified(guest, CODE))
        return right

    def _unverified(self, tenant: str, dispute: str, guest: str) -> Guest:
        found = self.disputes.find(tenant, dispute)
        found.check_open()
        person = found.find_guest(guest)
        if not person.takes_part:
            raise DisputeError(
                "dispute.guest_ended", f"guest {guest} does not take part", "invite them again"
            )
        person.check_unverified()
        return person


def _number_of(guest: Guest) -> str:
    if guest.number is None:
        raise DisputeError(
            "dispute.no_number",
            "the recordings have no number that can be called",
            "have two of the customer's people vouch for the guest instead",
        )
    return guest.number


def latest_call(tenant: str, guest: str) -> VerificationCall | None:
    """The latest call to a guest of a customer's disputes."""
    return register.latest(DISPUTE, tenant, guest=guest)


def latest_call_to_room(tenant: str, guest: str) -> VerificationCall | None:
    """The latest call to a guest in which they enter their code for the room."""
    return register.latest(ROOM, tenant, guest=guest)
