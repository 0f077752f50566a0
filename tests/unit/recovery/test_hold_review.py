"""After a rebuild nothing expires until a person has confirmed the holds, whatever is done to rows and
leaves."""

from __future__ import annotations

import json

import pytest

from recorder.audit.service import Audit
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.lifecycle import hold_review, limits


def audit(house) -> set[str]:
    looking = Audit(house.means.store, house.means.root, house.clock(), recordings=False)
    return {each.code for each in looking.tenant(house.tenant)}


def test_no_row_and_no_leaf_of_somebodys_own_lets_anything_expire(house, recovery, recorded) -> None:
    recording = recorded()
    with recovery.lost():
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
    with recovery.lost():
        recovery.rebuild()
        assert house.confirm_holds()
        said = LeafTable.get(LeafTable.kind == hold_review.CONFIRMED)
        body = json.loads(said.body)
        with writing():
            hold_review.wait_for_holds("rebuild", house.clock(), house.entropy)
            append(house.tenant, hold_review.CONFIRMED, body, house.clock(), house.entropy)
        house.clock.forward(days=40)
        assert recovery.destroy_due() == 0, "said again, it answers another leaf"


def test_the_leaf_that_waits_cannot_be_taken_away_unnoticed(house, recovery, recorded) -> None:
    recorded()
    with recovery.lost():
        recovery.rebuild()
        with writing():
            LeafTable.delete().where(LeafTable.kind == hold_review.UNCONFIRMED).execute()
        assert audit(house) & {"leaf.missing", "log.size"}


@pytest.mark.parametrize("covers_consents", [False, True])
def test_retention_limits_come_back_from_the_bucket_and_wait(
    house, recovery, recorded, covers_consents
) -> None:
    recording = recorded()
    house.limit(9)
    house.clock.forward(minutes=1)
    house.limit(5, covers_consents=covers_consents)
    with recovery.lost():
        first = recovery.rebuild()
        assert first.limits.taken == 3
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
        assert (again.limits.taken, again.limits.left_out) == (0, ())


def test_a_statement_that_the_catalogue_does_not_know_waits_until_somebody_has_looked(
    house, recovery, recorded
) -> None:
    recorded()
    house.limit(5)
    with writing():
        RetentionLimitTable.delete().execute()
    assert recovery.rebuild().limits.taken == 1
    house.clock.forward(days=6)
    recovery.settle()
    assert recovery.destroy_due() == 0
    assert hold_review.holds_unconfirmed() is not None
