"""While the person who was recorded takes part, erasure waits for the outcome, at most until a last day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.dispute import DisputeStatementTable, DisputeTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import AccessError, DisputeError, SealError, StoreError
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.disputes.rules import WAIT_AFTER, Dispute
from recorder.lifecycle import expiry, limit_application
from recorder.lifecycle.amendment_store import put
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.lifecycle.expired_recording import check_expired
from recorder.mail.outbox import Outbox
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties
from recorder.seal import amendment_kinds
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.dispute_kinds import SETTLED
from recorder.seal.usage_terms import READING_TIME
from tests.amendments import amend
from tests.clock import since_boot
from tests.expected_errors import expect_error

TEXT = "The bread costs 12,50 euros, from Monday on."


def last_day(dispute: Dispute) -> datetime:
    return datetime.combine(dispute.settle_by, time(), UTC) + WAIT_AFTER


def kinds(scene) -> list[type]:
    chain = scene.house.changes.look(scene.customer.id, scene.call).chain
    return [type(each.data) for each in chain.amendments]


def ask_for_deletion(scene, login: str = "paul") -> None:
    """One of the customer's people lifts every hold and deletes the recording."""
    changes, by = scene.house.changes, By("user", scene.customer.people[login].id)
    for hold in changes.look(scene.customer.id, scene.call).terms.holds:
        changes.lift(
            changes.look(scene.customer.id, scene.call), by, hold=hold.number, reason="no longer needed"
        )
    amend(changes.delete, scene.customer.id, scene.call, by, reason="we do not want it any more")


def is_there(scene) -> bool:
    row = catalogue.recording(scene.customer.id, scene.call)
    assert row is not None
    return row.erased_at is None


def erase(scene) -> int:
    return expiry.destroy_due(scene.house.services, scene.house.clock())


def agree(scene, dispute: Dispute, jan) -> None:
    scene.agreements.write_outcome(jan, dispute.id, "anew", TEXT, 365)
    scene.agreements.confirm_outcome(scene.claire, dispute.id, scene.find(dispute).outcome.sha256)


@pytest.fixture
def duty(house) -> OutcomeDuty:
    return OutcomeDuty(house.services, Outbox(house.keyring, "https://accord.example.com"))


def duties_of(house, booted=None) -> Duties:
    """The worker's duties; ``booted`` is the machine's clock since its start."""
    since = booted or (lambda: since_boot(house.clock()))
    keeper = ClockGuard(house.folder / ".clock", {}, house.clock, since_boot=since)
    return Duties(replace(house.services, checkpoints_seen={}), CheckpointWitnesses(), keeper)


def test_who_deletes_after_both_agreed_erases_no_outcome(scene, house) -> None:
    """Both confirm, and within the day an admin lifts the hold and deletes: the worker seals first."""
    dispute, jan = scene.verified()
    agree(scene, dispute, jan)
    house.clock.forward(hours=2)
    ask_for_deletion(scene)
    duties = duties_of(house)
    for _ in range(26):
        duties.keep()
        house.clock.forward(hours=1)
    assert amendment_kinds.OutcomeAdded in kinds(scene), "sealed although its deletion was asked for"
    found = scene.find(dispute)
    assert (found.closed_how, found.outcome.amendments[0].recording) == (SETTLED, scene.call)
    house.clock.forward(days=7)
    duties.keep()
    assert not is_there(scene), "then it is deleted as was asked"


def test_outcome_for_which_colleagues_vouch_shortens_nothing(scene, house, duty) -> None:
    """Two of the customer's people could confirm it alone: the erasure waits until the last day."""
    dispute, jan = scene.recognised()
    ended = last_day(dispute)
    agree(scene, dispute, jan)
    ask_for_deletion(scene)
    house.clock.forward(hours=24)
    assert duty.record_due(house.clock()) == 1
    house.clock.forward(seconds=(ended - house.clock()).total_seconds() - 1)
    assert erase(scene) == 0
    house.clock.forward(seconds=1)
    assert erase(scene) == 1


