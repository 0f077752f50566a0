"""Rows about departed customers and erased calls have no effect without a signed statement."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from recorder.auditlog.append import append
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.errors import AuditLogError
from recorder.lifecycle.departure import STAYS
from recorder.lifecycle.erasure_order import ERASURE_STARTED
from recorder.lifecycle.statements import CALL_ERASED, LEFT, StatementCheck, Statements, statements_of
from recorder.seal import call_erasure, offboarding
from recorder.seal.offboarding import ANNOUNCED, ERASURE, StatementBody

CALL = "01930000-0000-7000-8000-0000000000c1"
OTHER_CALL = "01930000-0000-7000-8000-0000000000c2"
NOTE = "01930000-0000-7000-8000-0000000000d1"


@pytest.fixture
def statements(house) -> Statements:
    return statements_of(house.services)


def add_departure(house, erases: bool = True) -> None:
    now = house.clock()
    with writing():
        OffboardingTable.insert(
            tenant_id=house.tenant, announced_at=now, until=now, erasing_since=now if erases else None
        ).execute()


def put_statement(house, kind: str) -> None:
    now = house.clock()
    until = now if kind == ERASURE else now + timedelta(days=1)
    early = "" if kind == ERASURE else None
    body = StatementBody(house.tenant, 1, None, kind, now, now, until, None, early)
    statement = offboarding.put_statement(house.store, body, house.services.signer, house.root_public)
    if kind == ERASURE:
        add_leaf(house, ERASURE_STARTED, statement.sha256)


def add_leaf(house, kind: str, statement: str) -> None:
    with writing():
        append(house.tenant, kind, {"statement": statement}, house.clock(), house.entropy)


def add_erased_call(house, note: str = NOTE, tenant: str = "") -> None:
    with writing():
        ErasedCallTable.create(
            id=CALL, tenant_id=tenant or house.tenant, request_id="r", erased_at=house.clock(), note=note
        )


def put_note(house, *calls: str) -> None:
    signed = house.tenant, "r", list(calls), house.clock(), house.services.signer, house.root_public
    call_erasure.put(house.store, NOTE, *signed)


def test_reads_nothing_where_no_row_makes_a_claim(house, statements) -> None:
    put_statement(house, ERASURE)
    put_note(house, CALL)
    assert statements.look(house.tenant, CALL) == statements.look(None, CALL) == StatementCheck()
    assert statements.find_erased(house.tenant) is None
    assert not statements.forgot(house.tenant, CALL)


@pytest.mark.parametrize(("kind", "signed"), [(None, False), (ANNOUNCED, False), (ERASURE, True)])
def test_a_departure_needs_a_signed_erasure(house, statements, kind, signed) -> None:
    add_departure(house)
    if kind is not None:
        put_statement(house, kind)
    with capture_logs() as logs:
        found = statements.look(house.tenant, CALL)
    assert (LEFT in found.signed, LEFT in found.unsigned) == (signed, not signed)
    erased = statements.find_erased(house.tenant)
    assert (erased is not None and erased.tenant == house.tenant) is signed
    assert [line["event"] for line in logs] == ([] if signed else ["offboarding.unsigned"])
    assert statements.look(None, CALL) == StatementCheck()


def test_an_unsigned_row_is_logged_once_and_when_it_is_over(house, statements) -> None:
    add_departure(house)
    add_erased_call(house)
    with capture_logs() as logs:
        for _ in range(3):
            assert statements_of(house.services).look(house.tenant, CALL).signed == frozenset()
        put_statement(house, ERASURE)
        put_note(house, CALL)
        for _ in range(2):
            assert statements.look(house.tenant, CALL).signed == {LEFT, CALL_ERASED}
    assert [(each["event"], each.get("fault"), each.get("failures")) for each in logs] == [
        ("offboarding.unsigned", None, None),
        ("call_erasure.unsigned", None, None),
        ("offboarding.recovered", "offboarding.unsigned", 3),
        ("call_erasure.recovered", "call_erasure.unsigned", 3),
    ]


def test_an_unsigned_row_that_is_gone_is_logged(house, statements) -> None:
    add_departure(house)
    with capture_logs() as logs:
        assert statements.find_erased(house.tenant) is None
        with writing():
            OffboardingTable.delete().execute()
        for _ in range(2):
            assert statements.find_erased(house.tenant) is None
    assert [each["event"] for each in logs] == ["offboarding.unsigned", "offboarding.recovered"]


@pytest.mark.parametrize(
    ("has_row", "kind", "orders"),
    [
        (True, ERASURE, True),
        (False, ERASURE, False),
        (True, ANNOUNCED, False),
        (True, None, False),
    ],
)
def test_an_erasure_is_ordered_by_row_and_statement_together(
    house, statements, has_row, kind, orders
) -> None:
    if has_row:
        add_departure(house)
    if kind is not None:
        put_statement(house, kind)
    assert statements.orders_erasure(house.tenant) is orders


def test_an_announced_departure_erases_nothing(house, statements) -> None:
    add_departure(house, erases=False)
    put_statement(house, ERASURE)
    assert statements.find_erased(house.tenant) is None
    assert statements.look(house.tenant, CALL) == StatementCheck()


def test_a_statement_by_a_revoked_key_erases_nothing(house) -> None:
    add_departure(house)
    put_statement(house, ERASURE)
    revoked = {house.services.signer.key_id: house.clock()}
    assert Statements(house.store, house.root_public, lambda: revoked).find_erased(house.tenant) is None


def test_an_order_that_the_logs_last_decision_contradicts_erases_nothing(house, statements) -> None:
    add_departure(house)
    put_statement(house, ERASURE)
    add_leaf(house, STAYS, "ab" * 32)
    with capture_logs() as logs:
        for _ in range(2):
            assert statements.find_erased(house.tenant) is None
    assert [(each["event"], each["error_id"]) for each in logs] == [
        ("offboarding.unsigned", "offboarding.missing")
    ]
    assert statements.look(house.tenant, CALL).unsigned == {LEFT}
    assert statements.orders_erasure(house.tenant), "by the bucket alone"


def test_an_incomplete_log_erases_nothing(house, statements) -> None:
    add_departure(house)
    put_statement(house, ERASURE)
    with writing():
        LeafTable.delete().where((LeafTable.tenant == house.tenant) & (LeafTable.number == 0)).execute()
    with pytest.raises(AuditLogError, match="has a gap"):
        statements.find_erased(house.tenant)
    with pytest.raises(AuditLogError, match="has a gap"):
        statements.look(house.tenant, CALL)


@pytest.mark.parametrize(
    ("calls", "row", "signed"),
    [
        ((CALL,), {}, True),
        ((CALL, OTHER_CALL), {}, True),
        ((OTHER_CALL,), {}, False),
        ((), {}, False),
        ((CALL,), {"note": "01930000-0000-7000-8000-0000000000d2"}, False),
        ((CALL,), {"tenant": "somebody-else"}, False),
    ],
)
def test_an_erased_call_needs_its_customers_signed_note(house, statements, calls, row, signed) -> None:
    if calls:
        put_note(house, *calls)
    add_erased_call(house, **row)
    found = statements.look(house.tenant, CALL)
    assert (CALL_ERASED in found.signed, CALL_ERASED in found.unsigned) == (signed, not signed)
    assert statements.forgot(house.tenant, CALL) is signed
    assert not statements.forgot("somebody-else", CALL)
    assert not statements.forgot(house.tenant, OTHER_CALL)
