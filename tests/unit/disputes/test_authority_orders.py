"""An authority's order: two people end what waits, one of whom may be the provider's."""

from __future__ import annotations

import pytest

from recorder.catalogue import queries as catalogue
from recorder.errors import DisputeError
from recorder.features.disputes.authority_orders import AuthorityOrders
from recorder.features.disputes.rules import Dispute
from recorder.lifecycle import expiry
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import ORDERED, DeferralEnded, ErasureDeferred
from recorder.seal.dispute_kinds import ACCEPTED, ErasureOrdered
from tests.unit.disputes.test_deferrals import ask_for_deletion, erase, is_there, kinds

AUTHORITY, REFERENCE = "Autorité de protection des données", "DOS-2026-00123"


@pytest.fixture
def orders(scene) -> AuthorityOrders:
    return AuthorityOrders(scene.disputes)


@pytest.fixture
def paul(scene):
    return scene.customer.people["paul"]


@pytest.fixture
def entered(scene, orders, paul) -> Dispute:
    dispute, _jan = scene.recognised()
    orders.enter(paul, dispute.id, authority=AUTHORITY, reference=REFERENCE)
    return dispute


def refused(call, *arguments, **more) -> str:
    with pytest.raises(DisputeError) as error:
        call(*arguments, **more)
    return error.value.error_id


def test_one_admin_alone_ends_nothing(scene, house, orders, paul, entered) -> None:
    ask_for_deletion(scene)
    assert refused(orders.confirm, paul, entered.id) == "dispute.second_person"
    assert refused(orders.confirm, scene.claire, entered.id) == "dispute.admins_only"
    house.clock.forward(days=1)
    assert erase(scene) == 0


@pytest.mark.parametrize("second", ["an admin", "the provider"])
def test_a_second_person_ends_what_waits(scene, house, orders, paul, entered, second: str) -> None:
    ask_for_deletion(scene)
    if second == "an admin":
        eve = house.person(scene.customer, "eve", "Eve Martin", role="customer_admin")
        orders.confirm(eve, entered.id)
        people = (paul.id, eve.id)
    else:
        found = orders.find_unconfirmed(scene.customer.id, scene.call)
        orders.confirm_by(By("operator"), scene.customer.id, found.id)
        people = (paul.id, "operator")
    amendments = house.changes.look(scene.customer.id, scene.call).chain.amendments
    assert amendments[-1].data == DeferralEnded(2, ORDERED, people)
    assert scene.find(entered).order.people == people
    assert erase(scene) == 1
    assert not is_there(scene)


def test_an_order_is_confirmed_after_the_end_as_well(scene, orders, entered) -> None:
    scene.disputes.close(scene.claire, entered.id)
    orders.confirm_by(By("operator"), scene.customer.id, entered.id)
    ask_for_deletion(scene)
    assert erase(scene) == 1


def test_an_interrupted_confirmation_is_completed(scene, house, orders, entered, monkeypatch) -> None:
    def fail(*_arguments, **_more) -> None:
        raise OSError("away")

    changes = type(house.changes)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "end_deferrals", fail)
        with pytest.raises(OSError, match="away"):
            orders.confirm_by(By("operator"), scene.customer.id, entered.id)
    orders.confirm_by(By("operator"), scene.customer.id, entered.id)
    assert DeferralEnded in kinds(scene)


def test_a_guest_enters_no_order(scene, orders, entered) -> None:
    jan = scene.guest(entered)
    assert refused(orders.enter, scene.user(jan.id), entered.id, authority="x", reference="y") in (
        "dispute.admins_only", "dispute.may_not",
    )  # fmt: skip
    other = ErasureOrdered("x", "y")
    by = By("user", jan.id)
    assert refused(scene.disputes.state, scene.find(entered), scene.customer.id, entered.id, by, other) == (
        "dispute.not_theirs"
    )


@pytest.mark.parametrize(("authority", "reference"), [("", "y"), ("x", " "), ("x" * 201, "y")])
def test_an_order_names_authority_and_reference(scene, orders, paul, authority, reference) -> None:
    dispute, _jan = scene.recognised()
    wrong = {"authority": authority, "reference": reference}
    assert refused(orders.enter, paul, dispute.id, **wrong) == "dispute.order"


def test_there_is_one_order_and_nothing_to_confirm_without_it(scene, orders, paul, entered) -> None:
    assert refused(orders.enter, paul, entered.id, authority="x", reference="y") == "dispute.order_entered"
    orders.confirm_by(By("operator"), scene.customer.id, entered.id)
    assert refused(orders.find_unconfirmed, scene.customer.id, scene.call) == "dispute.no_order"


def test_after_an_order_nobody_lets_it_wait_anew(scene, house, orders, paul) -> None:
    dispute, jan = scene.recognised()
    orders.enter(paul, dispute.id, authority=AUTHORITY, reference=REFERENCE)
    orders.confirm_by(By("operator"), scene.customer.id, dispute.id)
    scene.agreements.write_outcome(jan, dispute.id, "open", "We leave it.")
    scene.agreements.confirm_outcome(scene.claire, dispute.id, scene.find(dispute).outcome.sha256)
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, jan.id)
    second = scene.link(scene.invite(dispute))
    assert scene.invitations.answer(second, ACCEPTED, notice="…", language="nl") is not None
    assert kinds(scene).count(ErasureDeferred) == 1
    row = catalogue.recording(scene.customer.id, scene.call)
    assert row is not None
    ask_for_deletion(scene)
    assert expiry.destroy_due(house.services, house.clock()) == 1
