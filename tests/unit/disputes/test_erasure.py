"""No row ends a dispute: its statements say that it is closed, and their recordings' tombstones the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from recorder.audit.disputes import compare_disputes
from recorder.auditlog.append import lock_tenant
from recorder.auditlog.complete_log import CompleteLog, complete_log, signed_length
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import SealError
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.disputes.erasure import chains_of, erased_dispute
from recorder.features.disputes.rules import Dispute
from recorder.features.offboarding import queries as departures
from recorder.lifecycle import expiry
from recorder.lifecycle.dispute_erasure import drop_disputes
from recorder.lifecycle.statements import DISPUTES_ERASED
from recorder.mail.outbox import Outbox


@pytest.fixture
def duty(house) -> OutcomeDuty:
    return OutcomeDuty(house.services, Outbox(house.keyring, "https://accord.example.com"))


@pytest.fixture
def closed(scene) -> Dispute:
    dispute, _jan = scene.recognised()
    scene.disputes.close(scene.claire, dispute.id)
    return scene.find(dispute)


def lost_bodies() -> int:
    with connected():
        return LeafTable.select().where(LeafTable.body.is_null()).count()


def test_a_dispute_that_is_a_row_alone_erases_no_recordings_leaves(scene, house, duty) -> None:
    now = house.clock()
    with writing():
        DisputeTable.insert(
            id=scene.call, tenant_id=scene.customer.id, opened_at=now, settle_by="2026-01-01", closed_at=now
        ).execute()
    assert duty.drop_erased(now) == 0
    assert lost_bodies() == 0
    with connected():
        assert DisputeTable.get_or_none(DisputeTable.id == scene.call), "the audit reports it"


def test_a_settled_dispute_without_the_rows_of_its_recordings_stays(scene, house, duty, closed) -> None:
    with writing():
        DisputeRecordingTable.delete().execute()
    assert duty.drop_erased(house.clock()) == 0
    assert lost_bodies() == 0
    assert scene.find(closed) == closed


def test_a_dispute_whose_last_statement_is_missing_stays(scene, house, duty, closed) -> None:
    end_of(house)
    with writing():
        last = DisputeStatementTable.select().order_by(DisputeStatementTable.number.desc()).get()
        DisputeStatementTable.delete().where(DisputeStatementTable.id == last.id).execute()
    assert duty.drop_erased(house.clock()) == 0


def test_an_open_dispute_that_a_row_closes_stays(scene, house, duty) -> None:
    dispute = scene.open()
    for each in dispute.recordings:
        current = scene.house.changes.look(dispute.tenant, each.recording)
        scene.house.changes.lift(current, dispute.opened_by, hold=each.hold, reason="lifted")
    end_of(house)
    with writing():
        DisputeTable.update(closed_at=house.clock()).execute()
    assert duty.drop_erased(house.clock()) == 0
    assert scene.find(dispute) == dispute


def test_a_tombstone_that_is_a_row_alone_ends_no_dispute(scene, house, duty, closed) -> None:

    with writing():
        RecordingTable.update(erased_at=house.clock(), erasure_reason="expired").execute()
    assert duty.drop_erased(house.clock()) == 0
    assert scene.find(closed) == closed


def test_a_recording_that_no_row_leads_to_is_named(scene, house, duty) -> None:
    dispute = scene.open()
    other = replace(dispute, recordings=(replace(dispute.recordings[0], recording="lost"),))
    with pytest.raises(SealError, match="recording lost, which no row leads to") as error:
        chains_of(other, house.store, house.trust)
    assert error.value.error_id == "dispute.no_recording"


def test_one_that_stays_delays_no_other(scene, house, duty, closed) -> None:
    end_of(house)
    with writing():
        DisputeTable.insert(
            id="0", tenant_id=scene.customer.id, opened_at=house.clock(), settle_by="2026-01-01",
            closed_at=house.clock(),
        ).execute()  # fmt: skip
    assert duty.drop_erased(house.clock()) == 1
    assert {each.code for each in compare_disputes(scene.customer.id, house.trust)} == {"row.unlogged"}


def test_an_erasure_is_valid_under_the_lock_alone(scene, house, closed) -> None:
    end_of(house)
    chains = chains_of(closed, house.store, house.trust)
    with writing():
        erasure = erased_dispute(whole_log(house, closed), closed.id, chains, house.trust)
    with writing(), pytest.raises(RuntimeError):
        drop_disputes(erasure, house.clock(), house.entropy)
    assert scene.find(closed) == closed


def test_fewer_recordings_than_the_statements_name_are_no_erasure(scene, house, closed) -> None:
    end_of(house)
    with writing(), pytest.raises(SealError) as error:
        erased_dispute(whole_log(house, closed), closed.id, [], house.trust)
    assert error.value.error_id == "dispute.not_erased"


def test_an_erased_dispute_goes_with_its_guests_names_and_nothing_else(scene, house, duty) -> None:
    closed, jan = scene.recognised()
    scene.disputes.close(scene.claire, closed.id)
    own, other = scene.customer.id, house.customer("Reliure Adam", "+3225550177")
    adam, berthe = (house.person(other, name, name.title()) for name in ("adam", "berthe"))
    # Rows of another customer's that name this dispute, and of another dispute of the same customer's.
    planted = [(adam.id, other.id, closed.id), (scene.customer.people["paul"].id, own, "another")]
    with writing():
        UserTable.update(revoked_at=house.clock()).where(UserTable.id != scene.claire.id).execute()
        for user, tenant, dispute in planted:
            identity = {"tenant_id": tenant, "dispute_id": dispute}
            DisputeGuestTable.insert(id=user, role="neutral", token_sha256=user, **identity).execute()
            DisputeRecordingTable.insert(id=user, recording_id=scene.call, **identity).execute()
        DisputeGuestTable.insert(
            id=berthe.id, tenant_id=own, dispute_id=closed.id, role="neutral", token_sha256="x"
        ).execute()
        DisputeTable.insert(
            id="another", tenant_id=own, opened_at=house.clock(), settle_by="2027-12-01"
        ).execute()
    end_of(house)
    assert duty.drop_erased(house.clock()) == 1
    with connected():
        people = {each.id: each for each in UserTable.select()}
        (leaf,) = LeafTable.select().where(LeafTable.kind == DISPUTES_ERASED)
        assert [each.id for each in DisputeTable.select()] == ["another"]
        for table in (DisputeGuestTable, DisputeRecordingTable):
            assert {each.id for each in table.select()} == {user for user, _, _ in planted}
    blank = people.pop(jan.id)
    assert (blank.name, blank.password_hash, blank.credential) == ("", "", None)
    assert all(each.name and each.password_hash for each in people.values())
    body = json.loads(leaf.body)
    assert (leaf.tenant_id, body["disputes"], body["dispute_ids"]) == (own, 1, [closed.id])
    assert body["recording_ids"] == [scene.call]


def test_a_guest_whose_access_goes_on_keeps_the_name(scene, house, duty, closed) -> None:
    """They may be invited to another dispute."""
    with writing():
        UserTable.update(revoked_at=None).where(UserTable.role == "external_party").execute()
    end_of(house)
    assert duty.drop_erased(house.clock()) == 1
    with connected():
        (guest,) = UserTable.select().where(UserTable.role == "external_party")
    assert guest.name == "Jan Peeters"


def test_a_departed_customer_takes_its_own_disputes_along(scene, house) -> None:
    dispute = scene.open()
    with writing():
        other = {"tenant_id": house.customer("Reliure Adam", "+3225550177").id, "dispute_id": "elsewhere"}
        DisputeStatementTable.insert(id="elsewhere/1", number=1, statement="{}", **other).execute()
        DisputeRecordingTable.insert(id="elsewhere", recording_id="another", **other).execute()
    order = house.order_erasure(dispute.tenant)
    for _ in range(2):  # repeated, nothing is left to be said
        departures.drop_users(order, now=house.clock(), entropy=house.entropy)
    with connected():
        for table in (DisputeStatementTable, DisputeRecordingTable):
            assert [each.dispute_id for each in table.select()] == ["elsewhere"]
        (leaf,) = LeafTable.select().where(LeafTable.kind == DISPUTES_ERASED)
    body = json.loads(leaf.body)
    assert (body["dispute_ids"], body["recording_ids"]) == ([dispute.id], [scene.call])
    assert len(body["leaves"]) == len(dispute.statements)


def whole_log(house, dispute: Dispute) -> CompleteLog:
    length = signed_length(dispute.tenant, house.store, house.root_public)
    return complete_log(lock_tenant(dispute.tenant), length)


def end_of(house) -> None:
    """Erase the recording, whose retention period ends."""
    house.clock.forward(days=370)
    assert expiry.destroy_due(house.services, house.clock()) == 1
