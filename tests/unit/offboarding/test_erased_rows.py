"""Whose rows an ordered erasure drops: the departed customer's, and no other's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from peewee import ForeignKeyField, IntegerField, TextField

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant
from recorder.catalogue import queries as catalogue_queries
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import MomentField, Table, connected, writing
from recorder.catalogue.tables.audit_log import LeafTable, RecipientTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
    RoomCodeTable,
)
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.identity import (
    AccountLinkTable,
    ApiTokenTable,
    InvitationTable,
    SessionTable,
    UserTable,
)
from recorder.catalogue.tables.live_call import EndedCallTable, LiveCallTable, LiveCommandTable
from recorder.catalogue.tables.notification import NotificationChoiceTable, NotificationTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.saved_filter import SavedFilterTable
from recorder.catalogue.tables.second_factor import (
    FactorResetTable,
    FactorUseTable,
    SecondFactorTable,
    SignInRuleTable,
)
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.errors import AuditLogError, CatalogueError, SealError
from recorder.features.offboarding import queries
from recorder.identity import users
from recorder.lifecycle.departure import STAYS
from recorder.lifecycle.erasure_order import ERASURE_STARTED
from recorder.lifecycle.statements import CALLS_FORGOTTEN
from recorder.seal.offboarding import ERASURE, HandedOver, StatementBody, put_statement
from tests.expected_errors import expect_error
from tests.house import Customer

CALLS: tuple[type[Table], ...] = (NotRecordedTable, LiveCallTable, EndedCallTable, LiveCommandTable)
PEOPLE: tuple[type[Table], ...] = (
    SavedFilterTable, NotificationTable, NotificationChoiceTable, SignInRuleTable, FactorResetTable,
    DownloadPermissionTable, OwnCallTable, SecondFactorTable, FactorUseTable, ApiTokenTable, RecipientTable,
    InvitationTable, AccountLinkTable, OutgoingMailTable,
)  # fmt: skip
DISPUTES: tuple[type[Table], ...] = (
    DisputeTable, DisputeStatementTable, DisputeRecordingTable, DisputeGuestTable,
    RoomCodeTable,
)  # fmt: skip
REQUESTS: tuple[type[Table], ...] = (VerificationCallTable,)
OTHERS: tuple[type[Table], ...] = (
    SessionTable, SubjectRequestTable, ReviewTable, HandedRecordingTable, OffboardingTable,
)  # fmt: skip

TEXTS = ("number_salt", "extension_reason", "vouched_statement", "verified_statement")


def fill(house, customer: Customer) -> None:
    """Give a customer a row in every table that an erasure empties."""
    with writing():
        OffboardingTable.insert(
            tenant_id=customer.id, announced_at=house.clock(), until=house.clock(), layout={"parts": []}
        ).on_conflict_ignore().execute()
        for model in (*OTHERS[:2], *CALLS, *PEOPLE, *DISPUTES, *REQUESTS, ReviewTable, HandedRecordingTable):
            insert(house, customer, model)


def insert(house, customer: Customer, model: type[Table]) -> None:
    fixed = {
        "tenant_id": customer.id,
        "user_id": customer.people["paul"].id,
        "request_id": f"{customer.id}/{SubjectRequestTable._meta.table_name}",
    }
    if model in DISPUTES:
        fixed["dispute_id"] = f"{customer.id}/{DisputeTable._meta.table_name}"
    columns = {}
    for field in model._meta.sorted_fields:
        value: Any
        if field.column_name in fixed:
            value = fixed[field.column_name]
        elif field.column_name in TEXTS or field.column_name == "withheld_reason":
            value = "a text"
        elif isinstance(field, MomentField):
            value = None if field.null else house.clock()
        elif isinstance(field, IntegerField):
            value = None if field.null else 0
        elif isinstance(field, TextField | ForeignKeyField):
            value = None if field.null else f"{customer.id}/{model._meta.table_name}"
        else:
            value = None if field.null else {}
        columns[field.name] = value
    model.create(**columns)


def rows_of(customer: Customer, model: type[Table]) -> list[dict[str, Any]]:
    """A customer's rows of a table."""
    with connected():
        mine = [customer.id, customer.people["paul"].id]
        return [row for row in model.select().dicts() if any(each in str(row.values()) for each in mine)]


@pytest.fixture
def rival(house) -> Customer:
    customer = house.customer("Van Dyck NV", "+3225550199")
    house.person(customer, "paul@vandyck", "Paul", role="customer_admin")
    customer.people["paul"] = customer.people["paul@vandyck"]
    return customer


