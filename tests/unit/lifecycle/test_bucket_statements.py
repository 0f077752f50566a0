"""Signed statements in the bucket that the catalogue does not know, as a rebuild finds them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest

from recorder.lifecycle import bucket_statements
from recorder.lifecycle.bucket_statements import BucketStatements
from recorder.lifecycle.departure import note_departure
from recorder.seal import call_erasure, offboarding, signed_document
from recorder.seal.offboarding import (
    ANNOUNCED,
    CANCELLED,
    ERASURE,
    Cancellation,
    Departure,
    Statement,
    StatementBody,
)
from tests.stored_recordings import receipt_body

pytestmark = pytest.mark.postgresql

CALL = "01930000-0000-7000-8000-0000000000c1"
NOTE = "01930000-0000-7000-8000-0000000000d1"


def look(house, revoked_since: datetime | None = None, **options) -> BucketStatements:
    revoked = {} if revoked_since is None else {house.services.signer.key_id: revoked_since}
    return bucket_statements.read_statements(house.store, house.root_public, revoked, **options)


def codes(found: BucketStatements) -> list[str]:
    return [each.code for each in found.troubles]


def put_object(house, key: str, content: bytes) -> None:
    file = house.folder / "object"
    file.write_bytes(content)
    house.store.put(key, file, hashlib.sha256(content).hexdigest())


def put_statement(house, kind: str, after: Statement | None = None) -> Departure | Cancellation:
    now, until = house.clock(), house.clock() + timedelta(days=30)
    early = "" if kind == ERASURE else None
    if after is None:
        until = now if kind == ERASURE else until
        statement = StatementBody(house.tenant, 1, None, kind, now, now, until, None, early)
    else:
        more = {"early": "they asked for it"} if kind == ERASURE else {}
        statement = after.next_statement(kind, now, **more)
    return offboarding.put_statement(house.store, statement, house.services.signer, house.root_public)


def put_receipt(house) -> None:
    content = signed_document.write(receipt_body(house.tenant, house.clock()), house.services.signer)
    put_object(house, offboarding.place_of(house.tenant), content)


def put_note(house, *calls: str) -> None:
    signed = house.tenant, "a-request", list(calls), house.clock(), house.services.signer, house.root_public
    call_erasure.put(house.store, NOTE, *signed)


def test_finds_nothing_in_a_bucket_without_statements(house) -> None:
    assert look(house) == BucketStatements()


@pytest.mark.parametrize(("kind", "erased"), [(ANNOUNCED, False), (ERASURE, True)])
def test_finds_a_departure_by_its_latest_statement(house, kind, erased) -> None:
    statement = put_statement(house, kind)
    found = look(house)
    (leaver,) = found.leavers
    assert (leaver.tenant, leaver.statement, leaver.receipt) == (house.tenant, statement, None)
    assert leaver.erased is bucket_statements.is_open(leaver) is erased
    assert found.troubles == []
    assert look(house, tenant=house.tenant).leavers == [leaver]
    assert look(house, tenant="somebody-else") == BucketStatements()


def test_finds_no_departure_that_was_cancelled(house) -> None:
    put_statement(house, CANCELLED, put_statement(house, ANNOUNCED))
    assert look(house) == BucketStatements()


def test_a_receipt_alone_states_an_erasure(house) -> None:
    put_receipt(house)
    (leaver,) = look(house).leavers
    assert leaver.statement is None
    assert leaver.erased


def test_a_departure_that_the_catalogue_knows_is_not_open(house) -> None:
    statement = put_statement(house, ANNOUNCED)
    note_departure(statement, now=house.clock(), entropy=house.entropy)
    statement = put_statement(house, ERASURE, statement)
    (leaver,) = look(house).leavers
    assert bucket_statements.is_open(leaver), "the erasure itself is unknown"


def test_follows_no_statement_by_a_revoked_key(house) -> None:
    put_statement(house, ERASURE)
    found = look(house, house.clock() + timedelta(days=1))
    assert (found.leavers, codes(found)) == ([], ["seal.key_revoked"])


@pytest.mark.parametrize(
    ("hours", "believe_dates", "followed"),
    [(1, False, False), (1, True, True), (0, True, False), (-1, True, False)],
)
def test_follows_a_receipt_and_a_note_by_a_revoked_key_only_where_their_dates_are_believed(
    house, hours, believe_dates, followed
) -> None:
    put_receipt(house)
    put_note(house, CALL)
    found = look(house, house.clock() + timedelta(hours=hours), believe_dates=believe_dates)
    assert (len(found.leavers), len(found.notes)) == (followed, followed)
    assert codes(found) == ([] if followed else ["seal.key_revoked"] * 2)


def test_names_objects_that_are_no_statements(house) -> None:
    put_object(house, f"{offboarding.FOLDER}{house.tenant}/extra.json", b"{}")
    put_object(house, f"{call_erasure.NOTES}{house.tenant}/extra.txt", b"{}")
    found = look(house)
    assert found.leavers == []
    assert codes(found) == ["object.unplaced"] * 2


def test_names_a_damaged_statement_and_a_damaged_receipt(house) -> None:
    statement = put_statement(house, ANNOUNCED)
    place = next(key for key in house.objects() if key.startswith(offboarding.FOLDER))
    path = house.bucket / place
    path.chmod(0o644)
    path.write_bytes(b"{}")
    put_object(house, offboarding.place_of(house.tenant), b"{}")
    found = look(house)
    assert statement.kind == ANNOUNCED
    assert found.leavers == []
    assert len(found.troubles) == 2


def test_proposes_only_erased_calls_that_the_catalogue_has_not_erased(house) -> None:
    put_note(house, CALL)
    (proposal,) = look(house).notes
    assert (proposal.id, proposal.calls) == (NOTE, (CALL,))


def test_a_note_never_names_a_recording(house) -> None:
    folder = house.take(formats=("wav",))
    house.work(folder)
    put_note(house, CALL, folder.name)
    found = look(house)
    (proposal,) = found.notes
    assert proposal.calls == (CALL,)
    assert codes(found) == ["call_erasure.names_recording"]


def test_names_a_note_in_another_customers_place(house) -> None:
    put_note(house, CALL)
    place = call_erasure.place_of(house.tenant, NOTE)
    put_object(house, place.replace(house.tenant, "somebody-else"), house.store.read(place))
    found = look(house)
    assert len(found.notes) == 1
    assert codes(found) == ["call_erasure.foreign"]
