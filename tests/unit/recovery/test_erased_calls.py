"""Unrecorded calls that were erased at their person's request stay erased: neither a node that handles them
again nor an older backup restores them."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from recorder.audit.service import Audit
from recorder.auditlog import checkpoint
from recorder.auditlog.append import append
from recorder.catalogue import erased_call_queries, queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.errors import AuditLogError, RetentionError, SealError, SubjectRequestError
from recorder.features.recovery import backup
from recorder.features.subject_requests import call_erasure as forgotten_calls
from recorder.features.subject_requests import service
from recorder.features.subject_requests.service import ErasureRequest
from recorder.lifecycle.amendment_service import Changes
from recorder.pipeline import stages
from recorder.seal import call_erasure, canonical_json, signed_document
from tests.expected_errors import expect_error
from tests.house import Bakery
from tests.identity_proof import vouch

from .conftest import Recovery, rows

SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])
LONG = partial(pytest.param, marks=pytest.mark.long)


@pytest.fixture
def missed(house: Bakery, recorded) -> list[str]:
    """Two unrecorded calls of one person."""
    recorded()
    folders = [house.unrecorded() for _ in range(2)]
    for folder in folders:
        shutil.copytree(folder, house.folder / "older" / folder.name)
        house.work(folder)
    return [folder.name for folder in folders]


@pytest.fixture
def changes(house: Bakery) -> Changes:
    means = house.services
    return Changes(means.store, means.root, means.signer, house.clock, house.entropy)


@pytest.fixture
def erasure_request(house: Bakery, missed) -> ErasureRequest:
    when = {"now": house.clock(), "entropy": house.entropy}
    number = rows(NotRecordedTable)[0]["external_value"]
    request = service.enter(
        house.tenant, number=number, wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **when,
    )  # fmt: skip
    vouch(house.tenant, request.id, signer=house.services.signer, **when)
    return service.find_erasure_request(house.tenant, request.id, house.clock())


def write(house: Bakery) -> Path:
    path = house.folder / "accord.backup"
    backup.write(path, house.services.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
    return path


def opened(missed: list[str]) -> list[str]:
    """The bodies that the log still has about these calls."""
    return [leaf["body"] for leaf in rows(LeafTable) if leaf["recording_id"] in missed and leaf["body"]]


def test_an_older_backup_restores_no_erased_call(
    house: Bakery, missed, erasure_request, changes, recovery: Recovery
) -> None:
    path = write(house)
    assert forgotten_calls.erase_calls(changes, erasure_request, "u") == forgotten_calls.CallErasureResult(
        2, 0
    )
    assert rows(NotRecordedTable) == opened(missed) == []
    with recovery.empty_catalogue():
        backup.restore(path, house.services.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
        assert [row["id"] for row in rows(NotRecordedTable)] == sorted(missed)
        report = recovery.rebuild()
        assert (report.outcomes, report.calls) == ({"completed": 1}, {house.tenant: 2})
        assert recovery.troubles == []
        assert len(rows(NotRecordedTable)) == 2, "a rebuild erases nothing: it proposes"
        with pytest.raises(RetentionError, match="not confirmed"):
            forgotten_calls.erase_calls_again(changes, house.tenant)
        house.confirm_holds()
        assert forgotten_calls.erase_calls_again(changes, house.tenant) == 2
        assert rows(NotRecordedTable) == opened(missed) == []
        assert erased_call_queries.count_by_request(house.tenant) == {erasure_request.id: 2}
        (erasure_leaf,) = [leaf for leaf in rows(LeafTable) if leaf["kind"] == "calls.erased"]
        report = recovery.rebuild()
        assert (report.changed, report.calls) == (0, {})
        assert forgotten_calls.erase_calls_again(changes, house.tenant) == 0
        assert [leaf for leaf in rows(LeafTable) if leaf["kind"] == "calls.erased"] == [erasure_leaf], "once"
        house.confirm_holds()
        means = house.services
        audit = Audit(means.store, means.root, house.clock(), means.keyring)
        assert [each.code for each in audit.tenant(house.tenant)] == []


@SQLITE
def test_a_node_lists_no_erased_call_again(house: Bakery, missed, erasure_request, changes) -> None:
    """From a copy of its spool, or after it died between listing a call and removing its folder."""
    forgotten_calls.erase_calls(changes, erasure_request, "u")
    for name in missed:
        folder = Path(shutil.copytree(house.folder / "older" / name, house.spool / name))
        house.work(folder)
        assert not folder.exists()
    assert rows(NotRecordedTable) == opened(missed) == []


@SQLITE
@pytest.mark.parametrize("announced", [False, LONG(True)])
@pytest.mark.parametrize("at", [LONG("encode"), "store", LONG("catalogue")])
def test_keeps_no_quarantined_take_of_an_erased_call(
    house: Bakery, erasure_request, changes, at, announced
) -> None:
    """Unless it was announced and sealed meanwhile: a note about unrecorded calls erases no recording."""
    folder = house.take(talk_ms=300, formats=("wav",), announced=announced)
    while stages.next_stage(folder) != at:
        stages.step(folder, house.clock(), house.services)
    copy = house.folder / "older" / folder.name
    shutil.copytree(folder, copy)
    stages.quarantine_take(folder, "take.impossible", house.clock(), house.services)
    assert forgotten_calls.erase_calls(changes, erasure_request, "u").erased == 3
    house.work(Path(shutil.copytree(copy, house.spool / folder.name)))
    is_kept = announced and at != "encode"
    there = [key for key in house.objects() if folder.name in key and not key.endswith("manifest.json")]
    assert bool(there) == is_kept
    assert (queries.recording(house.tenant, folder.name) is not None) == is_kept
    assert all(row["id"] != folder.name for row in rows(NotRecordedTable))


@SQLITE
def test_resumes_an_interrupted_erasure_and_counts_once(
    house: Bakery, missed, erasure_request, changes
) -> None:
    class Killed(BaseException):
        pass

    def die(boundary: str) -> None:
        raise Killed(boundary)

    with pytest.raises(Killed, match="note put"):
        forgotten_calls.erase_calls(replace(changes, boundary=die), erasure_request, "u")
    assert len(rows(NotRecordedTable)) == 2
    assert forgotten_calls.erase_calls(changes, erasure_request, "u").erased == 2
    assert forgotten_calls.erase_calls(changes, erasure_request, "u").erased == 0
    assert [row["id"] for row in rows(ErasedCallTable)] == sorted(missed)


def put(house: Bakery, key: str, content: bytes) -> None:
    file = house.folder / "an object"
    file.write_bytes(content)
    house.services.store.put(key, file, hashlib.sha256(content).hexdigest())


def note_of(house: Bakery, calls: list[str], signer, **changes: object) -> bytes:
    body = {
        "type": call_erasure.NOTE.type, "version": 1, "tenant": house.tenant, "request": "r",
        "at": to_iso(house.clock()), "calls": calls, "software": "accord 1", **changes,
    }  # fmt: skip
    return signed_document.write(body, signer)


@SQLITE
def test_names_an_invalid_note_and_reads_the_others(
    house: Bakery, erasure_request, changes, recovery
) -> None:
    forgotten_calls.erase_calls(changes, erasure_request, "u")
    with writing():
        ErasedCallTable.delete().execute()
    (key,) = [key for key in house.objects() if key.startswith(call_erasure.NOTES)]
    content = house.services.store.read(key)
    body = canonical_json.load(content, "note")
    body["body"]["calls"] = ["another"]
    with pytest.raises(SealError, match="signature"):
        call_erasure.read(canonical_json.dump(body), house.services.root)
    below = f"call-erasures/{house.tenant}"
    put(house, f"{below}/changed.json", canonical_json.dump(body))
    put(house, f"{below}/0.json", b"\xff no json")
    put(house, f"{below}/1.json", note_of(house, ["x"], house.services.signer, kind="more"))
    put(house, f"{below}/2.json", note_of(house, ["x"], house.services.signer, version=2))
    put(house, f"{below}/notes.txt", b"?")
    put(house, "call-erasures/another/n.json", content)
    report = recovery.rebuild()
    assert sorted(recovery.troubles) == [
        ("call_erasure.foreign", "call-erasures/another/n.json"),
        ("object.unplaced", f"{below}/notes.txt"),
        ("seal.not_json", f"{below}/0.json"),
        ("seal.signature", f"{below}/changed.json"),
        ("seal.unknown_field", f"{below}/1.json"),
        ("seal.version", f"{below}/2.json"),
    ]
    assert (report.calls, report.changed) == ({house.tenant: 2}, 0)
    audit = Audit(house.services.store, house.services.root, house.clock(), house.services.keyring)
    findings = {(each.code, each.where) for each in audit.tenant(house.tenant)}
    assert {each for each in recovery.troubles if "another" not in each[1]} <= findings


@SQLITE
@pytest.mark.parametrize("hours", [-1, 1], ids=["dated-back", "dated-after"])
def test_ignores_a_note_by_a_revoked_key(house: Bakery, missed, recovery, changes, hours) -> None:
    since = house.clock() + timedelta(hours=2)
    revoked = {house.services.signer.key_id: since}
    at = to_iso(since + timedelta(hours=hours))
    name = f"call-erasures/{house.tenant}/n.json"
    put(house, name, note_of(house, sorted(missed), house.services.signer, at=at))
    house.clock.forward(days=1)
    later = replace(changes, revoked=lambda: revoked)
    report = recovery.rebuild(revoked=lambda: revoked)
    assert (report.calls, recovery.troubles) == ({}, [("seal.key_revoked", name)])
    assert forgotten_calls.erase_calls_again(later, house.tenant) == 0
    assert len(rows(NotRecordedTable)) == 2
    dated_report = recovery.rebuild(revoked=lambda: revoked, believe_dates=True)
    assert dated_report.calls == ({house.tenant: 2} if hours < 0 else {})


@SQLITE
def test_a_note_erases_no_recording(house: Bakery, recorded, recovery, changes) -> None:
    mine = recorded()
    before = house.objects()
    put(house, f"call-erasures/{house.tenant}/n.json", note_of(house, [mine], house.services.signer))
    report = recovery.rebuild()
    assert [code for code, _ in recovery.troubles] == ["call_erasure.names_recording"]
    assert report.calls == {}
    assert forgotten_calls.erase_calls_again(changes, house.tenant) == 0
    assert set(before) < set(house.objects())
    assert queries.recording(house.tenant, mine).erased_at is None


def shorten_signed_log(house: Bakery) -> None:
    """Delete the last leaf of a log that was signed with it."""
    with writing():
        append(house.tenant, "user.logged_in", {"user": "a"}, house.clock(), house.entropy)
    assert checkpoint.sign_due(house.services, house.clock.forward(hours=1)) == 1
    with writing():
        end = TenantTable.get_by_id(house.tenant).log_size - 1
        assert LeafTable.delete().where(LeafTable.number == end).execute() == 1
        TenantTable.update(log_size=end).where(TenantTable.id == house.tenant).execute()


@SQLITE
def test_a_request_erases_nothing_while_the_log_is_incomplete(
    house: Bakery, missed, erasure_request, changes
) -> None:
    shorten_signed_log(house)
    with pytest.raises(AuditLogError, match="does not continue checkpoint"):
        forgotten_calls.erase_calls(changes, erasure_request, "u")
    assert sorted(row["id"] for row in rows(NotRecordedTable)) == sorted(missed)
    assert len(opened(missed)) == 2
    assert not list(house.bucket.glob("call-erasures/*/*")), "nor does a signed note say that they are"


@SQLITE
def test_a_request_that_was_closed_meanwhile_erases_nothing(
    house: Bakery, missed, erasure_request, changes
) -> None:
    when = {"now": house.clock(), "entropy": house.entropy}
    service.close(house.tenant, erasure_request.id, how="taken_back", who=None, **when)
    with expect_error(SubjectRequestError, "subject_request.closed"):
        forgotten_calls.erase_calls(changes, erasure_request, "u")
    assert sorted(row["id"] for row in rows(NotRecordedTable)) == sorted(missed)
    assert not list(house.bucket.glob("call-erasures/*/*"))


@SQLITE
def test_a_note_erases_nothing_again_while_the_log_is_incomplete(house: Bakery, missed, changes) -> None:
    name = f"call-erasures/{house.tenant}/n.json"
    put(house, name, note_of(house, sorted(missed), house.services.signer))
    shorten_signed_log(house)
    with pytest.raises(AuditLogError, match="does not continue checkpoint"):
        forgotten_calls.erase_calls_again(changes, house.tenant)
    assert len(rows(NotRecordedTable)) == len(opened(missed)) == 2