def test_drops_every_row_of_one_customer_and_leaves_anothers_as_it_was(house, bakery, rival) -> None:
    order = house.order_erasure(bakery.id)
    for each in (bakery, rival):
        fill(house, each)
    with writing():  # another departure
        append(rival.id, CALLS_FORGOTTEN, {"calls": 7, "leaves": 0}, house.clock(), house.entropy)
        RecipientTable.create(
            id="former", tenant_id=bakery.id, address="a@b.c", since=house.clock(), until=house.clock()
        )
    former = house.person(bakery, "former", "Former")
    former_at, at = house.clock(), {"now": house.clock(), "entropy": house.entropy}
    paul = bakery.people["paul"]
    ended = users.open_session(paul, token_sha256="ab" * 32, until=former_at, **at)
    users.end_session(paul, ended.id, **at)
    with writing():
        UserTable.update(revoked_at=former_at).where(UserTable.id == former.id).execute()
    every = (*CALLS, *PEOPLE, *DISPUTES, *REQUESTS, *OTHERS, UserTable)
    before = {model: rows_of(rival, model) for model in every}
    house.clock.forward(minutes=1)
    at = {"now": house.clock(), "entropy": house.entropy}
    assert queries.drop_calls(order, **at) == 1
    assert queries.drop_users(order, **at) == 2
    queries.drop_request_texts(order)
    for model in (*CALLS, *PEOPLE, *DISPUTES, *REQUESTS):
        assert rows_of(bakery, model) == [], model
        assert len(before[model]) == 1, model
    sessions = {row["id"] == ended.id: row["ended_at"] for row in rows_of(bakery, SessionTable)}
    assert sessions == {True: former_at, False: house.clock()}
    (request,) = rows_of(bakery, SubjectRequestTable)
    assert (request["number"], *(request[name] for name in TEXTS)) == ("", None, None, None, None)
    assert [row["withheld_reason"] for row in rows_of(bakery, ReviewTable)] == [None]
    assert {row["id"]: row["revoked_at"] for row in rows_of(bakery, UserTable)} == {
        bakery.people["paul"].id: house.clock(),
        former.id: former_at,
    }
    assert {row["login"] for row in rows_of(bakery, UserTable)} == {bakery.people["paul"].id, former.id}
    assert {model: rows_of(rival, model) for model in every} == before
    for kind, name, identity in (
        ("user.revoked", "user", paul.id),
        ("token.revoked", "token", f"{bakery.id}/{ApiTokenTable._meta.table_name}"),
        ("recipient.removed", "recipient", f"{bakery.id}/{RecipientTable._meta.table_name}"),
    ):
        assert [leaf.body[name] for leaf in leaf_lookup.leaves_after(bakery.id, -1, kind)] == [identity]
        assert leaf_lookup.leaves_after(rival.id, -1, kind) == []
    assert queries.drop_calls(order, **at) == 1, "how many there were, said again"
    with writing():
        LeafTable.update(body=None, salt=None).where(LeafTable.kind == CALLS_FORGOTTEN).execute()
    assert queries.drop_calls(order, **at) == 0


def test_an_order_is_the_last_statement_in_its_customers_complete_log(house, bakery, rival) -> None:
    order = house.order_erasure(bakery.id)

    def confirm(tenant: str) -> None:
        with writing():
            order.confirm(lock_tenant(tenant))

    confirm(bakery.id)
    with pytest.raises(AuditLogError):
        confirm(rival.id)
    with writing():
        LeafTable.update(kind="user.renamed").where(LeafTable.kind == ERASURE_STARTED).execute()
    with expect_error(SealError, "offboarding.missing"):
        confirm(bakery.id)
    with writing():
        append(bakery.id, STAYS, {"statement": "ab" * 32}, house.clock(), house.entropy)
    with expect_error(SealError, "offboarding.missing"):
        confirm(bakery.id)
    with writing():
        LeafTable.delete().where((LeafTable.tenant == bakery.id) & (LeafTable.number == 1)).execute()
    with pytest.raises(AuditLogError):
        confirm(bakery.id)


def test_an_ordered_erasure_is_due_and_ends_the_customers_lines(house, bakery, rival) -> None:
    fill(house, rival)
    now, when = house.clock(), house.clock() - timedelta(days=9)
    handed = HandedOver("an archive", when, 1000, 2, 1, "0" * 64, "1" * 64)
    bodies = (
        StatementBody(bakery.id, 1, None, ERASURE, now, when, now + timedelta(days=1), None, "By letter"),
        StatementBody(bakery.id, 2, None, ERASURE, now, when, when, handed, ""),
    )
    signed = []
    for body in bodies:
        body = replace(body, predecessor=signed[-1] if signed else None)
        statement = put_statement(house.store, body, house.services.signer, house.root_public)
        queries.record_erasure(statement, now=now, entropy=house.entropy)
        row = queries.require_departure(bakery.id)
        assert (row.announced_at, row.until, row.erasing_since) == (when, body.until, now)
        signed.append(statement.sha256)
    assert queries.departures_to_erase() == (bakery.id,)
    assert catalogue_queries.lines(bakery.id) == ()
    assert [line.id for line in catalogue_queries.lines(rival.id)] == [rival.line.id]
    assert [leaf.body for leaf in leaf_lookup.leaves_after(bakery.id, -1, ERASURE_STARTED)] == [
        {"early": "By letter", "handed_over": False, "statement": signed[0]},
        {"early": "", "handed_over": True, "statement": signed[1]},
    ]


