"""Outcomes: confirmed by both, sealed beside the recordings the next day, found by their page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from recorder.audit.disputes import compare_disputes
from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.duty import MAIL, OutcomeDuty
from recorder.features.disputes.outcomes import confirmations, is_outcome, names_of_confirmers
from recorder.features.disputes.rules import Dispute, Outcome, text_sha256
from recorder.identity.secret_tokens import token_hash
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import put
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import SYSTEM, By
from recorder.seal.amendment_kinds import BOTH_SIDES, STATED, VOUCHED, ConsentAdded, OutcomeAdded
from recorder.seal.data_key import open_data_key, read_wrapped
from recorder.seal.dispute_kinds import SETTLED, OutcomeWritten
from recorder.seal.document_source import read_document
from recorder.seal.keyring import data_key_path, tenant_key_path
from recorder.seal.outcome import decrypt_outcome, outcome_sha256
from tests.amendments import amend
from tests.expected_errors import expect_error

AT = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = "The bread costs 12,50 euros, from Monday on."


@pytest.fixture
def agreed(scene) -> Dispute:
    """A dispute whose two sides agree on an outcome, and on one of two passages."""
    dispute, jan = scene.recognised()
    agreements = scene.agreements
    agreements.mark_passage(scene.claire, dispute.id, scene.call, 500, 2500, "Here we spoke about the price")
    agreements.mark_passage(jan, dispute.id, scene.call, 3000, 4000, "Here about the day")
    first = scene.find(dispute).passages[0]
    agreements.confirm_passage(jan, dispute.id, first.id, text_sha256(first.text))
    agreements.write_outcome(jan, dispute.id, "anew", TEXT, 365)
    agreements.confirm_outcome(scene.claire, dispute.id, scene.find(dispute).outcome.sha256)
    return scene.find(dispute)


@pytest.fixture
def duty(house) -> OutcomeDuty:
    return OutcomeDuty(house.services, Outbox(house.keyring, "https://accord.example.com"))


def outcomes_of(scene) -> list[OutcomeAdded]:
    chain = scene.house.changes.look(scene.customer.id, scene.call).chain
    return [each.data for each in chain.amendments if isinstance(each.data, OutcomeAdded)]


def test_it_is_sealed_a_day_later_and_closes_the_dispute(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24, seconds=-1)
    assert duty.record_due(house.clock()) == 0
    assert not outcomes_of(scene)
    house.clock.forward(seconds=1)
    assert duty.record_due(house.clock()) == 1
    (sealed,) = outcomes_of(scene)
    found = scene.find(agreed)
    assert (found.closed_how, found.outcome.amendments[0].recording) == (SETTLED, scene.call)
    assert sealed.outcome_sha256 == found.outcome.sha256 == outcome_sha256(agreed.outcome.statement)
    assert {(each.side, each.how) for each in sealed.confirmations} == {
        ("customer", "account"), ("external_party", "people"),
    }  # fmt: skip
    assert duty.record_due(house.clock()) == 0, "once"
    assert not list(compare_disputes(scene.customer.id, house.trust))


def test_its_text_is_sealed_under_the_recordings_key(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    status = house.changes.look(scene.customer.id, scene.call)
    (sealed,) = outcomes_of(scene)
    prefix = status.row.prefix
    for key in house.store.list(prefix):
        assert b"12,50" not in read_document(house.store, key, 10**7), (
            "nothing of it is readable in the bucket"
        )
    tenant_key = read_wrapped(house.store, tenant_key_path(scene.customer.id))
    wrapped = read_wrapped(house.store, data_key_path(scene.customer.id, scene.call))
    key = open_data_key(house.store, house.keyring, tenant_key, wrapped)
    content = decrypt_outcome(sealed.content, status.chain.manifest, key)
    assert content.statement == agreed.outcome.statement
    assert [(each.begin_ms, each.end_ms, each.text) for each in content.passages] == [
        (500, 2500, "Here we spoke about the price")
    ], "only what both put the same way"
    assert {each.name for each in content.people} == {"Claire Martin", "Jan Peeters"}


def test_the_recording_is_kept_as_long_as_both_agreed(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    terms = house.changes.look(scene.customer.id, scene.call).terms
    assert not terms.holds
    row = catalogue.recording(scene.customer.id, scene.call)
    assert row is not None
    assert terms.until - row.started_at > timedelta(days=364)
    assert catalogue.recording(scene.customer.id, scene.call).keep_until == terms.until


@pytest.mark.parametrize("changes", [{"outcome_sha256": "00" * 32}, {"content": b"garbage"}, {}])
def test_an_outcome_that_only_claims_to_be_the_disputes_is_not_adopted(
    scene, house, agreed, duty, changes
) -> None:
    """Not even one that the worker's key signed: it is compared with the dispute's statements."""
    confirmed = confirmations(agreed, agreed.outcome)
    data = OutcomeAdded(agreed.id, agreed.outcome.sha256, confirmed, b"more garbage")
    chain = house.changes.look(scene.customer.id, scene.call).chain
    signer = house.services.signer
    put(house.store, chain, replace(data, **changes), SYSTEM, signer, house.root_public, house.clock())
    house.clock.forward(hours=24)
    assert duty.record_due(house.clock()) == 1
    assert len(outcomes_of(scene)) == 2
    (amended,) = scene.find(agreed).outcome.amendments
    found = house.changes.look(scene.customer.id, scene.call).chain.amendments[amended.amendment - 1]
    assert is_outcome(found.data, scene.find(agreed))
    assert found.data.content not in (b"garbage", b"more garbage")
    findings = list(compare_disputes(scene.customer.id, house.trust))
    assert [each.code for each in findings] == (["outcome.differs"] if "outcome_sha256" in changes else [])


def test_the_panels_key_seals_no_outcome(scene, house, agreed) -> None:
    """It signs other amendments; an outcome ends the deferral of an erasure."""
    chain = house.changes.look(scene.customer.id, scene.call).chain
    data = OutcomeAdded(agreed.id, agreed.outcome.sha256, confirmations(agreed, agreed.outcome), b"garbage")
    with expect_error(SealError, "seal.endorsement_use"):
        put(house.store, chain, data, SYSTEM, house.changes.signer, house.root_public, house.clock())


def test_an_outcome_sealed_before_a_crash_is_not_sealed_twice(scene, house, agreed, duty) -> None:
    """Although somebody was renamed meanwhile."""
    house.clock.forward(hours=24)
    crashed = replace(duty, services=replace(duty.services, boundary=stop_at("outcome sealed")))
    assert crashed.record_due(house.clock()) == 0
    with writing():
        UserTable.update(name="Claire Dupont").where(UserTable.name == "Claire Martin").execute()
    assert duty.record_due(house.clock()) == 1
    assert len(outcomes_of(scene)) == 1


def stop_at(point: str) -> Callable[[str], None]:
    def boundary(name: str) -> None:
        if name == point:
            raise RuntimeError("killed")

    return boundary


def test_an_unconfirmed_text_has_no_effect(scene, house, duty) -> None:
    dispute, jan = scene.recognised()
    scene.agreements.write_outcome(jan, dispute.id, "anew", TEXT)
    house.clock.forward(days=3)
    assert duty.record_due(house.clock()) == 0
    scene.disputes.close(scene.claire, dispute.id)
    assert duty.record_due(house.clock()) == 0
    assert not outcomes_of(scene)


def test_an_agreed_outcome_is_not_closed_away(scene, house, agreed) -> None:
    with expect_error(DisputeError, "dispute.outcome_waits"):
        scene.disputes.close(scene.claire, agreed.id)
    scene.agreements.retract_outcome(scene.claire, agreed.id)
    scene.disputes.close(scene.claire, agreed.id)
    assert scene.find(agreed).closed_at == house.clock()


def test_a_row_alone_seals_nothing(scene, house, duty) -> None:
    dispute, jan = scene.recognised()
    scene.agreements.write_outcome(jan, dispute.id, "anew", TEXT)
    with writing():
        DisputeTable.update(final_at=house.clock()).execute()
    house.clock.forward(days=2)
    assert duty.record_due(house.clock()) == 0
    assert not outcomes_of(scene)


def test_a_row_shortens_nobodys_time_to_think(scene, house, agreed, duty) -> None:
    with writing():
        DisputeTable.update(final_at=house.clock()).execute()
    house.clock.forward(hours=1)
    assert duty.record_due(house.clock()) == 0
    assert not outcomes_of(scene)


@pytest.mark.parametrize(
    "change",
    [
        {"final_at": None},
        {"final_at": datetime(2999, 1, 1, tzinfo=UTC)},
        {"final_at": None, "closed_at": AT},
        None,
    ],
)
def test_no_row_delays_the_sealing(scene, house, agreed, duty, change: dict[str, Any] | None) -> None:
    """The log says what was confirmed."""
    with writing():
        if change is not None:
            DisputeTable.update(change).execute()
        else:
            for table in (DisputeRecordingTable, DisputeGuestTable, DisputeTable):
                table.delete().execute()
    house.clock.forward(hours=23)
    with capture_logs() as logs:
        assert duty.record_due(house.clock()) == 0
    assert not logs, "it is not due yet"
    house.clock.forward(hours=1)
    assert duty.record_due(house.clock()) == 1
    assert len(outcomes_of(scene)) == 1
    assert duty.record_due(house.clock()) == 0


def test_what_is_said_while_it_is_sealed_does_not_stop_it(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)

    def speak(point: str) -> None:
        if point == "outcome sealed":
            later = (house.clock() + timedelta(days=20)).date()
            scene.disputes.reschedule(scene.claire, agreed.id, later)

    services = replace(house.services, boundary=speak)
    assert OutcomeDuty(services, duty.outbox).record_due(house.clock()) == 1
    assert scene.find(agreed).closed_how == SETTLED
    assert len(outcomes_of(scene)) == 1


@pytest.mark.parametrize("boundary", ["put", "listed", "outcome sealed", "outcome stated"])
def test_an_interrupted_seal_resumes(scene, house, agreed, duty, boundary: str) -> None:
    house.clock.forward(hours=24)

    def die(point: str) -> None:
        if point == boundary:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OutcomeDuty(replace(house.services, boundary=die), duty.outbox).record_due(house.clock())
    duty.record_due(house.clock())
    assert len(outcomes_of(scene)) == 1
    found = scene.find(agreed)
    assert (found.closed_how, len(found.outcome.amendments)) == (SETTLED, 1)
    chain = house.changes.look(scene.customer.id, scene.call).chain
    assert len([each for each in chain.amendments if isinstance(each.data, ConsentAdded)]) == 1


def test_both_are_told_by_mail(scene, house, agreed, duty) -> None:
    invitations = replace(scene.invitations, outbox=duty.outbox)
    invitations.renew_invitation(
        scene.claire, agreed.id, agreed.guests[0].id, address="jan@example.com"
    )  # he has an address now
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    with connected():
        from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable

        kinds = [row.kind for row in OutgoingMailTable.select()]
    assert kinds.count(MAIL) == 1, "claire's log-in is no address"


def test_the_page_is_found_by_its_token_alone(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    token = queries.page_token(agreed.id)
    assert token is not None
    assert scene.agreements.open_page(token).id == agreed.id
    with writing():
        DisputeTable.update(page_sha256=token_hash("x" * 43)).execute()
    for each in (token, "x" * 43, ""):
        with expect_error(DisputeError, "dispute.unknown_link"):
            scene.agreements.open_page(each)


@pytest.mark.parametrize(
    ("arguments", "error_id"),
    [
        (("none", TEXT), "dispute.outcome"),
        (("anew", " "), "dispute.outcome_text"),
        (("anew", TEXT, 7), "dispute.keep_days"),
        (("anew", TEXT, 36500), "dispute.keep_days"),
    ],
)
def test_a_bad_outcome_is_refused(scene, arguments, error_id: str) -> None:
    dispute, jan = scene.recognised()
    with expect_error(DisputeError, error_id):
        scene.agreements.write_outcome(jan, dispute.id, *arguments)


@pytest.mark.parametrize(("begin", "end"), [(-1, 100), (100, 100), (0, 10**9)])
def test_a_passage_is_in_the_recording(scene, begin: int, end: int) -> None:
    dispute, jan = scene.recognised()
    with expect_error(DisputeError, "dispute.passage"):
        scene.agreements.mark_passage(jan, dispute.id, scene.call, begin, end, "x")


def test_a_changed_statement_seals_nothing(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)
    with writing():
        row = DisputeStatementTable.select().order_by(DisputeStatementTable.number.desc()).get()
        DisputeStatementTable.delete().where(DisputeStatementTable.id == row.id).execute()
    assert duty.record_due(house.clock()) == 0
    with pytest.raises(SealError):
        scene.find(agreed)
    assert not outcomes_of(scene)


def test_a_dispute_ends_with_its_recordings(scene, house, agreed, duty) -> None:
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    assert duty.drop_erased(house.clock()) == 0
    house.clock.forward(days=370)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    assert duty.drop_erased(house.clock()) == 1
    with pytest.raises(DisputeError):
        scene.find(agreed)
    with connected():
        assert not UserTable.select().where(UserTable.name == "Jan Peeters").exists()
        bodies = [row.body for row in LeafTable.select().where(LeafTable.kind == "dispute.stated")]
    assert set(bodies) == {None}
    assert not list(compare_disputes(scene.customer.id, house.trust))


def consents_of(scene) -> list[ConsentAdded]:
    chain = scene.house.changes.look(scene.customer.id, scene.call).chain
    return [each.data for each in chain.amendments if isinstance(each.data, ConsentAdded)]


def test_who_is_vouched_for_does_not_count_as_a_second_side(scene, house, agreed, duty) -> None:
    """Two colleagues can vouch for somebody of their own: seal and retention say so."""
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    (sealed,), (consent,) = outcomes_of(scene), consents_of(scene)
    assert (sealed.basis, consent.basis) == (VOUCHED, VOUCHED)
    assert "vouch" in consent.reason


def test_a_code_to_the_number_in_the_call_counts_as_both_sides(scene, house, duty) -> None:
    dispute, jan = scene.verified()
    scene.agreements.write_outcome(jan, dispute.id, "anew", TEXT, 365)
    scene.agreements.confirm_outcome(scene.claire, dispute.id, scene.find(dispute).outcome.sha256)
    house.clock.forward(hours=24)
    duty.record_due(house.clock())
    (sealed,), (consent,) = outcomes_of(scene), consents_of(scene)
    assert (sealed.basis, consent.basis) == (BOTH_SIDES, BOTH_SIDES)
    assert consent.reason.startswith("Both sides")
    listed = catalogue.recording(scene.customer.id, scene.call)
    assert listed.agreement == "agreed", "as its own page says, although nobody asked in the call"


@pytest.mark.parametrize("basis", [VOUCHED, BOTH_SIDES])
def test_nobody_enters_an_agreement_of_both_sides(scene, house, basis: str) -> None:
    agree = {"purpose": "agreement", "keep_days": 100, "reason": "By telephone"}
    by = By("user", scene.claire.id)
    with pytest.raises(SealError, match="more than one person"):
        amend(house.changes.agree, scene.customer.id, scene.call, by, basis=basis, **agree)
    amend(house.changes.agree, scene.customer.id, scene.call, by, **agree)
    assert [each.basis for each in consents_of(scene)] == [STATED]


def test_who_confirmed_is_named_as_far_as_they_are_known(scene, house) -> None:
    dispute, jan = scene.recognised()
    at = house.clock()
    statement = OutcomeWritten("open", "We leave it.", "0" * 64)
    outcome = Outcome(statement, "claire", tuple((user, at) for user in (jan.id, scene.claire.id, "nobody")))
    assert names_of_confirmers(scene.find(dispute), outcome) == {
        jan.id: "Jan Peeters",
        scene.claire.id: "Claire Martin",
        "nobody": "",
    }