def test_what_one_side_asks_restricts_use_at_once_and_erases_on_the_last_day(scene, house) -> None:
    dispute, jan = scene.recognised()
    paul, guest = scene.actor(scene.customer.people["paul"]), scene.actor(jan)
    ended = last_day(dispute)
    assert scene.guest(dispute).erasure_waits_until == ended
    house.gate.grant(paul, scene.call, "agreement")
    ask_for_deletion(scene)
    for person in (paul, scene.actor(scene.claire)):
        with expect_error(AccessError, "access.erased"):
            house.gate.grant(person, scene.call, "agreement")
    assert house.gate.grant(guest, scene.call, "agreement").until > house.clock(), "the guest goes on"
    while house.clock() + timedelta(days=3) < ended:
        house.clock.forward(days=3)
        assert erase(scene) == 0
    house.clock.forward(seconds=(ended - house.clock()).total_seconds() - 1)
    assert erase(scene) == 0
    house.clock.forward(seconds=1)
    assert erase(scene) == 1
    assert not is_there(scene)


def test_the_last_day_is_fixed_when_the_guest_joins(scene, house) -> None:
    dispute, _jan = scene.recognised()
    ended = last_day(dispute)
    later = (house.clock() + timedelta(days=150)).date()
    scene.disputes.reschedule(scene.claire, dispute.id, later)
    scene.disputes.reschedule(scene.claire, dispute.id, house.clock().date())
    (deferral,) = house.changes.look(scene.customer.id, scene.call).terms.deferrals
    assert (deferral.until, scene.guest(dispute).erasure_waits_until) == (ended, ended)


@pytest.mark.parametrize("way", ["close", "withdraw"])
def test_the_customer_alone_does_not_end_it(scene, house, way: str) -> None:
    dispute, jan = scene.recognised()
    if way == "close":
        scene.disputes.close(scene.claire, dispute.id)
    else:
        scene.invitations.withdraw_invitation(scene.claire, dispute.id, jan.id)
    ask_for_deletion(scene)
    house.clock.forward(days=20)
    assert erase(scene) == 0
    house.clock.forward(seconds=(last_day(dispute) - house.clock()).total_seconds())
    assert erase(scene) == 1


def test_it_ends_when_the_guest_leaves(scene, house) -> None:
    dispute, jan = scene.recognised()
    ask_for_deletion(scene)
    scene.invitations.leave(scene.customer.id, dispute.id, jan.id)
    chain = house.changes.look(scene.customer.id, scene.call).chain
    assert chain.amendments[-1].data == amendment_kinds.DeferralEnded(
        2, amendment_kinds.GUEST_LEFT, (jan.id,)
    )
    assert erase(scene) == 1


def test_who_leaves_after_both_agreed_loses_no_outcome(scene, house, duty) -> None:
    dispute, jan = scene.recognised()
    agree(scene, dispute, jan)
    scene.invitations.leave(scene.customer.id, dispute.id, jan.id)
    ask_for_deletion(scene)
    house.clock.forward(hours=23)
    assert erase(scene) == 0
    house.clock.forward(hours=1)
    assert duty.record_due(house.clock()) == 1
    assert amendment_kinds.OutcomeAdded in kinds(scene)


def test_nothing_waits_before_somebody_joins(scene, house) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    scene.invitations.answer(scene.link(issued), "declined", notice="…", language="nl")
    assert amendment_kinds.ErasureDeferred not in kinds(scene)
    ask_for_deletion(scene)
    assert erase(scene) == 1


def test_an_answer_that_fails_lets_nothing_wait(scene, house) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    link = scene.link(issued)
    scene.disputes.close(scene.claire, dispute.id)
    with pytest.raises(Exception, match="closed"):
        scene.invitations.answer(link, "accepted", notice="…", language="nl")
    ask_for_deletion(scene)
    assert erase(scene) == 1