def test_drops_nothing_once_the_customer_stays(house, bakery) -> None:
    order, at = house.order_erasure(bakery.id), {"now": house.clock(), "entropy": house.entropy}
    fill(house, bakery)
    with writing():
        append(bakery.id, STAYS, {"statement": "ab" * 32}, house.clock(), house.entropy)
    every = (*CALLS, *PEOPLE, *DISPUTES, *REQUESTS, *OTHERS, UserTable)
    before = {model: rows_of(bakery, model) for model in every}
    for drop in (
        lambda: queries.drop_calls(order, **at),
        lambda: queries.drop_users(order, **at),
        lambda: queries.drop_request_texts(order),
        lambda: queries.drop_key(order, [], **at),
    ):
        with expect_error(SealError, "offboarding.missing"):
            drop()
    assert {model: rows_of(bakery, model) for model in every} == before
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None


def test_drops_the_customers_own_key_and_lists_all_that_were_destroyed(house, bakery, rival) -> None:
    order, at = house.order_erasure(bakery.id), {"now": house.clock(), "entropy": house.entropy}
    assert queries.drop_key(order, ["b", "a"], **at) == ("a", "b")
    assert queries.drop_key(order, ["c", "b"], **at) == ("a", "b", "c")
    assert queries.drop_key(order, [], **at) == ("a", "b", "c")
    leaves = leaf_lookup.leaves_after(bakery.id, -1, queries.KEY_DESTROYED)
    assert [leaf.body["keys"] for leaf in leaves] == [["a", "b"], ["c"]]
    assert tenant_queries.tenant_wrapped_key(bakery.id) is None
    assert tenant_queries.tenant_wrapped_key(rival.id) is not None
    with writing():
        append(rival.id, queries.KEY_DESTROYED, {"keys": ["z"]}, house.clock(), house.entropy)
    assert queries.drop_key(order, [], **at) == ("a", "b", "c")
    with writing():
        LeafTable.update(body=None, salt=None).where(LeafTable.kind == queries.KEY_DESTROYED).execute()
    assert queries.drop_key(order, [], **at) == ()


def test_an_erasure_that_has_begun_cannot_be_changed(house, bakery, rival) -> None:
    house.order_erasure(bakery.id)
    fill(house, rival)
    queries.check_not_erasing(queries.require_departure(rival.id))
    with expect_error(CatalogueError, "offboarding.erasing"):
        queries.check_not_erasing(queries.require_departure(bakery.id))


def test_records_a_receipt_once_and_of_its_customer(house, bakery, rival) -> None:
    at = {"now": house.clock(), "entropy": house.entropy}
    record = lambda: queries.record_receipt(bakery.id, "{}", "ab" * 32, house.clock(), **at)  # noqa: E731
    with expect_error(CatalogueError, "offboarding.not_announced"):
        record()
    for each in (bakery, rival):
        fill(house, each)
    before = {model: rows_of(rival, model) for model in OTHERS}
    assert record()
    assert not record()
    row = queries.require_departure(bakery.id)
    assert (row.receipt, row.offboarded_at) == ("{}", house.clock())
    assert rows_of(bakery, HandedRecordingTable) == []
    assert rows_of(bakery, OffboardingTable)[0]["layout"] is None
    assert {model: rows_of(rival, model) for model in OTHERS} == before
    assert [leaf.body for leaf in leaf_lookup.leaves_after(bakery.id, -1, queries.LEFT)] == [
        {"receipt_sha256": "ab" * 32}
    ]


def test_lists_and_counts_what_is_left_to_erase(house, bakery, rival) -> None:
    mine, others = (house.call(each, at=house.clock()) for each in (bakery, rival))
    second = house.call(bakery, at=house.clock() + timedelta(seconds=1))
    house.not_recorded(bakery, "never_connected")
    house.not_recorded(rival, "never_connected")
    house.not_recorded(rival, "never_connected")
    assert [row.id for row in queries.recordings_of(bakery.id)] == [mine, second]
    assert [row.id for row in queries.recordings_of(bakery.id, after=mine)] == [second]
    assert [row.id for row in queries.recordings_of(bakery.id, limit=1)] == [mine]
    assert queries.summarise(bakery.id) == "2 recordings, 1 calls without one, 1 log-ins, a key"
    assert queries.summarise(rival.id) == "1 recordings, 2 calls without one, 1 log-ins, a key"
    with writing():
        RecordingTable.update(erased_at=house.clock()).where(RecordingTable.id == mine).execute()
    assert [row.id for row in queries.recordings_of(bakery.id)] == [second]
    assert (queries.count_recordings(bakery.id), queries.count_recordings(rival.id)) == (1, 1)
    assert catalogue_queries.recording(rival.id, others) is not None
    order, at = house.order_erasure(bakery.id), {"now": house.clock(), "entropy": house.entropy}
    queries.drop_users(order, **at)
    queries.drop_key(order, [], **at)
    assert queries.summarise(bakery.id) == "1 recordings, 1 calls without one, 0 log-ins, no key"
    assert queries.departures_to_erase() == (bakery.id,)
    queries.record_receipt(bakery.id, "{}", "ab" * 32, house.clock(), **at)
    assert queries.departures_to_erase() == ()
    assert users.user_by_login("paul@vandyck") is not None
