"""An authority's order to erase a dispute's recordings: one person enters it, a second one confirms it.

Then nothing waits for the outcome any more; both sides see who said so. What is erased, and when, follows
from what is asked for beside the recordings, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.records import UserRow
from recorder.domain.roles import ADMIN
from recorder.errors import DisputeError
from recorder.features.disputes import queries, texts
from recorder.features.disputes.deferrals import end_deferrals
from recorder.features.disputes.rules import Dispute
from recorder.features.disputes.service import Disputes
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import ORDERED
from recorder.seal.dispute_kinds import ErasureOrdered, OrderConfirmed


@dataclass(frozen=True, slots=True)
class AuthorityOrders:
    """Orders about the recordings of ``disputes``. Methods raise as those of
    :class:`recorder.features.disputes.service.Disputes`."""

    disputes: Disputes

    def enter(self, person: UserRow, dispute: str, *, authority: str, reference: str) -> None:
        """An admin enters an order. Raises ``dispute.order``, ``dispute.admins_only``,
        ``dispute.order_entered``."""
        data = ErasureOrdered(texts.check_order(authority), texts.check_order(reference))
        _check_admin(person)
        with tenant_lock(person.tenant):
            found = self.disputes.find_handled(person, dispute)
            self.disputes.state(found, found.tenant, found.id, By("user", person.id), data)

    def confirm(self, person: UserRow, dispute: str) -> None:
        """Another admin has seen the order: an erasure no longer waits. Raises ``dispute.admins_only``,
        ``dispute.no_order``, ``dispute.second_person``, and as :meth:`Changes.end_deferrals`."""
        _check_admin(person)
        self.disputes.find_handled(person, dispute)
        self.confirm_by(By("user", person.id), person.tenant, dispute)

    def confirm_by(self, by: By, tenant: str, dispute: str) -> Dispute:
        """The same for an author who was checked before: the provider's operator. It can be repeated after an
        interruption."""
        with tenant_lock(tenant):
            found = self.disputes.find(tenant, dispute)
            order = found.order
            if order is None:
                raise DisputeError(
                    "dispute.no_order", "no order has been entered", "an admin enters it first"
                )
            if not order.is_confirmed or (by.id or by.kind) == order.people[0]:
                found = self.disputes.state(found, tenant, dispute, by, OrderConfirmed(order.number))
        assert found.order is not None
        end_deferrals(self.disputes.changes, found, by, ORDERED, found.order.people)
        return found

    def find_unconfirmed(self, tenant: str, recording: str) -> Dispute:
        """The dispute about a recording with an order that a second person has not seen. Raises
        ``dispute.no_order``."""
        for each in queries.disputes_about(tenant, recording):
            found = self.disputes.find(tenant, each)
            if found.order is not None and not found.order.is_confirmed:
                return found
        raise DisputeError(
            "dispute.no_order",
            "no order about this recording waits for a second person",
            "an admin of the customer enters it on the open question's page first",
        )


def _check_admin(person: UserRow) -> None:
    if person.role != ADMIN:
        raise DisputeError("dispute.admins_only", f"user {person.id} is no admin", "an admin decides that")
