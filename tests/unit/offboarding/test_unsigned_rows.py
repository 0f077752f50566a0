"""A row alone erases, withholds and shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recorder.auditlog.append import append
from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.errors import AccessError, CatalogueError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import handover_queries, service
from recorder.features.offboarding import queries as offboarding_queries
from recorder.identity import users
from recorder.lifecycle import expiry, recordings
from recorder.lifecycle.statements import statements_of
from recorder.pipeline import stages
from recorder.playback.interface import Actor
from recorder.seal import call_erasure
from tests.amendments import amend
from tests.unit.offboarding.forgery import OPERATOR, SQLITE, audited, forge_row, leave


@pytest.mark.parametrize("leaves", [False, True], ids=["row", "row-and-leaves"])
def test_an_unsigned_row_erases_no_customer(house, bakery, means, leaves) -> None:
    mine = house.call(bakery)
    forge_row(house, bakery.id)
    if leaves:
        with writing():
            options = {"until": "2026-11-23T09:00:00.000Z", "statement": "ab" * 32}
            append(bakery.id, "tenant.offboarding_announced", options, house.clock(), house.entropy)
            options = {"early": "By letter", "handed_over": False, "statement": "ab" * 32}
            append(bakery.id, "tenant.erasure_started", options, house.clock(), house.entropy)
    before = sorted(house.store.list(""))
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert sorted(house.store.list("")) == before
    assert queries.recording(bakery.id, mine).erased_at is None
    assert users.user_by_login("paul") is not None
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None
    assert offboarding_queries.require_departure(bakery.id).receipt is None
    found = audited(house, bakery.id)
    assert "statement.missing" in found if leaves else "row.unlogged" in found


@SQLITE
def test_an_unsigned_row_withholds_no_call(house, bakery) -> None:
    forge_row(house, bakery.id)
    mine = house.call(bakery)
    assert queries.recording(bakery.id, mine) is not None
    house.not_recorded(bakery, "never_connected")
    assert [row.reason for row in queries.not_recorded(bakery.id).rows] == ["never_connected"]


@SQLITE
@pytest.mark.parametrize("rival_has", [False, True], ids=["ended", "another-customers"])
def test_an_unlogged_end_of_a_line_sets_no_call_aside(house, bakery, rival_has) -> None:
    folder, ended = house.finished(bakery)
    call = house.not_recorded(bakery, "never_connected")
    rival = house.customer("Rival", "+3225550199")
    with writing():
        LineTable.update(until=house.clock() - timedelta(days=1)).where(
            LineTable.id == bakery.line.id
        ).execute()
        if rival_has:
            columns = {"digits": bakery.line.number[1:], "since": house.clock() - timedelta(days=2)}
            LineTable.update(**columns).where(LineTable.id == rival.line.id).execute()
    house.work(folder, ended)
    assert queries.recording(bakery.id, folder.name) is not None
    another = house.not_recorded(bakery, "never_connected")
    assert {row.id for row in queries.not_recorded(bakery.id).rows} == {call, another}
    assert queries.not_recorded(rival.id).rows == ()
    assert "row.changed" in audited(house, bakery.id)


@SQLITE
def test_an_unsigned_row_drops_no_take_and_omits_no_call(house, bakery) -> None:
    folder, ended = house.finished(bakery)
    with writing():
        ErasedCallTable.insert(
            id=folder.name, tenant_id=bakery.id, request_id="r", erased_at=house.clock()
        ).execute()
    house.work(folder, ended)
    assert queries.recording(bakery.id, folder.name) is not None
    assert [key for key in house.store.list("") if folder.name in key and key.endswith("audio.opus")]
    assert "row.unlogged" in audited(house, bakery.id)


@SQLITE
def test_keeps_the_key_of_an_unlisted_recording(house, bakery, means, office) -> None:
    """It is on hold, and an attacker with write access to the catalogue deleted row and hold."""
    on_hold = house.call(bakery)
    options = {"owner": bakery.people["paul"].id, "purposes": ["agreement"], "reason": "order 12"}
    amend(
        house.changes.hold,
        bakery.id,
        on_hold,
        OPERATOR,
        review_at=house.clock() + timedelta(days=9),
        **options,
    )
    with writing():
        AmendmentTable.delete().execute()
        RecordingTable.delete().execute()
    leave(office, bakery)
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert tenant_queries.tenant_wrapped_key(bakery.id) is not None
    assert users.user_by_login("paul") is not None


@SQLITE
def test_an_unsigned_row_prevents_no_hold(house, bakery) -> None:
    mine = house.call(bakery)
    forge_row(house, bakery.id)
    with writing():
        RecordingTable.update(wrapped_key=None).execute()
    options = {"owner": bakery.people["paul"].id, "purposes": ["agreement"], "reason": "order 12"}
    amend(
        house.changes.hold, bakery.id, mine, OPERATOR, review_at=house.clock() + timedelta(days=9), **options
    )
    assert house.changes.look(bakery.id, mine).terms.holds


@SQLITE
def test_an_unsigned_row_shows_and_hands_over_nothing(house, bakery, handed, office, clock) -> None:
    house.call(bakery)
    paul = bakery.people["paul"]
    who = Actor(paul.id, bakery.id, paul.role, "fr")

    def refusal() -> str:
        with pytest.raises(AccessError) as failure:
            house.gate.handover(who)
        return failure.value.error_id

    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    whole = handed(bakery.id)
    assert house.gate.handover(who).length == whole.length
    assert audited(house, bakery.id) == []
    layout = whole.layout | {"papers": [[*each[:3], "forged"] for each in whole.layout["papers"]]}
    changes: list[dict[str, Any]] = [
        {"layout": layout}, {"length": whole.length + 1}, {"handover": "another"},
        {"handed_at": house.clock() + timedelta(hours=1)},
    ]  # fmt: skip
    before = {name: getattr(whole, name) for name in ("layout", "length", "handover", "handed_at")}
    for change in changes:
        with writing():
            OffboardingTable.update(before | change).execute()
        assert refusal() == "access.handover_none", change
        assert "row.changed" in audited(house, bakery.id), change
    with writing():
        OffboardingTable.update(before | {"until": house.clock() + timedelta(days=99)}).execute()
    assert house.gate.leaver(who).until == house.clock() + timedelta(days=10)
    clock.forward(days=11)
    assert refusal() == "access.handover_over"
    service.cancel(office, bakery.id)
    with writing():
        OffboardingTable.insert(
            tenant_id=bakery.id, announced_at=house.clock(), until=house.clock(), **before
        ).execute()
    assert (house.gate.leaver(who), refusal()) == (None, "access.handover_none")


COLUMNS: dict[str, Callable[[Any], Any]] = {
    "announced_at": lambda at: at - timedelta(days=1),
    "until": lambda at: at + timedelta(days=1),
    "handover": lambda _: "another",
    "handed_at": lambda at: at + timedelta(days=1),
    "layout": lambda _: {"papers": [], "at": 0},
    "length": lambda length: length + 1,
    "erasing_since": lambda at: at - timedelta(days=1),
    "offboarded_at": lambda _: timedelta(0),
    "receipt": lambda _: "{}",
}

UNTOLD = {
    "tenant_id": "whose row it is",
    "log_size": "how much of the log lies in the archive, in its layout",
}


@SQLITE
def test_the_audit_compares_every_column(house, bakery, handed, office) -> None:
    house.call(bakery)
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    handed(bakery.id)
    service.order_erasure(office, bakery.id, early="By letter")
    assert audited(house, bakery.id) == []
    assert {*COLUMNS, *UNTOLD} == {each.column_name for each in OffboardingTable._meta.sorted_fields}
    row = offboarding_queries.require_departure(bakery.id)
    for name, change in COLUMNS.items():
        value = house.clock() if name == "offboarded_at" else change(getattr(row, name))
        with writing():
            OffboardingTable.update({name: value}).execute()
        assert audited(house, bakery.id) == ["row.changed"], name
        with writing():
            OffboardingTable.update({name: getattr(row, name)}).execute()
    of_handed: dict[str, Any] = {
        "recording_id": "x", "omission": "x", "row_length": 9, "at": 9, "length": 9, "files": [["x", 1]],
        "number": 7, "sent_at": house.clock(),
    }  # fmt: skip
    assert {*of_handed, "id", "tenant_id"} == {
        each.column_name for each in HandedRecordingTable._meta.sorted_fields
    }
    (mine,) = handover_queries.handed_recordings(bakery.id, 0)
    for name, value in of_handed.items():
        with writing():
            HandedRecordingTable.update({name: value}).execute()
        assert audited(house, bakery.id) == ["row.changed"], name
        field = {"recording_id": "recording"}.get(name, name)
        back = [list(each) for each in mine.files] if name == "files" else getattr(mine, field)
        with writing():
            HandedRecordingTable.update({name: back}).execute()
    assert audited(house, bakery.id) == []
    with writing():
        HandedRecordingTable.delete().execute()
    assert audited(house, bakery.id) == ["row.changed"]
    with writing():
        OffboardingTable.delete().execute()
    assert audited(house, bakery.id) == ["row.deleted"]


@SQLITE
def test_only_a_signed_note_omits_a_call(house, bakery, office) -> None:
    folder, ended = house.finished(bakery, announced=False)
    row = {"tenant_id": bakery.id, "request_id": "r", "erased_at": house.clock(), "note": "n"}
    with writing():
        ErasedCallTable.insert(id=folder.name, **row).execute()
    revoked = {house.changes.signer.key_id: house.clock()}
    call_erasure.put(
        house.store,
        "n",
        bakery.id,
        "r",
        [folder.name],
        house.clock(),
        house.changes.signer,
        house.root_public,
    )
    statements = statements_of(house.services)
    assert statements.forgot(bakery.id, folder.name)
    assert not statements.forgot("another", folder.name)
    assert not replace(statements, revoked=lambda: revoked).forgot(bakery.id, folder.name)
    with writing():
        ErasedCallTable.update(id="another call").execute()
    assert not statements.forgot(bakery.id, "another call"), "the note does not name it"
    with writing():
        ErasedCallTable.update(id=folder.name).execute()
    house.work(folder, ended)
    assert queries.recording(bakery.id, folder.name) is None


@SQLITE
def test_only_the_customers_own_note_empties_quarantine(house, bakery) -> None:
    folder, ended = house.finished(bakery)
    stages.quarantine_take(folder, "take.impossible", ended, house.services)
    undecided, _ = house.finished(bakery, at=house.clock() - timedelta(hours=1))
    stages.quarantine_take(undecided, stages.ENCODER_DIED, ended, house.services)
    calls = sorted([folder.name, undecided.name])
    spool = folder.parent

    def emptied(owner: str) -> int:
        row = {"tenant_id": owner, "request_id": "r", "erased_at": ended, "note": "n"}
        with writing():
            ErasedCallTable.delete().execute()
            ErasedCallTable.insert_many([{"id": each, **row} for each in calls]).execute()
        return expiry.empty_quarantine(replace(house.services, spool=spool), ended)

    assert emptied(bakery.id) == 0, "a row alone"
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    signature = (calls, house.clock(), house.changes.signer, house.root_public)
    call_erasure.put(house.store, "n", rival.id, "r", *signature)
    assert emptied(rival.id) == 0, "another customer's"
    call_erasure.put(house.store, "n", bakery.id, "r", *signature)
    assert emptied(bakery.id) == 1, "what may yet be a recording stays"
    assert (spool / "quarantine" / undecided.name).exists()


@SQLITE
def test_checks_again_after_a_concurrent_row(house, bakery) -> None:
    folder, ended = house.finished(bakery)
    while stages.next_stage(folder) != "catalogue":
        stages.step(folder, ended + timedelta(seconds=1), house.services)
    mine = house.call(bakery, at=house.clock() - timedelta(hours=1))
    row = queries.recording(bakery.id, mine)
    forge_row(house, bakery.id)
    fresh = replace(row, id=folder.name, prefix=row.prefix.replace(mine, folder.name))
    with pytest.raises(CatalogueError, match="has left"):
        recordings.add_recording(fresh, now=house.clock(), entropy=house.entropy)
    house.work(folder, ended)
    assert queries.recording(bakery.id, folder.name) is not None