def test_an_outcome_near_the_last_day_is_sealed_first(scene, house, duty) -> None:
    dispute, jan = scene.verified()
    house.clock.forward(seconds=(last_day(dispute) - house.clock()).total_seconds() - 60)
    agree(scene, dispute, jan)
    ask_for_deletion(scene)
    house.clock.forward(hours=23)
    assert erase(scene) == 0, "both agreed: the last day moved with both"
    house.clock.forward(hours=1)
    assert duty.record_due(house.clock()) == 1
    house.clock.forward(seconds=READING_TIME.total_seconds() - 1)
    assert erase(scene) == 0
    house.clock.forward(seconds=1)
    assert erase(scene) == 1


def test_rows_neither_prolong_nor_shorten_it(scene, house) -> None:
    dispute, _jan = scene.recognised()
    ask_for_deletion(scene)
    with writing():
        RecordingTable.update(keep_until=house.clock()).execute()
        AmendmentTable.delete().execute()
        DisputeStatementTable.delete().execute()
        DisputeTable.delete().execute()
    house.clock.forward(days=1)
    assert erase(scene) == 0
    row = catalogue.recording(scene.customer.id, scene.call)
    with pytest.raises(SealError):
        check_expired(row, house.store, house.trust, house.clock())
    house.clock.forward(seconds=(last_day(dispute) - house.clock()).total_seconds())
    assert erase(scene) == 1


def test_a_clock_that_jumps_erases_nothing(scene, house) -> None:
    scene.recognised()
    ask_for_deletion(scene)
    start = house.clock()
    duties = duties_of(house, lambda: since_boot(start))
    duties.keep()
    house.clock.forward(days=100)
    for _ in range(3):
        duties.keep()
        house.clock.forward(minutes=1)
    assert is_there(scene)


def test_an_object_that_was_deleted_does_not_shorten_it(scene, house) -> None:
    scene.recognised()
    ask_for_deletion(scene)
    numbers = range(len(kinds(scene)), 1, -1)
    for number in numbers:
        house.stored(scene.call, f"amendment-{number:04}.json").unlink()
    with writing():
        RecordingTable.update(keep_until=house.clock()).execute()
        AmendmentTable.delete().execute()
    house.clock.forward(days=1)
    assert erase(scene) == 0
    house.clock.forward(days=200)
    row = catalogue.recording(scene.customer.id, scene.call)
    with pytest.raises(SealError):
        check_expired(row, house.store, house.trust, house.clock())


def test_a_tombstone_that_came_too_early_is_no_valid_one(scene, house) -> None:
    scene.recognised()
    ask_for_deletion(scene)
    chain = house.changes.look(scene.customer.id, scene.call).chain
    with pytest.raises(SealError, match="deferred"):
        put(
            house.store, chain, make_tombstone(chain, "deleted"), By("system"), house.services.signer,
            house.root_public, house.clock(),
        )  # fmt: skip


def test_one_person_alone_ends_no_deferral_by_order(scene, house) -> None:
    dispute, jan = scene.recognised()
    with pytest.raises(SealError, match="one person alone"):
        amend(
            house.changes.end_deferrals,
            scene.customer.id,
            scene.call,
            By("user", jan.id),
            dispute=dispute.id,
            how=amendment_kinds.ORDERED,
            people=[jan.id],
        )


def test_what_ends_after_both_agreed_stays_ended(scene, house, duty) -> None:
    dispute, jan = scene.recognised()
    agree(scene, dispute, jan)
    by = By("user", scene.claire.id)
    amend(house.changes.narrow, scene.customer.id, scene.call, by, purposes=["agreement"], reason="no longer")
    house.clock.forward(hours=24)
    assert duty.record_due(house.clock()) == 1
    assert amendment_kinds.OutcomeAdded in kinds(scene)
    assert amendment_kinds.ConsentAdded not in kinds(scene), (
        "the end came after the agreement, and before its seal"
    )


