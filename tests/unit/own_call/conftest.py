from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from recorder.catalogue.records import UserRow
from recorder.features.own_call import codes, rules
from recorder.features.own_call.opening import OwnCalls
from recorder.features.own_call.tenant_rule import change_rule
from recorder.playback.interface import Actor, CallFacts
from recorder.seal.amendment import By
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from tests.house import Customer, House

SECRET = b"s" * 32


@dataclass
class Scene:
    """A call, and the steps until its person opens it, in short."""

    house: House
    customer: Customer
    call: str

    @property
    def calls(self) -> OwnCalls:
        return OwnCalls(self.house.changes)

    @property
    def by(self) -> By:
        return By("user", self.customer.people["claire"].id)

    @property
    def when(self) -> dict[str, object]:
        return {"now": self.house.clock(), "entropy": self.house.entropy}

    def switch(self, on: bool = True, *, days: int = 14, names: bool = False) -> bool:
        return change_rule(self.customer.id, on=on, days=days, names=names, by=self.by, **self.when)

    def facts(self) -> CallFacts:
        return self.house.gate.facts(self.actor(self.customer.people["claire"]), self.call)

    def give(self) -> str:
        """The MAC of a new code."""
        code = codes.give_code(
            self.facts(), self.by, key=SECRET, policy=CallPolicy(), signer=self.house.changes.signer,
            **self.when,
        )  # fmt: skip
        return rules.code_mac(SECRET, f" {rules.grouped(code)} ")

    def withdraw(self) -> bool:
        return codes.withdraw_code(
            self.customer.id, self.call, self.by, signer=self.house.changes.signer, trust=self.house.trust,
            **self.when,
        )  # fmt: skip

    def hear(self, mac: str) -> tuple[str, str]:
        """The number that is called for a code, and what is spoken to it."""
        self.calls.order_call(mac, "fr")
        claim = register.take("node1", self.house.clock(), self.house.entropy)
        assert claim is not None
        register.answer("node1", claim[0], "done", self.house.clock(), self.house.entropy)
        return claim[0].number, claim[1]

    def open(self, mac: str) -> UserRow:
        return self.calls.open(mac, self.hear(mac)[1], name="Personne enregistrée", language="fr")

    def actor(self, user: UserRow) -> Actor:
        return Actor(user.id, user.tenant, user.role, user.language)


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue)
    yield house
    house.close()


@pytest.fixture
def scene(house) -> Scene:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "claire", "Claire Martin")
    return Scene(house, customer, house.call(customer))
