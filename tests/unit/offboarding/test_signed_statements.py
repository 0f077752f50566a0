"""A row alone erases, withholds and shows nothing: only a statement signed by a key endorsed for it does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recorder.audit.service import Audit
from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue import offboarding_progress, queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.errors import AccessError, CatalogueError, SealError
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import handover_queries, service
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.recovery.rebuild import Rebuild, RebuildReport
from recorder.features.tenants import lines
from recorder.identity import users
from recorder.lifecycle import expiry, recordings
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.amendment_store import put as put_amendment
from recorder.lifecycle.statements import statements_of
from recorder.pipeline import stages
from recorder.playback.interface import Actor
from recorder.seal import call_erasure, signed_document
from recorder.seal import offboarding as statements
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import DeletionRequested
from recorder.seal.offboarding import place_of
from tests.house import Customer
from tests.stored_recordings import receipt_body

OPERATOR = By("operator")
SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    return customer


def forge_row(house, tenant: str) -> None:
    """The row that an attacker with write access to the catalogue inserts."""
    past = house.clock() - timedelta(days=2)
    with writing():
        OffboardingTable.insert(tenant_id=tenant, announced_at=past, until=past, erasing_since=past).execute()


def audited(house, tenant: str) -> list[str]:
    return [
        each.code
        for each in Audit(house.store, house.root_public, house.clock(), house.keyring).tenant(tenant)
    ]


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


def put(house, key: str, content: bytes) -> None:
    file = house.folder / "an object"
    file.write_bytes(content)
    house.store.put(key, file, hashlib.sha256(content).hexdigest())


def rebuild(house, **changes: Any) -> RebuildReport:
    """The report of a rebuild; its problems stay in the catalogue until it is finished."""
    from recorder.features.recovery import rebuild_queue

    report = Rebuild(
        house.store, house.keyring, house.root_public, house.clock, house.entropy, **changes
    ).run()
    troubles[:] = [(each.code, each.place) for each in rebuild_queue.problems()]
    rebuild_queue.finish()
    return report


troubles: list[tuple[str, str]] = []


def leave(office: Changes, customer: Customer, early: str | None = "By letter") -> None:
    service.announce(office, customer.id, office.now() + timedelta(days=10))
    service.order_erasure(office, customer.id, early=early)


def assert_whole(house, customer: Customer, recording: str) -> None:
    """Check that nothing of a customer was erased."""
    assert queries.recording(customer.id, recording).erased_at is None
    assert users.user_by_login("paul") is not None
    assert tenant_queries.tenant_wrapped_key(customer.id) is not None
    assert f"keys/{customer.id}/tenant.json" in house.store.list("keys/")
    assert f"keys/{customer.id}/{recording}.json" in house.store.list("keys/")


@SQLITE
def test_the_panels_key_cannot_sign_an_offboarding(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    panel = house.changes
    with pytest.raises(SealError) as failure:
        service.announce(panel, bakery.id, house.clock() + timedelta(days=1))
    assert failure.value.error_id == "seal.endorsement_use"
    assert list(house.store.list("offboarding/")) == []
    # Past its own check, too: whoever has the key signs what they like.
    service.announce(office, bakery.id, house.clock() + timedelta(days=1))
    (statement,) = statements.statements(house.store, bakery.id, house.root_public)
    forged = statement.next_statement(statements.ERASURE, house.clock(), early="By letter")
    content = signed_document.write(statements.STATEMENT.body(forged), panel.signer)
    put(house, f"offboarding/{bakery.id}/statement-0002.json", content)
    with writing():
        OffboardingTable.update(erasing_since=house.clock()).execute()
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert_whole(house, bakery, mine)
    assert "seal.endorsement_use" in audited(house, bakery.id)


@SQLITE
def test_a_revoked_key_offboards_nobody_until_a_new_signature(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    leave(office, bakery)
    revoked = {house.services.signer.key_id: house.clock() + timedelta(hours=1)}
    later = replace(means, revoked=lambda: revoked)
    assert offboarding_duty.erase_due(later, house.clock()) == 0, (
        "dated before the revocation, as whoever has it can"
    )
    assert_whole(house, bakery, mine)
    with pytest.raises(CatalogueError) as failure:
        service.order_erasure(replace(office, revoked=lambda: revoked), bakery.id, early="By letter")
    assert failure.value.error_id == "offboarding.statement_missing"
    service.cancel(replace(office, revoked=lambda: revoked), bakery.id)
    assert offboarding_progress.find_offboarding(bakery.id) is None


@SQLITE
def test_refuses_another_customers_statement_and_a_gap(house, bakery, means, office) -> None:
    mine = house.call(bakery)
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    leave(office, rival)
    for name in ("statement-0001.json", "statement-0002.json"):
        content = house.store.read(f"offboarding/{rival.id}/{name}")
        put(house, f"offboarding/{bakery.id}/{name}", content)
    forge_row(house, bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 1, "the one who leaves"
    assert_whole(house, bakery, mine)
    assert {"offboarding.foreign", "row.unlogged"} <= {*audited(house, bakery.id)}
    # And a cancellation stands: an erasure that was signed before it cannot be put after it.
    customer = house.customer("Garage Peeters", "+3225550188")
    leave(office, customer)
    key = f"offboarding/{customer.id}/statement-0002.json"
    erasure = house.store.read(key)
    house.store.delete(key)
    with writing():
        OffboardingTable.update(erasing_since=None).where(OffboardingTable.tenant_id == customer.id).execute()
    service.cancel(office, customer.id)
    put(house, f"offboarding/{customer.id}/statement-0003.json", erasure)
    forge_row(house, customer.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert tenant_queries.tenant_wrapped_key(customer.id) is not None
    assert "offboarding.predecessor" in audited(house, customer.id)


@SQLITE
def test_an_early_erasure_states_the_agreement(house, bakery, office, clock) -> None:
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    (statement,) = statements.statements(house.store, bakery.id, house.root_public)
    for wrong in (
        {"early": ""},
        {"early": None},
        {"early": "so", "announced_at": house.clock() + timedelta(days=1)},
    ):
        forged = statement.next_statement(statements.ERASURE, house.clock(), **wrong)
        with pytest.raises(SealError) as failure:
            statements.put_statement(house.store, forged, house.services.signer, house.root_public)
        assert failure.value.error_id == "seal.contradiction"
    for changes, error_id in (
        ({"more": 1}, "seal.unknown_field"),
        ({"version": 2}, "seal.version"),
        ({"kind": "moved"}, "seal.field"),
        ({"type": "accord-receipt"}, "seal.field"),
    ):
        content = signed_document.write(statements.STATEMENT.body(statement) | changes, house.services.signer)
        with pytest.raises(SealError) as failure:
            statements.read(content, house.root_public)
        assert failure.value.error_id == error_id


@SQLITE
def test_resumes_when_killed_between_statement_and_row(house, bakery, means, office) -> None:
    class Killed(BaseException):
        pass

    def die(_boundary: str) -> None:
        raise Killed

    until = house.clock() + timedelta(days=10)
    failing_office = replace(office, boundary=die)
    with pytest.raises(Killed):
        service.announce(failing_office, bakery.id, until)
    assert offboarding_progress.find_offboarding(bakery.id) is None
    service.announce(office, bakery.id, until)
    with pytest.raises(Killed):
        service.order_erasure(failing_office, bakery.id, early="By letter")
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    service.order_erasure(office, bakery.id, early="By letter")
    kinds = [each.kind for each in statements.statements(house.store, bakery.id, house.root_public)]
    assert kinds == ["announced", "erasure"], "each once"
    assert audited(house, bakery.id) == []
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    other = house.customer("Van Dyck NV", "+3225550199", language="en")
    service.announce(office, other.id, until)
    with pytest.raises(Killed):
        service.cancel(failing_office, other.id)
    service.cancel(office, other.id)
    assert offboarding_progress.find_offboarding(other.id) is None
    assert audited(house, other.id) == []


@SQLITE
def test_keeps_the_key_of_an_unlisted_recording(house, bakery, means, office) -> None:
    """It is on hold, and an attacker with write access to the catalogue deleted row and hold."""
    on_hold = house.call(bakery)
    options = {"owner": bakery.people["paul"].id, "purposes": ["agreement"], "reason": "order 12"}
    house.changes.hold(bakery.id, on_hold, OPERATOR, review_at=house.clock() + timedelta(days=9), **options)
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
    house.changes.hold(bakery.id, mine, OPERATOR, review_at=house.clock() + timedelta(days=9), **options)
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
def test_the_audit_names_missing_and_unlogged_statements(house, bakery, office) -> None:
    leave(office, bakery)
    last = f"offboarding/{bakery.id}/statement-0002.json"
    content = house.store.read(last)
    house.store.delete(last)
    assert "statement.missing" in audited(house, bakery.id)
    put(house, last, content)
    assert audited(house, bakery.id) == []
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    at = house.clock()
    first = statements.Statement(rival.id, 1, None, statements.ANNOUNCED, at, at, at)
    statements.put_statement(house.store, first, house.services.signer, house.root_public)
    assert audited(house, rival.id) == ["statement.unlogged"]


@SQLITE
def test_a_rebuild_erases_nothing_because_of_a_receipt(house, bakery, means, office) -> None:
    """By the panel's key, with an unknown field, or by the worker's own key: a rebuild only proposes."""
    on_hold = house.call(bakery)
    options = {"owner": bakery.people["paul"].id, "purposes": ["agreement"], "reason": "order 12"}
    house.changes.hold(bakery.id, on_hold, OPERATOR, review_at=house.clock() + timedelta(days=9), **options)
    place = place_of(bakery.id)
    panel, worker = house.changes.signer, house.services.signer
    for signer, changes, code in (
        (panel, {}, "seal.endorsement_use"),
        (worker, {"unknown": 1}, "seal.unknown_field"),
        (worker, {"version": 2}, "seal.version"),
        (worker, {"recordings_erased": {"deleted": "all"}}, "seal.field"),
        (worker, {"tenant": "another"}, "offboarding.foreign"),
    ):
        body = receipt_body(bakery.id, house.clock()) | changes
        put(house, place, signed_document.write(body, signer))
        report = rebuild(house)
        assert troubles == [(code, place)], changes
        assert (report.changed, report.leavers, report.withheld) == (0, (), {})
        assert code in audited(house, bakery.id)
        house.store.delete(place)
    put(house, place, signed_document.write(receipt_body(bakery.id, house.clock()), worker))
    report = rebuild(house)
    assert ([each.tenant for each in report.leavers], report.withheld) == ([bakery.id], {bakery.id: 1})
    assert report.changed == 1, "its line ended, and it says so"
    assert offboarding_duty.erase_due(means, house.clock()) == 0
    assert_whole(house, bakery, on_hold)
    with pytest.raises(CatalogueError) as failure:
        service.complete_erasure(office, bakery.id)
    assert failure.value.error_id == "offboarding.held"
    assert "statement.unlogged" not in audited(house, bakery.id), "the leaf names the receipt"
    house.changes.lift(bakery.id, on_hold, OPERATOR, hold=1, reason="settled")
    with pytest.raises(SealError):
        service.complete_erasure(house.changes, bakery.id)
    assert_whole(house, bakery, on_hold)
    service.complete_erasure(office, bakery.id)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    assert queries.recording(bakery.id, on_hold).erasure_reason == "deleted"


@SQLITE
def test_names_each_invalid_object_and_reads_the_others(house, bakery, means, office) -> None:
    leave(office, bakery)
    assert offboarding_duty.erase_due(means, house.clock()) == 1
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    other = house.store.read(place_of(bakery.id))
    put(house, place_of(rival.id), other)
    put(house, f"offboarding/{bakery.id}/readme.txt", b"?")
    put(house, "offboarding/0/receipt.json", b"\xff")
    put(house, "offboarding/1/statement-0001.json", b"{}")
    with writing():
        OffboardingTable.delete().execute()
    report = rebuild(house)
    assert sorted(troubles) == [
        ("object.unplaced", f"offboarding/{bakery.id}/readme.txt"),
        ("offboarding.foreign", place_of(rival.id)),
        ("seal.field", "offboarding/1/"),
        ("seal.not_json", "offboarding/0/receipt.json"),
    ]
    assert [each.tenant for each in report.leavers] == [bakery.id]
    assert "object.unplaced" in audited(house, bakery.id)


@SQLITE
def test_a_rebuild_tells_an_older_catalogue_of_announcement_and_cancellation(house, bakery, office) -> None:
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    with writing():
        OffboardingTable.delete().execute()
    report = rebuild(house)
    assert (report.withheld, report.leavers) == ({bakery.id: 0}, ())
    assert offboarding_queries.require_departure(bakery.id).until == house.clock() + timedelta(days=10)
    service.cancel(office, bakery.id)
    assert rebuild(house).withheld == {}


@SQLITE
@pytest.mark.parametrize("kind", ["announced", "handed_over"])
def test_a_deleted_cancellation_still_applies(house, bakery, office, handed, clock, kind) -> None:
    """Write access to the bucket ends no line by an announcement that was cancelled."""
    house.call(bakery)
    service.announce(office, bakery.id, house.clock() + timedelta(days=10))
    clock.forward(minutes=1)
    if kind == "handed_over":
        handed(bakery.id)
        clock.forward(minutes=1)
    service.cancel(office, bakery.id)
    options = {"announcement": bakery.announcement.id, "now": house.clock(), "entropy": house.entropy}
    lines.create_line(bakery.id, number=bakery.line.number, **options)
    *_, last = house.store.list(f"offboarding/{bakery.id}/statement-")
    house.store.delete(last)
    report = rebuild(house)
    assert (report.withheld, report.leavers) == ({}, ())
    assert troubles == [("offboarding.missing", f"offboarding/{bakery.id}/")]
    assert [line.number for line in queries.lines(bakery.id)] == [bakery.line.number]
    assert "statement.missing" in audited(house, bakery.id)


@SQLITE
def test_a_deletion_is_logged_before_it_is_carried_out(house, bakery, means, clock) -> None:
    """Whoever has that key and the bucket can do it: the key may sign deletions."""
    mine, paul = house.call(bakery), users.user_by_login("paul")
    clock.forward(minutes=5)
    chain = chain_of(house.store, queries.recording(bakery.id, mine).prefix, house.root_public)
    by = By("user", paul.id)
    amended = put_amendment(
        house.store,
        chain,
        DeletionRequested("Forged"),
        by,
        house.changes.signer,
        house.root_public,
        house.clock(),
    )
    assert expiry.destroy_due(means, clock.forward(minutes=5)) == 0
    assert {"row.changed", "amendment.row_differs"} <= set(audited(house, bakery.id))
    house.gate.purposes(Actor(paul.id, bakery.id, paul.role, "fr"), mine)
    (leaf,) = leaf_lookup.leaves_about(bakery.id, [mine], ["recording.amended"])
    assert (leaf.body["sha256"], leaf.body["by"]) == (amended.sha256, paul.id)
    assert expiry.destroy_due(means, clock()) == 1
    assert audited(house, bakery.id) == []


@SQLITE
def test_the_audit_names_a_recording_key_in_another_customers_folder(house, bakery, clock) -> None:
    mine, rival = house.call(bakery), house.customer("Rival", "+3225550199")
    house.call(rival)
    clock.forward(days=3)
    key = f"keys/{rival.id}/{mine}.json"
    assert audited(house, rival.id) == ["log.not_signed"]
    put(house, key, house.store.read(f"keys/{bakery.id}/{mine}.json"))
    assert audited(house, rival.id) == ["log.not_signed", "object.unknown"]


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