@pytest.mark.parametrize("fault", [StoreError("store.not_found", "gone", "look"), ValueError("malformed")])
def test_an_outcome_that_fails_delays_no_other(scene, house, duty, fault, monkeypatch) -> None:
    """One dispute's key is gone, or its data is malformed: the next one is sealed."""
    dispute, jan = scene.recognised()
    agree(scene, dispute, jan)
    other = replace(scene, call=house.call(scene.customer))
    second, eve = other.recognised()
    agree(other, second, eve)
    real = OutcomeDuty._seal

    def fail(self, changes, found, outcome, recording):
        if found.id == dispute.id:
            raise fault
        return real(self, changes, found, outcome, recording)

    monkeypatch.setattr(OutcomeDuty, "_seal", fail)
    house.clock.forward(hours=24)
    assert duty.record_due(house.clock()) == 1
    assert other.find(second).closed_how == SETTLED
    assert scene.find(dispute).closed_at is None
    monkeypatch.undo()
    assert duty.record_due(house.clock()) == 1


def test_an_outcome_is_sealed_beside_what_is_left(scene, house, duty) -> None:
    """A recording that is gone before its outcome was sealed stops nothing."""
    dispute, jan = scene.recognised()
    agree(scene, dispute, jan)
    row = catalogue.recording(scene.customer.id, scene.call)
    chain = house.changes.look(scene.customer.id, scene.call).chain
    assert row is not None
    with writing():
        RecordingTable.update(erased_at=house.clock()).execute()
    house.clock.forward(hours=24)
    assert duty.record_due(house.clock()) == 1
    assert scene.find(dispute).closed_at is not None
    assert amendment_kinds.DeletionRequested not in {type(each.data) for each in chain.amendments}


@pytest.mark.parametrize("what", ["withdrawn", "narrowed", "shortened"])
def test_withdrawal_and_shorter_retention_wait_as_a_deletion_does(house, scene, what: str) -> None:
    scene = replace(scene, call=house.call(scene.customer, mode="opt-out"))
    dispute, _jan = scene.recognised()
    changes, by, tenant = house.changes, By("user", scene.claire.id), scene.customer.id
    changes.lift(changes.look(tenant, scene.call), by, hold=1, reason="no longer needed")
    if what == "withdrawn":
        amend(changes.withdraw, tenant, scene.call, by, reason="by letter")
    elif what == "narrowed":
        amend(changes.narrow, tenant, scene.call, by, purposes=["agreement"], reason="no longer")
    else:
        house.clock.forward(days=2)
        house.limit(tenant, 1)
    with pytest.raises(AccessError):
        house.gate.grant(scene.actor(scene.claire), scene.call, "agreement")
    limit_application.apply_limits(house.store, house.root_public, house.clock())
    house.clock.forward(days=1)
    erase(scene)
    assert is_there(scene)
    status = changes.look(tenant, scene.call)
    assert status.terms.why == what
    assert status.terms.deferral(house.clock()).until == last_day(dispute)
    house.clock.forward(seconds=(last_day(dispute) - house.clock()).total_seconds())
    erase(scene)
    assert not is_there(scene)


def test_the_guests_own_withdrawal_ends_their_part(scene, house) -> None:
    scene = replace(scene, call=house.call(scene.customer, mode="opt-out"))
    dispute, jan = scene.recognised()
    scene.invitations.withdraw_consent(scene.customer.id, dispute.id, jan.id, "I withdraw my consent.")
    assert scene.guest(dispute).ended_how == "left"
    assert kinds(scene)[-2:] == [amendment_kinds.ConsentWithdrawn, amendment_kinds.DeferralEnded]
    with pytest.raises(AccessError):
        house.gate.grant(scene.actor(jan), scene.call, "agreement")
    assert erase(scene) == 0, "the customer still keeps it for the open question"
    scene.disputes.close(scene.claire, dispute.id)
    assert erase(scene) == 1


def test_only_the_person_who_was_recorded_withdraws(scene, house) -> None:
    dispute = scene.open()
    jan = scene.accept(scene.invite(dispute))
    with pytest.raises(DisputeError) as error:
        scene.invitations.withdraw_consent(scene.customer.id, dispute.id, jan.id, "I withdraw my consent.")
    assert error.value.error_id == "dispute.not_theirs", "it is not established that it was them"
