"""A customer's lines and their departure, in rows and log."""

from __future__ import annotations

from datetime import datetime, timedelta

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue import change_counter, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.offboarding_progress import find_offboarding
from recorder.catalogue.tables.line import LineDraftTable, LineTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable
from recorder.clock import to_iso
from recorder.lifecycle import departure, line_history
from recorder.seal import offboarding, signed_document
from recorder.seal.offboarding import ANNOUNCED, CANCELLED, Departure, StatementBody
from tests.stored_recordings import receipt_body


def announce(house, until: datetime) -> Departure:
    """The first statement, that a customer leaves."""
    now = house.clock()
    body = StatementBody(house.tenant, 1, None, ANNOUNCED, now, now, until, None, None)
    statement = offboarding.put_statement(house.store, body, house.services.signer, house.root_public)
    assert isinstance(statement, Departure)
    return statement


def test_departure_is_in_row_and_log_and_ends_the_lines(house) -> None:
    until = house.clock() + timedelta(days=30)
    before = change_counter.revision(change_counter.LINES)
    at = {"now": house.clock(), "entropy": house.entropy}
    assert departure.note_departure(announce(house, until), **at) == 1
    found = find_offboarding(house.tenant)
    assert found is not None
    assert (found.announced_at, found.until, found.offboarded_at) == (house.clock(), until, None)
    (line,) = queries.lines(house.tenant, ended=True)
    assert line.until == house.clock()
    kinds = [line_history.CREATED, line_history.ENDED]
    leaves = leaf_lookup.find_decisions(house.tenant, kinds)
    assert line_history.lines_in(leaves) == frozenset()
    assert line_history.lines_in(leaves[:1]) == {(line.id, line.number)}
    assert change_counter.revision(change_counter.LINES) > before, "nodes fetch the lines again"


def test_departure_is_one_customers(house) -> None:
    other = house.customer("Reliure Adam", "+3225550177")
    at = {"now": house.clock(), "entropy": house.entropy}
    for tenant in (house.tenant, other.id):
        with writing():
            HandedRecordingTable.create(
                id=f"{tenant}/0", tenant_id=tenant, number=0, recording_id=tenant, row_length=1,
                at=0, length=1, files=[],
            )  # fmt: skip
    until = house.clock() + timedelta(days=30)
    statement = announce(house, until)
    departure.note_departure(statement, **at)
    with connected():
        assert [row.tenant_id for row in HandedRecordingTable.select()] == [other.id], "a handover is dropped"
        assert LineTable.get_by_id(other.line.id).until is None
    (leaf,) = leaf_lookup.leaves_after(house.tenant, -1, departure.LEAVES)
    assert leaf.body == {"until": to_iso(until), "statement": statement.sha256}
    house.clock.forward(days=1)
    later = {"now": house.clock(), "entropy": house.entropy}
    assert departure.note_departure(statement, **later) == 0
    with connected():
        assert LineTable.get_by_id(house.line.id).until == house.clock() - timedelta(days=1)


def test_receipt_alone_is_a_departure_that_is_over(house) -> None:
    receipt_at = house.clock()
    content = signed_document.write(receipt_body(house.tenant, receipt_at), house.services.signer)
    receipt = offboarding.read_receipt(content, house.root_public)
    house.clock.forward(days=1)
    assert departure.note_departure(receipt, now=house.clock(), entropy=house.entropy) == 1
    found = find_offboarding(house.tenant)
    assert (found.announced_at, found.until) == (receipt_at, receipt_at)
    (leaf,) = leaf_lookup.leaves_after(house.tenant, -1, departure.LEAVES)
    assert leaf.body == {"until": to_iso(receipt_at), "statement": receipt.sha256}


def test_last_cancellation_is_the_logs(house) -> None:
    assert departure.last_cancellation(house.tenant) is None
    for statement in ("ab" * 32, "cd" * 32):
        with writing():
            append(house.tenant, departure.STAYS, {"statement": statement}, house.clock(), house.entropy)
    assert departure.last_cancellation(house.tenant) == "cd" * 32


def test_number_is_its_owners_until_the_line_ends(house) -> None:
    owner = (house.tenant, house.line.id)
    assert line_history.owner_of(house.line.number, house.clock()) == owner
    assert line_history.owner_of(house.line.number, house.clock() - timedelta(days=400)) == (None, None)
    house.clock.forward(minutes=5)
    ended_at = house.clock()
    assert line_history.end_line(house.tenant, house.line.id, now=ended_at, entropy=house.entropy)
    assert not line_history.end_line(house.tenant, house.line.id, now=ended_at, entropy=house.entropy)
    assert line_history.owner_of(house.line.number, ended_at) == (None, None)
    assert line_history.owner_of(house.line.number, ended_at - timedelta(minutes=1)) == owner
    assert line_history.owner_of("+3225559999", ended_at) == (None, None)


def test_line_has_ended_only_where_row_and_log_say_so(house) -> None:
    line, ended_at = house.line.id, house.clock() + timedelta(minutes=5)
    assert not line_history.has_ended(line, ended_at)
    with writing():
        LineTable.update(until=ended_at).where(LineTable.id == line).execute()
    assert not line_history.has_ended(line, ended_at), "a changed row alone ends no line"
    with writing():
        LineTable.update(until=None).where(LineTable.id == line).execute()
    line_history.end_line(house.tenant, line, now=ended_at, entropy=house.entropy)
    assert line_history.has_ended(line, ended_at)
    assert not line_history.has_ended(line, ended_at - timedelta(seconds=1))
    assert not line_history.has_ended("unknown", ended_at)
    assert not line_history.has_ended(None, ended_at)


def test_departure_that_is_dropped_leaves_no_row(house) -> None:
    statement = announce(house, house.clock() + timedelta(days=30))
    for _again in range(2):
        departure.note_departure(statement, now=house.clock(), entropy=house.entropy)
    body = statement.next_statement(CANCELLED, house.clock())
    cancelled = offboarding.put_statement(house.store, body, house.services.signer, house.root_public)
    with writing():
        departure.drop_departure(cancelled)
    assert find_offboarding(house.tenant) is None


def test_line_that_ends_takes_its_own_draft_along(house) -> None:
    other = house.customer("Reliure Adam", "+3225550177").line
    with writing():
        for each in (house.line, other):
            LineDraftTable.create(line=each.id, settings={}, changed_at=house.clock(), changed_by="ada")
    line_history.end_line(house.tenant, house.line.id, now=house.clock(), entropy=house.entropy)
    with connected():
        assert [row.line_id for row in LineDraftTable.select()] == [other.id]
