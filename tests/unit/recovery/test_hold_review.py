"""After a rebuild nothing expires until a person has confirmed the holds, whatever is done to rows and
leaves."""

from __future__ import annotations

import json

import pytest

from recorder.audit.service import Audit
from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import SealError
from recorder.lifecycle import hold_review, limits


def audit(house) -> set[str]:
    auditor = Audit(house.services.store, house.services.root, house.clock(), recordings=False)
    return {each.code for each in auditor.tenant(house.tenant)}


def test_neither_a_row_nor_an_unsigned_leaf_resumes_expiry(house, recovery, recorded) -> None:
    recording = recorded()
    with recovery.empty_catalogue():
        recovery.rebuild()
        house.clock.forward(days=40)
        with writing():
            GlobalStateTable.delete().execute()
        assert recovery.destroy_due() == 0
        signed_before = {"holds": 0, "statement": "{}"}
        with writing():
            append(house.tenant, hold_review.CONFIRMED, signed_before, house.clock(), house.entropy)
        assert recovery.destroy_due() == 0, "anybody can write a leaf"
        assert house.confirm_holds()
        assert not house.confirm_holds()
        assert recovery.destroy_due() == 1
        assert queries.recording(house.tenant, recording).erasure_reason == "expired"


def test_a_confirmation_answers_one_rebuild(house, recovery, recorded) -> None:
    recorded()
    with recovery.empty_catalogue():
        recovery.rebuild()
        assert house.confirm_holds()
        confirmation = LeafTable.get(LeafTable.kind == hold_review.CONFIRMED)
        body = json.loads(confirmation.body)
        with writing():
            hold_review.require_confirmation("rebuild", house.clock(), house.entropy)
            append(house.tenant, hold_review.CONFIRMED, body, house.clock(), house.entropy)
        house.clock.forward(days=40)
        assert recovery.destroy_due() == 0, "said again, it answers another leaf"


def test_a_suspension_is_logged_once_for_each_customer(house) -> None:
    other, since = house.customer("Reliure Adam", "+3225550177"), house.clock()
    assert hold_review.holds_unconfirmed() is None
    for reason in ("rebuild", "restore"):
        hold_review.suspend_expiry(reason, house.clock(), house.entropy)
        house.clock.forward(days=1)
    for tenant in (house.tenant, other.id):
        (leaf,) = leaf_lookup.leaves_after(tenant, -1, hold_review.UNCONFIRMED)
        assert leaf.body == {"reason": "rebuild"}
        with pytest.raises(SealError, match="the legal holds are not confirmed"):
            hold_review.check_confirmed(tenant, house.trust)
    assert hold_review.holds_unconfirmed() == since
    assert house.confirm_holds()
    assert hold_review.holds_unconfirmed() is None
    for tenant in (house.tenant, other.id):
        hold_review.check_confirmed(tenant, house.trust)


def test_the_audit_notices_a_deleted_suspension(house, recovery, recorded) -> None:
    recorded()
    with recovery.empty_catalogue():
        recovery.rebuild()
        with writing():
            LeafTable.delete().where(LeafTable.kind == hold_review.UNCONFIRMED).execute()
        assert audit(house) & {"leaf.missing", "log.size"}


@pytest.mark.parametrize("covers_consents", [False, True])
def test_restored_limits_wait_for_the_confirmation(house, recovery, recorded, covers_consents) -> None:
    recording = recorded()
    house.limit(9)
    house.clock.forward(minutes=1)
    house.limit(5, covers_consents=covers_consents)
    with recovery.empty_catalogue():
        first = recovery.rebuild()
        assert first.limits.count == 3
        (mine,) = limits.in_force(house.tenant, house.trust)
        assert (mine.limit.keep_days, mine.limit.covers_consents) == (5, covers_consents)
        assert [each.keep_days for each in limits.limits_of(house.tenant, house.trust)] == [9, 5]
        house.clock.forward(days=6)
        recovery.settle()
        assert recovery.destroy_due() == 0
        assert house.confirm_holds()
        assert recovery.destroy_due() == 1
        assert queries.recording(house.tenant, recording).erasure_reason == "shortened"
        again = recovery.rebuild()
        assert (again.limits.count, again.limits.left_out) == (0, ())


def test_an_unknown_statement_waits_for_the_confirmation(house, recovery, recorded) -> None:
    recorded()
    house.limit(5)
    with writing():
        RetentionLimitTable.delete().execute()
    assert recovery.rebuild().limits.count == 1
    house.clock.forward(days=6)
    recovery.settle()
    assert recovery.destroy_due() == 0
    assert hold_review.holds_unconfirmed() is not None
