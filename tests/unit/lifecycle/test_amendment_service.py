"""The rules of amendments, each at its limits, and what an interrupted one leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import AMENDED, append, lock_tenant
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.fault_log import FaultLog
from recorder.lifecycle import amendment_store, amendments
from recorder.lifecycle.amendment_service import (
    LONGEST_REASON,
    LONGEST_REVIEW,
    TRIES,
    Changes,
    agreement_rule,
)
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.current_terms import current_terms
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import EXPIRED, HoldLifted
from recorder.seal.keyring import data_key_path
from recorder.store.contract import Conflict
from tests.amendments import amend
from tests.expected_errors import error_of
from tests.stored_recordings import forge, put_small
from tests.tombstones import drop_key

OPERATOR = By("operator")
REASON = "by letter"


@pytest.fixture
def changes(house) -> Changes:
    return house.changes


@pytest.fixture
def recording(house) -> str:
    return put_small(house)


@pytest.fixture
def legal_duty(house) -> tuple[str, str]:
    """A customer who must keep recordings by law, and a recording."""
    notary = house.customer(
        "Notaire Peeters", "+3225550188", purposes=("agreement", "legal-duty"), formats=("wav",)
    )
    return notary.id, house.call(notary)


def kinds(house, recording: str, tenant: str = "") -> list[str]:
    row = queries.recording(tenant or house.tenant, recording)
    assert row is not None
    return [each.kind for each in chain_of(house.store, row.prefix, house.root_public).amendments]


def hold(house, recording: str, **options) -> None:
    values = {"owner": "ada", "purposes": ["agreement"], "reason": REASON}
    values["review_at"] = house.clock() + timedelta(days=90)
    amend(house.changes.hold, house.tenant, recording, OPERATOR, **values | options)


def test_reaches_its_points_in_order(house, recording) -> None:
    points: list[str] = []
    amend(
        replace(house.changes, boundary=points.append).delete,
        house.tenant,
        recording,
        OPERATOR,
        reason=REASON,
    )
    assert points == ["begun", "put", "listed"]
    assert amendments.pending_amendments(house.clock() + timedelta(days=1)) == ()


def test_a_mark_is_pending_after_its_time_until_it_is_removed(house, recording) -> None:
    now, soon = house.clock(), house.clock() + timedelta(milliseconds=1)
    amendments.begin_amendment(house.tenant, recording, now)
    amendments.begin_amendment(house.tenant, recording, soon)
    assert amendments.pending_amendments(now) == ()
    assert amendments.pending_amendments(soon) == ((house.tenant, recording),)
    amendments.end_amendment("another recording")
    assert amendments.pending_amendments(soon) == ((house.tenant, recording),)
    amendments.end_amendment(recording)
    assert amendments.pending_amendments(soon) == ()


def test_knows_a_recordings_amendments_from_its_rows_and_from_the_log(house, recording) -> None:
    other = put_small(house)
    hold(house, recording)
    at = house.clock()
    hold(house, other)
    (sha256,) = amendments.listed_hashes(house.tenant, recording)
    assert amendments.known_hashes(house.tenant, recording) == {sha256: at}
    assert amendments.known_hashes("another tenant", recording) == {}
    with writing():  # a restored log names amendments that no row lists yet
        AmendmentTable.delete().execute()
    assert amendments.listed_hashes(house.tenant, recording) == ()
    assert amendments.known_hashes(house.tenant, recording) == {sha256: at}
    with writing():
        LeafTable.update(body=None, salt=None).where(LeafTable.kind == AMENDED).execute()
    assert amendments.known_hashes(house.tenant, recording) == {}


def test_a_leaf_names_who_amended_and_which_hold_was_handed_over(house, changes, recording) -> None:
    hold(house, recording)
    somebody = By("user", "01930000-0000-7000-8000-0000000000c3")
    changes.hand_over(changes.look(house.tenant, recording), somebody, hold=1, owner="bob")
    leaves = leaf_lookup.leaves_about(house.tenant, [recording], [AMENDED])
    assert [(each.body["by"], each.body.get("replaces")) for each in leaves] == [
        ("operator", None),
        (somebody.id, 1),
    ]


def open_holds(found) -> list[tuple[str, int]]:
    return sorted((each.recording, each.number) for each in found)


def test_lists_the_holds_that_are_set_of_one_recording_or_of_all(house, changes, recording) -> None:
    other = put_small(house)
    for each in (recording, other, recording, other):
        hold(house, each)
    assert amendments.holds(recording=other) == amendments.holds(house.tenant, other)
    changes.lift(changes.look(house.tenant, recording), OPERATOR, hold=1, reason=REASON)
    expected = sorted([(recording, 2), (other, 1), (other, 2)])
    assert open_holds(amendments.holds()) == open_holds(amendments.holds(house.tenant)) == expected
    faults = FaultLog()
    assert open_holds(amendments.readable_holds(faults)) == expected
    assert open_holds(amendments.readable_holds(faults, house.tenant)) == expected
    assert amendments.readable_holds(faults, "another tenant") == ()


def test_a_missing_hold_that_was_handed_over_and_lifted_holds_nothing(house, changes, recording) -> None:
    hold(house, recording)
    changes.hand_over(changes.look(house.tenant, recording), OPERATOR, hold=1, owner="bob")
    changes.lift(changes.look(house.tenant, recording), OPERATOR, hold=2, reason=REASON)
    drop_amendments(house, recording)
    chain = changes.look(house.tenant, recording).chain
    assert error_of(lambda: amendments.check_logged(chain)) == "amendment.missing"


def test_a_missing_deferral_keeps_a_recording(house, changes, recording) -> None:
    until, wait = house.clock() + timedelta(days=9), {"dispute": "a dispute", "purposes": ["agreement"]}
    assert amend(changes.defer_erasure, house.tenant, recording, OPERATOR, until=until, **wait) == 1
    drop_amendments(house, recording)
    chain = changes.look(house.tenant, recording).chain
    assert error_of(lambda: amendments.check_logged(chain)) == "recording.deferred"


def drop_amendments(house, recording: str) -> None:
    row = queries.recording(house.tenant, recording)
    for key in list(house.store.list(f"{row.prefix}amendment-")):
        house.store.delete(key)


def test_nothing_is_missing_once_a_tombstone_is_sealed(house, recording) -> None:
    """Whoever writes leaves cannot stop an erasure that has begun."""
    row = queries.recording(house.tenant, recording)
    body = {"recording": recording, "number": 1, "sha256": "ab" * 32, "kind": "hold_set"}
    with writing():
        append(house.tenant, AMENDED, body, house.clock(), house.entropy, recording=recording)
    before = chain_of(house.store, row.prefix, house.root_public)
    assert error_of(lambda: amendments.check_logged(before)) == "recording.held"
    forge(house, recording, make_tombstone(before, EXPIRED), house.clock())
    erased = chain_of(house.store, row.prefix, house.root_public)
    amendments.check_logged(erased)
    at = {"now": house.clock(), "entropy": house.entropy}
    assert amendments.list_tombstone(erased, **at)
    assert amendments.listed_hashes(house.tenant, recording) == tuple(
        each.sha256 for each in erased.amendments
    )
    assert not amendments.list_tombstone(erased, **at)


def test_a_tombstone_is_listed_and_is_no_amendment_in_the_log(house, recording) -> None:
    row = queries.recording(house.tenant, recording)
    forge(house, recording, make_tombstone(chain_of(house.store, row.prefix, house.root_public), EXPIRED),
          house.clock())  # fmt: skip
    chain = chain_of(house.store, row.prefix, house.root_public)
    assert amendments.list_amendments(chain, house.trust, now=house.clock(), entropy=house.entropy) == 1
    assert len(amendments.listed_hashes(house.tenant, recording)) == 1
    assert leaf_lookup.leaves_about(house.tenant, [recording], [AMENDED]) == []


def test_updates_the_expiry_of_what_is_not_erased_under_the_lock_alone(house, recording) -> None:
    row = queries.recording(house.tenant, recording)
    chain = chain_of(house.store, row.prefix, house.root_public)
    with writing():
        current = current_terms(lock_tenant(house.tenant), chain, house.trust)
        assert not amendments.update_expiry(current), "it is the same"
        change = RecordingTable.update(keep_until=row.keep_until + timedelta(days=1))
        change.execute()
        assert amendments.update_expiry(current)
        change.execute()
        RecordingTable.update(erased_at=house.clock()).execute()
        assert not amendments.update_expiry(current)
    with pytest.raises(RuntimeError, match="transaction"):
        amendments.update_expiry(current)


def test_refuses_while_another_process_amends_the_recording(house, changes, recording) -> None:
    assert lease.take(f"recording:{recording}", "another process", house.clock())
    delete = lambda: amend(changes.delete, house.tenant, recording, OPERATOR, reason=REASON)  # noqa: E731
    assert error_of(delete) == "retention.busy"
    lease.release(f"recording:{recording}", "another process")
    delete()
    assert lease.take(f"recording:{recording}", "another process", house.clock()), "the lease was returned"


def test_gives_up_after_several_conflicts(house, changes, recording, monkeypatch) -> None:
    attempts: list[str] = []

    def conflict(key: str, *_: object) -> None:
        attempts.append(key)
        raise Conflict("store.conflict", "taken", "try again")

    monkeypatch.setattr(house.store, "put", conflict)
    assert (
        error_of(lambda: amend(changes.delete, house.tenant, recording, OPERATOR, reason=REASON))
        == "store.conflict"
    )
    assert len(attempts) == TRIES


def test_holds_no_recording_that_is_being_erased(house, recording) -> None:
    row = queries.recording(house.tenant, recording)
    drop_key(row)
    hold(house, recording)
    house.changes.lift(house.changes.look(house.tenant, recording), OPERATOR, hold=1, reason=REASON)
    house.store.delete(data_key_path(house.tenant, recording))
    assert error_of(lambda: hold(house, recording)) == "retention.being_erased"


def test_holds_until_a_review_within_a_year(house, recording) -> None:
    now = house.clock()
    assert error_of(lambda: hold(house, recording, review_at=now)) == "retention.review"
    late = now + LONGEST_REVIEW + timedelta(milliseconds=1)
    assert error_of(lambda: hold(house, recording, review_at=late)) == "retention.review"
    hold(house, recording, review_at=now + LONGEST_REVIEW)
    (legal_hold,) = amendments.holds(house.tenant, recording)
    assert legal_hold.review_at == now + LONGEST_REVIEW
    assert amendments.holds("another tenant") == amendments.holds(recording="another") == ()


def test_lifts_only_a_hold_that_is_set(house, changes, recording) -> None:
    hold(house, recording)

    def lift(number: int) -> None:
        changes.lift(changes.look(house.tenant, recording), OPERATOR, hold=number, reason=REASON)

    assert error_of(lambda: lift(2)) == "retention.no_hold"
    lift(1)
    assert error_of(lambda: lift(1)) == "retention.no_hold"


def test_widens_nothing_while_an_amendment_that_the_log_names_is_missing(house, changes, recording) -> None:
    hold(house, recording)
    hold(house, recording)
    row = queries.recording(house.tenant, recording)
    (house.bucket / f"{row.prefix}amendment-0002.json").unlink()
    status = changes.look(house.tenant, recording)
    assert error_of(lambda: changes.lift(status, OPERATOR, hold=1, reason=REASON)) == "recording.held"
    days = {"purpose": "agreement", "keep_days": 200}
    agree = lambda: amend(changes.agree, house.tenant, recording, OPERATOR, reason=REASON, **days)  # noqa: E731
    assert error_of(agree) == "recording.held"
    assert kinds(house, recording) == ["hold_set"]


@pytest.mark.parametrize(
    ("options", "error_id"),
    [
        ({"purpose": "unknown"}, "retention.purpose"),
        ({"keep_days": 9999}, "retention.too_long"),
        ({"days_ago": 1}, "retention.agreed_on"),
        ({"days_ago": -11}, "retention.agreed_on"),
        ({"reason": ""}, "retention.reason"),
        ({"reason": "x" * (LONGEST_REASON + 1)}, "retention.reason"),
        ({"reason": "a\u200bb"}, "retention.reason"),
        ({"keep_days": 10}, "retention.past"),
    ],
)
def test_refuses_impossible_later_agreements(house, changes, recording, options, error_id) -> None:
    called_on = house.clock().date()
    house.clock.forward(days=10)
    values = {"purpose": "training", "keep_days": 60, "reason": REASON}
    days_ago = options.get("days_ago", 0)
    values |= {name: value for name, value in options.items() if name != "days_ago"}
    agreed_on = called_on - timedelta(days=days_ago)
    agree = lambda **more: amend(changes.agree, house.tenant, recording, OPERATOR, **values | more)  # noqa: E731
    assert error_of(lambda: agree(on=agreed_on)) == error_id
    assert kinds(house, recording) == []


def test_accepts_a_later_agreement_between_the_call_and_today(house, changes, recording) -> None:
    called_on = house.clock().date()
    house.clock.forward(days=10)
    longest = {"reason": "x" * LONGEST_REASON, "purpose": "training", "keep_days": 60}
    for day in (called_on, house.clock().date()):
        amend(changes.agree, house.tenant, recording, OPERATOR, on=day, **longest)
    assert kinds(house, recording) == ["consent_added"] * 2


def test_refuses_a_later_agreement_once_the_recording_has_expired_or_is_deleted(
    house, changes, recording
) -> None:
    agree = {"purpose": "training", "keep_days": 90, "reason": REASON}
    other = put_small(house)
    amend(changes.delete, house.tenant, other, OPERATOR, reason=REASON)
    assert error_of(lambda: amend(changes.agree, house.tenant, other, OPERATOR, **agree)) == "retention.over"
    house.clock.at = queries.recording(house.tenant, recording).keep_until
    assert (
        error_of(lambda: amend(changes.agree, house.tenant, recording, OPERATOR, **agree)) == "retention.over"
    )


def test_narrows_only_purposes_that_the_recording_has(house, changes, recording) -> None:
    for purposes in ([], ["training"], ["agreement", "training"]):
        narrow = partial(amend, changes.narrow, house.tenant, recording, OPERATOR, reason=REASON)
        assert error_of(partial(narrow, purposes=purposes)) == "retention.purpose"
    amend(
        changes.narrow, house.tenant, recording, OPERATOR, purposes=["agreement", "agreement"], reason=REASON
    )
    assert kinds(house, recording) == ["purposes_narrowed"]
    assert queries.recording(house.tenant, recording).keep_until <= house.clock()


def test_keeps_what_a_law_requires_until_the_customer_leaves(house, changes, legal_duty) -> None:
    tenant, recording = legal_duty
    narrow = {"purposes": ["legal-duty"], "reason": REASON}
    assert (
        error_of(lambda: amend(changes.narrow, tenant, recording, OPERATOR, **narrow)) == "retention.by_law"
    )
    assert (
        error_of(lambda: amend(changes.delete, tenant, recording, OPERATOR, reason=REASON))
        == "retention.by_law"
    )
    assert changes.look(tenant, recording).may_narrow() == ("agreement",)
    amend(changes.leave, tenant, recording, OPERATOR, reason=REASON)
    amend(changes.leave, tenant, recording, OPERATOR, reason=REASON)
    assert kinds(house, recording, tenant) == ["deletion_requested"]


def test_deletes_once_and_never_a_held_recording(house, changes, recording) -> None:
    hold(house, recording)
    for change in (changes.delete, changes.leave):
        attempt = partial(amend, change, house.tenant, recording, OPERATOR, reason=REASON)
        assert error_of(attempt) == "retention.held"
    changes.lift(changes.look(house.tenant, recording), OPERATOR, hold=1, reason=REASON)
    amend(changes.delete, house.tenant, recording, OPERATOR, reason=REASON)
    again = lambda: amend(changes.delete, house.tenant, recording, OPERATOR, reason=REASON)  # noqa: E731
    assert error_of(again) == "retention.deleted"


def test_withdraws_only_purposes_that_rest_on_consent(house, changes) -> None:
    recording = put_small(house, answer="yes", mode="opt-in")
    assert changes.look(house.tenant, recording).may_withdraw() == ("agreement",)
    for purposes in (["training"], ["agreement", "training"], []):
        withdraw = {"purposes": purposes, "reason": REASON}
        attempt = lambda: amend(changes.withdraw, house.tenant, recording, OPERATOR, **withdraw)  # noqa: B023, E731
        assert error_of(attempt) == "retention.not_by_consent"
    amend(changes.withdraw, house.tenant, recording, OPERATOR, purposes=["agreement"], reason=REASON)
    assert kinds(house, recording) == ["consent_withdrawn"]
    assert changes.look(house.tenant, recording).may_withdraw() == ()


def test_previews_an_amendment_without_writing_it(house, changes, recording) -> None:
    rule = agreement_rule(house.tenant, purpose="training", keep_days=60, reason=REASON)
    status, terms = changes.preview(house.tenant, recording, OPERATOR, rule)
    assert [each.code for each in status.terms.purposes] == ["agreement"]
    assert [each.code for each in terms.purposes] == ["agreement", "training"]
    assert kinds(house, recording) == []


def test_hold_is_handed_to_somebody_else(house, changes, recording) -> None:
    hold(house, recording)
    hold(house, recording, owner="bob")
    first, second = (each.number for each in changes.look(house.tenant, recording).terms.holds)
    give = partial(changes.hand_over, changes.look(house.tenant, recording), OPERATOR)
    assert error_of(lambda: give(hold=second, owner="bob")) == "retention.handler"
    assert error_of(lambda: give(hold=second + 9, owner="cleo")) == "retention.no_hold"
    give(hold=second, owner="cleo")
    holds = changes.look(house.tenant, recording).terms.holds
    assert [(each.data.owner, each.data.replaces) for each in holds] == [("ada", None), ("cleo", second)]
    assert error_of(lambda: give(hold=second, owner="dora")) == "retention.no_hold"
    give(hold=first, owner="cleo")


def test_contradictory_amendment_is_not_put(house, recording) -> None:
    services, row = house.services, queries.recording(house.tenant, recording)
    chain = chain_of(house.store, row.prefix, house.root_public)
    before = house.objects()
    lifted = HoldLifted(5, "they agree")
    put = partial(
        amendment_store.put, services.store, chain, lifted, OPERATOR, services.signer, services.root
    )
    assert error_of(lambda: put(house.clock())) == "amendment.contradiction"
    assert house.objects() == before
