from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from recorder.auditlog.append import lock_tenant
from recorder.catalogue.database import writing
from recorder.catalogue.records import UserRow
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.guest_calls import GuestCalls
from recorder.features.disputes.invitations import GuestInvitations, IssuedGuestLink, OpenGuestLink
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.identity import users
from recorder.mail.outbox import Outbox
from recorder.playback.interface import Actor
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import CODE
from recorder.seal.dispute_kinds import ACCEPTED, GuestVerified
from tests.house import Customer, House

NOTICE = "You and Boulangerie Martin remember this call differently."


@dataclass
class Scene:
    """A call, whoever handles it, and steps of its dispute in short."""

    house: House
    customer: Customer
    call: str
    disputes: Disputes
    outbox: Outbox = field(default_factory=Outbox)

    @property
    def invitations(self) -> GuestInvitations:
        return GuestInvitations(self.disputes, self.outbox)

    @property
    def agreements(self) -> Agreements:
        return Agreements(self.disputes)

    @property
    def claire(self) -> UserRow:
        return self.customer.people["claire"]

    def open(self) -> Dispute:
        day = (self.house.clock() + timedelta(days=10)).date()
        return self.disputes.open(self.claire, [self.call], subject="The price of the bread", settle_by=day)

    def find(self, dispute: Dispute) -> Dispute:
        return self.disputes.find(self.customer.id, dispute.id)

    def guest(self, dispute: Dispute) -> Guest:
        (found,) = self.find(dispute).guests
        return found

    def invite(self, dispute: Dispute) -> IssuedGuestLink:
        return self.invitations.invite(
            self.claire, dispute.id, name="Jan Peeters", language="nl", address=None
        )

    def link(self, issued: IssuedGuestLink) -> OpenGuestLink:
        return self.invitations.open_link(token_of(issued))

    def accept(self, issued: IssuedGuestLink) -> UserRow:
        user = self.invitations.answer(self.link(issued), ACCEPTED, notice=NOTICE, language="nl")
        assert user is not None
        return user

    def vouch(self, dispute: Dispute, guest: str) -> None:
        for login in ("claire", "paul"):
            self.invitations.vouch(self.customer.people[login], dispute.id, guest, "I know his voice")

    def recognised(self) -> tuple[Dispute, UserRow]:
        """A dispute with a guest who may listen."""
        dispute = self.open()
        issued = self.invite(dispute)
        user = self.accept(issued)
        self.vouch(dispute, user.id)
        return dispute, user

    def verified(self) -> tuple[Dispute, UserRow]:
        """A dispute with a guest who heard a code at the number that was recorded."""
        dispute = self.open()
        user = self.accept(self.invite(dispute))
        with writing():
            lock_tenant(self.customer.id)
            found, by = self.find(dispute), By("user", user.id)
            self.disputes.state(found, found.tenant, found.id, by, GuestVerified(user.id, CODE))
        return dispute, user

    def actor(self, user: UserRow) -> Actor:
        return Actor(user.id, user.tenant, user.role, user.language)

    def user(self, guest: str) -> UserRow:
        found = users.user(self.customer.id, guest)
        assert found is not None
        return found

    @property
    def calls(self) -> GuestCalls:
        return GuestCalls(self.disputes)


def token_of(issued: IssuedGuestLink) -> str:
    return issued.path.rpartition("/")[2]


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue)
    yield house
    house.close()


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "claire", "Claire Martin")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    house.person(customer, "audit", "Anne Audit", role="auditor")
    return customer


@pytest.fixture
def scene(house, bakery) -> Scene:
    return Scene(house, bakery, house.call(bakery), Disputes(house.changes))
