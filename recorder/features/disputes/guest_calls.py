"""The call that tells a guest a code: only the person who answers the number in the recordings hears it.

Nobody can use this to call strangers: the number is that of the external party in a recording, it is called
only after its person was invited and accepted. A caller can write any number as theirs, so the policy for
calls decides (:mod:`recorder.verification_calls.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.tables.dispute import DisputeCallTable
from recorder.errors import DisputeError
from recorder.features.disputes.rules import Guest
from recorder.features.disputes.service import Disputes
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import CODE
from recorder.seal.dispute_kinds import GuestVerified
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import CallRegister, VerificationCall, call_row, is_open

SALT_BYTES: Final = 32


class GuestCallRegister(CallRegister):
    """Calls to the numbers of guests."""

    TABLE = DisputeCallTable
    ORDERED: ClassVar[str] = "dispute.call_ordered"
    CREATED: ClassVar[str] = "dispute.code_created"
    CALLED: ClassVar[str] = "dispute.called"
    TRIED: ClassVar[str] = "dispute.code_tried"
    OPENING: ClassVar[str] = "somebody-listens"

    def subject(self, row: DisputeCallTable) -> dict[str, str]:
        return {"dispute": row.dispute_id, "guest": row.guest_id}

    def number_salt(self, row: DisputeCallTable) -> str | None:
        return row.number_salt

    def no_code(self) -> DisputeError:
        return DisputeError("dispute.no_code", "no code is valid", "order a call")

    def tries_exhausted(self) -> DisputeError:
        return DisputeError("dispute.tries_exhausted", "the code was tried too often", "order another call")

    def not_logged(self, call: str) -> DisputeError:
        hint = "run `accord audit run`, and compare with a backup of the catalogue"
        return DisputeError("dispute.not_logged", f"the row of call {call} contradicts the log", hint)


CALLS: Final = GuestCallRegister()


@dataclass(frozen=True, slots=True)
class GuestCalls:
    """Calls guests with a code. Methods take the customer's id and raise :class:`DisputeError` as listed, and
    what :meth:`Disputes.find` raises."""

    disputes: Disputes
    policy: CallPolicy = field(default_factory=CallPolicy)

    def order(self, tenant: str, dispute: str, guest: str) -> VerificationCall:
        """Order a call to a guest's number; an earlier code becomes invalid. Raises ``dispute.no_guest``,
        ``dispute.closed``, ``dispute.guest_ended``, ``dispute.verified``, ``dispute.no_number`` (there is
        none), ``dispute.call_pending``; :class:`VerificationCallError` as :meth:`CallPolicy.check`."""
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        with tenant_lock(tenant):
            found = self._unverified(tenant, dispute, guest)
            number = found.number
            if number is None:
                raise DisputeError(
                    "dispute.no_number",
                    "the recordings have no number that can be called",
                    "have two of the customer's people vouch for the guest instead",
                )
            if is_open(latest_call(tenant, guest), now):
                raise DisputeError(
                    "dispute.call_pending", "the number is being called", "wait for the call to end"
                )
            salt = entropy(SALT_BYTES).hex()
            return CALLS.order(
                self.policy, tenant, number, salt=salt, language=found.language, who=guest, now=now,
                entropy=entropy, dispute_id=dispute, guest_id=guest, number_salt=salt,
            )  # fmt: skip

    def refresh(self, tenant: str, guest: str) -> VerificationCall | None:
        """A guest's latest call, after expiring one that no node has taken or answered in time."""
        now = self.disputes.changes.now()
        call = latest_call(tenant, guest)
        if call is None or call.outcome is not None or now <= call.until:
            return call
        CALLS.expire(call, now, self.disputes.changes.entropy)
        return latest_call(tenant, guest)

    def try_code(self, tenant: str, dispute: str, guest: str, code: str) -> bool:
        """Whether this is the code of a guest's latest call; if so, it is established who they are. Each
        attempt is counted first. Raises ``dispute.no_code``, ``dispute.tries_exhausted``,
        ``dispute.verified``, ``dispute.not_logged``."""
        now, entropy = self.disputes.changes.now(), self.disputes.changes.entropy
        with tenant_lock(tenant):
            self._unverified(tenant, dispute, guest)
            row = _latest_row(tenant, guest)
            right = CALLS.try_code(row, code, who=guest, now=now, entropy=entropy)
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


def latest_call(tenant: str, guest: str) -> VerificationCall | None:
    """The latest call to a guest of a customer's disputes."""
    row = _latest_row(tenant, guest)
    return None if row is None else call_row(row)


def _latest_row(tenant: str, guest: str) -> DisputeCallTable | None:
    with connected():
        return CALLS.latest((DisputeCallTable.tenant_id == tenant) & (DisputeCallTable.guest_id == guest))
