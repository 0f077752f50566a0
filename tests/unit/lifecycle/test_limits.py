"""Retention limits in the catalogue: which can be set, and which statements a rebuild restores."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.announcement import PurposeTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.errors import CatalogueError, RetentionError, SealError
from recorder.identity import tenants
from recorder.lifecycle import hold_review, limit_application, limits, retention_limits
from recorder.lifecycle.limits import PendingLimit
from recorder.seal import retention_limit as statements
from recorder.seal.amendment import By
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust
from recorder.spool.atomic_files import memory_file
from tests.expected_errors import error_of, expect_error
from tests.stored_recordings import put_small

pytestmark = pytest.mark.postgresql

ID = "01930000-0000-7000-8000-0000000000a1"
OTHER = "01930000-0000-7000-8000-0000000000b2"


@pytest.fixture
def other_tenant(house) -> str:
    tenants.create_tenant(
        OTHER, name="Van Dyck NV", wrapped_key="{}", now=house.clock(), entropy=house.entropy
    )
    return OTHER


def own_purpose(house, tenant: str, code: str) -> None:
    with writing():
        PurposeTable.create(
            id=f"{tenant}/{code}", tenant=tenant, code=code, labels={}, legal_basis="consent",
            longest_days=90, roles=["customer"], created_at=house.clock(),
        )  # fmt: skip


def signed_limit(house, **changes) -> PendingLimit:
    values = {"tenant": house.tenant, "id": ID, "purpose": None, "line": None, "days": 5}
    values |= {"since": house.clock(), "covers_consents": False, "by": By("operator")}
    content = statements.write(LimitSet(**values | changes), house.services.signer)
    return PendingLimit(ID, house.tenant, content, lifted=False)


def signed_lifting(house, limit: PendingLimit) -> PendingLimit:
    statement = LimitLifted(
        house.tenant, ID, statements.sha256_of(limit.content), house.clock(), By("operator")
    )
    return PendingLimit(ID, house.tenant, statements.write(statement, house.services.signer), lifted=True)


def restore(house, which: PendingLimit) -> bool:
    statement = limits.check_statement(which, house.trust, None)
    return limits.restore_statement(statement, house.clock(), house.entropy)


def test_accepts_a_limit_for_any_purpose_and_line_of_the_customer(house) -> None:
    own_purpose(house, house.tenant, "archive")
    for purpose in (None, "agreement", "archive"):
        for line in (None, house.line.id):
            limits.check_limit(house.tenant, purpose, line, 1)
            limits.check_limit(house.tenant, purpose, line, None)


def test_refuses_a_limit_for_what_the_customer_does_not_have(house, other_tenant) -> None:
    own_purpose(house, other_tenant, "archive")
    assert error_of(lambda: limits.check_limit(house.tenant, "archive", None, 5)) == "retention.purpose"
    own_purpose(house, house.tenant, "own")
    assert error_of(lambda: limits.check_limit(house.tenant, "archive", None, 5)) == "retention.purpose"
    assert error_of(lambda: limits.check_limit(house.tenant, None, "no line", 5)) == "line.unknown"
    foreign = other_tenant, None, house.line.id, 5
    assert error_of(lambda: limits.check_limit(*foreign)) == "line.unknown"


@pytest.mark.parametrize(
    ("purpose", "days", "error_id"),
    [(None, 0, "retention.days"), ("training", 181, "country.keep_days")],
)
def test_refuses_a_number_of_days_that_is_not_allowed(house, purpose, days, error_id) -> None:
    assert error_of(lambda: limits.check_limit(house.tenant, purpose, None, days)) == error_id


def test_another_customers_pending_statement_hinders_nobody(house, other_tenant) -> None:
    theirs = statements.write(
        LimitSet(other_tenant, OTHER, None, None, 5, house.clock(), False, By("operator")),
        house.services.signer,
    )
    limits.begin_statements(other_tenant, OTHER, theirs, {}, ())
    mine = signed_limit(house)
    limits.begin_statements(house.tenant, ID, mine.content, {}, ())
    assert limits.pending(house.tenant) == (mine,)
    assert {each.tenant for each in limits.pending()} == {house.tenant, other_tenant}
    assert limits.version_of(house.tenant) == (), "it is not in effect"
    assert retention_limits.finish_pending(house.store, house.trust, house.clock(), house.entropy) == 2
    assert [[row[0] for row in limits.version_of(each)] for each in (house.tenant, other_tenant)] == [
        [ID],
        [OTHER],
    ]


def test_a_leaf_says_what_is_limited_and_by_whom(house) -> None:
    somebody = By("user", "01930000-0000-7000-8000-0000000000c3")
    for by, more in ((By("operator"), {}), (somebody, {"purpose": "agreement", "line": house.line.id})):
        changes = house.office()
        retention_limits.set_limit(
            changes, house.tenant, retention_limits.NewLimit(**{"purpose": None, "line": None} | more,
                                                             keep_days=5, covers_consents=bool(more)), by
        )  # fmt: skip
    house.limit(None)
    bodies = [
        {name: value for name, value in leaf.body.items() if name not in ("limit", "sha256")}
        for kind in (limits.SET, limits.LIFTED)
        for leaf in leaf_lookup.leaves_after(house.tenant, -1, kind)
    ]
    assert bodies == [
        {"purpose": "", "line": "", "days": 5, "covers_consents": False, "by": "operator"},
        {
            "purpose": "agreement", "line": house.line.id, "days": 5, "covers_consents": True,
            "by": somebody.id,
        },
        {"by": "operator"},
    ]  # fmt: skip


def test_lists_stored_statements_with_the_time_of_their_leaves(house, other_tenant) -> None:
    set_at = house.clock()
    house.limit(5)
    house.clock.forward(minutes=1)
    house.limit(None)
    late = signed_limit(house)
    limits.begin_statements(house.tenant, ID, late.content, {}, limits.version_of(house.tenant))
    found = {(each.lifted, each.id == ID): at for each, _, at in limits.stored_statements(house.tenant)}
    assert found == {(False, False): set_at, (True, False): house.clock(), (False, True): None}
    assert list(limits.stored_statements(other_tenant)) == []


def test_writes_no_statement_when_the_limits_have_changed_meanwhile(house) -> None:
    version = limits.version_of(house.tenant)
    house.limit(5)
    late = signed_limit(house)
    with expect_error(RetentionError, "retention.no_limit"):
        limits.begin_statements(house.tenant, ID, late.content, {}, version)
    assert limits.pending() == ()
    limits.begin_statements(house.tenant, ID, late.content, {}, limits.version_of(house.tenant))
    assert limits.pending(house.tenant) == limits.pending() == (late,)
    assert limits.pending(OTHER) == ()
    with pytest.raises(RetentionError):  # another one is pending
        limits.begin_statements(house.tenant, OTHER, late.content, {}, limits.version_of(house.tenant))
    at = house.clock(), house.entropy
    assert retention_limits.finish_pending(house.store, house.trust, *at) == 1
    assert limits.pending() == ()
    assert retention_limits.finish_pending(house.store, house.trust, *at) == 0


def test_restores_a_limit_and_its_lifting_once(house) -> None:
    limit = signed_limit(house)
    lift = signed_lifting(house, limit)
    assert not limits.is_listed(limit)
    assert error_of(lambda: restore(house, lift)) == "retention.alone"
    assert restore(house, limit)
    assert not restore(house, limit)
    assert limits.is_listed(limit)
    assert not limits.is_listed(lift)
    assert [each.limit.keep_days for each in limits.in_force(house.tenant, house.trust)] == [5]
    assert restore(house, lift)
    assert limits.is_listed(lift)
    assert limits.in_force(house.tenant, house.trust) == ()
    (row,) = limits.limit_rows(house.tenant, house.trust)
    assert row.limit.until == house.clock()
    assert [(each.lifted, at) for each, _, at in limits.stored_statements(house.tenant)] == [
        (False, None),
        (True, None),
    ], "a restored statement's leaf states no time of its own"


def test_ignores_a_lifting_that_is_not_this_limits_or_not_in_the_log(house) -> None:
    """Each of the two alone."""
    limit = signed_limit(house)
    assert restore(house, limit)
    assert restore(house, signed_lifting(house, limit))

    def until(trust: Trust) -> list[object]:
        return [each.limit.until for each in limits.limit_rows(house.tenant, trust)]

    assert until(house.trust) == [house.clock()]
    with writing():
        limit_leaf = RetentionLimitTable.get().leaf
        RetentionLimitTable.update(lifted_leaf=limit_leaf).execute()
    assert until(house.trust) == [None], "its leaf is about something else"
    other = LimitLifted(house.tenant, ID, "0" * 64, house.clock(), By("operator"))
    content = statements.write(other, house.services.signer)
    body = {"limit": ID, "sha256": statements.sha256_of(content)}
    with writing():
        leaf = append(house.tenant, limits.LIFTED, body, house.clock(), house.entropy)
        RetentionLimitTable.update(lifted=content.decode(), lifted_leaf=leaf.number).execute()
    assert until(house.trust) == [None], "it lifts another limit"


def test_refuses_a_statement_that_differs_from_the_catalogues(house, other_tenant) -> None:
    limit = signed_limit(house)
    assert restore(house, limit)
    assert error_of(lambda: restore(house, signed_limit(house, days=6))) == "retention.differs"
    with writing():
        RetentionLimitTable.update(tenant=other_tenant).execute()
    assert error_of(lambda: restore(house, limit)) == "retention.differs"


def test_refuses_a_statement_of_another_customer_or_by_a_revoked_key(house) -> None:
    foreign = signed_limit(house, tenant=OTHER)
    assert error_of(lambda: restore(house, foreign)) == "retention.foreign"
    limit, now = signed_limit(house), house.clock()
    key = house.services.signer.key_id
    revoked = Trust(house.root_public, lambda: {key: now + timedelta(hours=1)})
    assert isinstance(limits.check_statement(limit, revoked, now).statement, LimitSet)
    late = now + timedelta(hours=2)
    assert error_of(lambda: limits.check_statement(limit, revoked, late)) == "seal.key_revoked"


def test_applies_limits_to_recordings_page_by_page(house) -> None:
    assert limits.next_unapplied() is None
    rows = []
    for _ in range(3):
        folder = house.take(formats=("wav",))
        house.work(folder)
        rows.append(folder.name)
    house.limit(5)
    found = []
    while (batch := limits.next_unapplied(limit=2)) is not None:
        identity, _tenant, page = batch
        found.append(list(page))
        limits.note_applied(identity, page[-1] if page else None, house.clock())
    assert found == [sorted(rows)[:2], sorted(rows)[2:], []]


def test_applies_a_limit_in_effect_to_its_customers_living_recordings(house, other_tenant) -> None:
    mine, erased, theirs = (put_small(house) for _ in range(3))
    with writing():
        RecordingTable.update(erased_at=house.clock()).where(RecordingTable.id == erased).execute()
        RecordingTable.update(tenant=other_tenant).where(RecordingTable.id == theirs).execute()
    limits.begin_statements(house.tenant, ID, signed_limit(house).content, {}, ())
    assert limits.next_unapplied() is None
    retention_limits.finish_pending(house.store, house.trust, house.clock(), house.entropy)
    assert limits.next_unapplied() == (ID, house.tenant, (mine,))


def test_applies_a_limit_to_every_page(house, monkeypatch) -> None:
    first, second = put_small(house), put_small(house)
    house.limit(5)
    monkeypatch.setattr(limits, "next_unapplied", partial(limits.next_unapplied, 1))
    apply = lambda: limit_application.apply_limits(house.store, house.root_public, house.clock())  # noqa: E731
    assert apply() == 2
    for each in (first, second):
        assert queries.recording(house.tenant, each).keep_until < house.clock() + timedelta(days=6)
    assert apply() == 0


def test_replaces_the_limit_for_the_same_purpose_and_line_alone(house) -> None:
    for days, more in ((9, {}), (8, {"purpose": "agreement"}), (7, {"line": house.line.id}), (6, {})):
        house.limit(days, **more)
        house.clock.forward(minutes=1)
    in_force = {each.limit.keep_days for each in limits.in_force(house.tenant, house.trust)}
    assert in_force == {8, 7, 6}
    assert error_of(lambda: house.limit(0)) == "retention.days"
    assert {each.limit.keep_days for each in limits.in_force(house.tenant, house.trust)} == in_force


def bring_back(house, revoked=dict, **more) -> tuple[int, list[str]]:
    """Restore the statements that the bucket has; returns how many, and the codes of the others."""
    trust = Trust(house.root_public, revoked)
    found = retention_limits.restore_limits(house.store, trust, house.clock(), house.entropy, **more)
    return found.count, [code for _, code, _ in found.left_out]


def test_expiry_waits_where_the_bucket_has_statements_that_no_row_has(house) -> None:
    house.limit(5)
    house.clock.forward(minutes=1)
    house.limit(None)
    assert bring_back(house) == (0, [])
    hold_review.check_confirmed(house.tenant, house.trust)
    with writing():
        RetentionLimitTable.delete().execute()
    assert bring_back(house) == (2, []), "the limit before its lifting"
    assert limits.in_force(house.tenant, house.trust) == ()
    with pytest.raises(SealError):
        hold_review.check_confirmed(house.tenant, house.trust)
    assert house.confirm_holds()
    assert bring_back(house) == (0, [])
    hold_review.check_confirmed(house.tenant, house.trust)


def test_restores_no_foreign_object_and_no_statement_by_a_revoked_key(house) -> None:
    house.limit(5)
    key, since = house.services.signer.key_id, house.clock() + timedelta(hours=1)
    house.clock.forward(hours=2)
    revoked = lambda: {key: since}  # noqa: E731
    assert bring_back(house, revoked) == (0, []), "the log listed it before"
    with memory_file(b"{}") as path:
        house.store.put(f"{statements.FOLDER}notes.txt", path, statements.sha256_of(b"{}"))
    with writing():
        RetentionLimitTable.delete().execute()
    left_out = ["object.unplaced", "seal.key_revoked"]
    count, codes = bring_back(house, revoked)
    assert (count, sorted(codes)) == (0, left_out)
    assert bring_back(house, revoked, believe_dates=True) == (1, left_out[:1])


def test_lists_the_limits_of_every_customer(house, other_tenant) -> None:
    with writing():  # a leaf with every number that this customer's leaves get
        for _ in range(30):
            append(other_tenant, "user.renamed", {}, house.clock(), house.entropy)
    house.limit(5)
    with writing():
        LineTable.update(label="Shop").execute()
    found = limits.limits_by_tenant(house.trust)
    assert {tenant: [each.keep_days for each in mine] for tenant, mine in found.items()} == {
        house.tenant: [5]
    }


def test_ignores_a_row_that_is_no_statement(house) -> None:
    house.limit(5)
    (row,) = limits.limit_rows(house.tenant, house.trust)
    with writing():
        RetentionLimitTable.update(statement="{}").execute()
    assert limits.limit_rows(house.tenant, house.trust) == ()
    with writing():
        RetentionLimitTable.update(statement=row.content.decode(), lifted="{}", lifted_leaf=1).execute()
    rows = limits.limit_rows(house.tenant, house.trust)
    assert [(each.limit.until, each.lifted) for each in rows] == [(None, None)]
    with pytest.raises(SealError):
        limits.check_statement(replace(signed_limit(house), content=b"{}"), house.trust, None)


def test_knows_no_limit_of_an_unknown_customer(house) -> None:
    assert limits.limits_of("nobody", house.trust) == ()
    with pytest.raises(CatalogueError):
        limits.begin_statements("nobody", ID, signed_limit(house).content, {}, ())
