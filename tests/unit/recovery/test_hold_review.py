"""After a rebuild nothing expires until a person has confirmed the holds, whatever is done to rows and
leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

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
from recorder.lifecycle.hold_review import CONFIRMATION, CONFIRMED, UNCONFIRMED, Confirmation, HoldReminders
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from tests.amendments import amend
from tests.stored_recordings import put_small

OPERATOR = By("operator")


def audit(house) -> set[str]:
    auditor = Audit(house.services.store, house.services.root, house.clock(), recordings=False)
    return {each.code for each in auditor.tenant(house.tenant)}


def hold(house, recording: str, days: int) -> None:
    """Set a hold that is due for review in ``days``."""
    review = house.clock() + timedelta(days=days)
    more = {"owner": "ada", "purposes": ["agreement"], "reason": "a court asks", "review_at": review}
    amend(house.changes.hold, house.tenant, recording, OPERATOR, **more)


def confirm(house, **changes) -> None:
    """Append a confirmation of the last suspension, with ``changes`` in its statement."""
    leaf = LeafTable.get((LeafTable.tenant == house.tenant) & (LeafTable.kind == UNCONFIRMED))
    statement = replace(Confirmation(house.tenant, leaf.leaf_hash, 0, house.clock()), **changes)
    body = {"holds": 0, "statement": CONFIRMATION.write(statement, house.services.signer).decode()}
    with writing():
        append(house.tenant, CONFIRMED, body, house.clock(), house.entropy)


def is_suspended(house, trust: Trust) -> bool:
    try:
        hold_review.check_confirmed(house.tenant, trust)
    except SealError:
        return True
    return False


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


def test_names_the_first_suspension_that_lasts(house) -> None:
    since = house.clock()
    hold_review.suspend_expiry("restore", since, house.entropy)
    house.clock.forward(days=1)
    other = house.customer("Reliure Adam", "+3225550177")
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    (leaf,) = leaf_lookup.leaves_after(other.id, -1, UNCONFIRMED)
    assert leaf.body == {"reason": "rebuild"}
    assert hold_review.holds_unconfirmed() == since


def test_names_the_first_suspension_whoever_it_is_about(house) -> None:
    other, since = house.customer("Reliure Adam", "+3225550177"), house.clock()
    assert house.tenant < other.id
    with writing():
        append(other.id, UNCONFIRMED, {"reason": "restore"}, since, house.entropy)
    house.clock.forward(days=1)
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    assert hold_review.holds_unconfirmed() == since


def test_names_the_time_of_that_customers_own_leaf(house) -> None:
    other = house.customer("Reliure Adam", "+3225550177")
    with writing():
        for _ in range(30):
            append(other.id, "user.renamed", {}, house.clock(), house.entropy)
    since = house.clock.forward(days=1)
    hold_review.suspend_expiry("restore", since, house.entropy)
    assert hold_review.holds_unconfirmed() == since


def test_names_no_suspension_that_was_answered(house) -> None:
    hold_review.suspend_expiry("restore", house.clock(), house.entropy)
    assert house.confirm_holds()
    since = house.clock.forward(days=1)
    hold_review.suspend_expiry("rebuild", since, house.entropy)
    assert hold_review.holds_unconfirmed() == since


@pytest.mark.parametrize("changes", [{"tenant": "another"}, {"leaf": "ab" * 32}], ids=["tenant", "leaf"])
def test_a_signed_statement_about_something_else_confirms_nothing(house, changes) -> None:
    other = house.customer("Reliure Adam", "+3225550177")
    with writing():
        for _ in range(30):
            append(other.id, "user.renamed", {}, house.clock(), house.entropy)
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    confirm(house, **changes)
    assert is_suspended(house, house.trust)
    confirm(house)
    assert not is_suspended(house, house.trust), "whatever the other customer's log says"


def test_a_key_revoked_before_confirms_nothing(house) -> None:
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    confirm(house)
    key, day = house.services.signer.key_id, timedelta(days=1)
    for revoked_at, suspended in ((house.clock() - day, True), (house.clock() + day, False)):
        trust = Trust(house.root_public, lambda at=revoked_at: {key: at})
        assert is_suspended(house, trust) is suspended


def test_a_confirmation_states_how_many_holds_each_customer_has(house, recorded) -> None:
    other = house.customer("Reliure Adam", "+3225550177")
    for _ in range(2):
        hold(house, recorded(), days=9)
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    assert house.confirm_holds()
    for tenant, count in ((house.tenant, 2), (other.id, 0)):
        (leaf,) = leaf_lookup.leaves_after(tenant, -1, CONFIRMED)
        statement = CONFIRMATION.read(leaf.body["statement"].encode(), house.root_public).value
        assert (leaf.body["holds"], statement.holds, statement.tenant) == (count, count, tenant)


def test_a_key_that_has_ended_confirms_nothing(house) -> None:
    hold_review.suspend_expiry("rebuild", house.clock(), house.entropy)
    house.clock.forward(days=3 * 365)
    with pytest.raises(SealError):
        house.confirm_holds()
    assert is_suspended(house, house.trust)


def test_reminds_once_a_day_of_each_hold_that_is_due(house) -> None:
    first, second, start = put_small(house), put_small(house), house.clock()
    hold(house, first, days=2)
    hold(house, second, days=3)
    reminders = HoldReminders()

    def reminded(after: timedelta) -> list[str]:
        with capture_logs() as logs:
            reminders.remind(start + after)
        return [line["recording"] for line in logs if line["event"] == "hold.review_due"]

    assert reminded(timedelta(days=2) - timedelta(seconds=1)) == []
    assert reminded(timedelta(days=2)) == [first]
    assert reminded(timedelta(days=2, seconds=1)) == []
    assert reminded(timedelta(days=3)) == [first, second]
    assert reminded(timedelta(days=3, seconds=1)) == []


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
