"""Calls that were not recorded and were erased at their person's request stay away: from a node that comes to
them once more, and from an older backup."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import erased_call_queries, queries
from recorder.catalogue.database import writing
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.clock import to_iso
from recorder.errors import KeepingError, SealError
from recorder.features.recovery import backup
from recorder.features.subject_requests import call_erasure as forgotten_calls
from recorder.features.subject_requests import erased_calls, register
from recorder.lifecycle.amendment_service import Changes
from recorder.pipeline import stages
from recorder.seal import call_erasure, canonical_json, signed_document
from tests.house import Bakery
from tests.vouching import vouch

from .conftest import Recovery, rows

SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])
LONG = partial(pytest.param, marks=pytest.mark.long)


@pytest.fixture
def missed(house: Bakery, recorded) -> list[str]:
    """Two calls of one person that were not recorded."""
    recorded()
    folders = [house.unrecorded() for _ in range(2)]
    for folder in folders:
        shutil.copytree(folder, house.folder / "older" / folder.name)
        house.work(folder)
    return [folder.name for folder in folders]


@pytest.fixture
def changes(house: Bakery) -> Changes:
    means = house.means
    return Changes(means.store, means.root, means.signer, house.clock, house.entropy)


@pytest.fixture
def asked(house: Bakery, missed) -> RequestRow:
    said = {"now": house.clock(), "entropy": house.entropy}
    number = rows(NotRecordedTable)[0]["external_value"]
    made = register.enter(
        house.tenant, number=number, wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **said,
    )  # fmt: skip
    vouch(house.tenant, made.id, signer=house.means.signer, **said)
    return register.request(house.tenant, made.id)


def write(house: Bakery) -> Path:
    path = house.folder / "accord.backup"
    backup.write(path, house.means.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
    return path


def opened(missed: list[str]) -> list[str]:
    """What the log can be opened with of these calls."""
    return [leaf["body"] for leaf in rows(LeafTable) if leaf["recording_id"] in missed and leaf["body"]]


def test_an_older_backup_brings_none_of_them_back(
    house: Bakery, missed, asked, changes, recovery: Recovery
) -> None:
    path = write(house)
    assert forgotten_calls.erase(changes, asked, "u") == forgotten_calls.Forgotten(2, 0)
    assert rows(NotRecordedTable) == opened(missed) == []
    with recovery.lost():
        backup.restore(path, house.means.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
        assert [row["id"] for row in rows(NotRecordedTable)] == sorted(missed)
        report = recovery.rebuild()
        assert (report.outcomes, report.calls) == ({"completed": 1}, {house.tenant: 2})
        assert recovery.troubles == []
        assert len(rows(NotRecordedTable)) == 2, "a rebuild erases nothing: it proposes"
        with pytest.raises(KeepingError, match="not confirmed"):
            erased_calls.erase_calls_again(changes, house.tenant)
        house.confirm_holds()
        assert erased_calls.erase_calls_again(changes, house.tenant) == 2
        assert rows(NotRecordedTable) == opened(missed) == []
        assert erased_call_queries.counts(house.tenant) == {asked.id: 2}
        (said,) = [leaf for leaf in rows(LeafTable) if leaf["kind"] == "calls.erased"]
        report = recovery.rebuild()
        assert (report.changed, report.calls) == (0, {})
        assert erased_calls.erase_calls_again(changes, house.tenant) == 0
        assert [leaf for leaf in rows(LeafTable) if leaf["kind"] == "calls.erased"] == [said], "once"
        house.confirm_holds()
        means = house.means
        audit = Audit(means.store, means.root, house.clock(), means.keyring)
        assert [each.code for each in audit.tenant(house.tenant)] == []


@SQLITE
def test_a_node_that_comes_to_them_again_lists_nothing(house: Bakery, missed, asked, changes) -> None:
    """From a copy of its spool, or after it died between listing a call and removing its folder."""
    forgotten_calls.erase(changes, asked, "u")
    for name in missed:
        folder = Path(shutil.copytree(house.folder / "older" / name, house.spool / name))
        house.work(folder)
        assert not folder.exists()
    assert rows(NotRecordedTable) == opened(missed) == []


@SQLITE
@pytest.mark.parametrize("announced", [False, LONG(True)])
@pytest.mark.parametrize("at", [LONG("encode"), "store", LONG("catalogue")])
def test_a_take_that_was_set_aside_and_forgotten_is_not_kept(
    house: Bakery, asked, changes, at, announced
) -> None:
    """Unless it was sealed meanwhile, and was announced: that is a recording, which no note about calls
    without one destroys."""
    folder = house.take(talk_ms=300, formats=("wav",), announced=announced)
    while stages.next_stage(folder) != at:
        stages.step(folder, house.clock(), house.means)
    copy = house.folder / "older" / folder.name
    shutil.copytree(folder, copy)
    stages.put_aside(folder, "take.impossible", house.clock(), house.means)
    assert forgotten_calls.erase(changes, asked, "u").erased == 3
    house.work(Path(shutil.copytree(copy, house.spool / folder.name)))
    kept = announced and at != "encode"
    there = [key for key in house.objects() if folder.name in key and not key.endswith("manifest.json")]
    assert bool(there) == kept
    assert (queries.recording(house.tenant, folder.name) is not None) == kept
    assert all(row["id"] != folder.name for row in rows(NotRecordedTable))


@SQLITE
def test_broken_off_it_is_asked_again_and_counted_once(house: Bakery, missed, asked, changes) -> None:
    class Killed(BaseException):
        pass

    def die(boundary: str) -> None:
        raise Killed(boundary)

    with pytest.raises(Killed, match="note put"):
        forgotten_calls.erase(replace(changes, boundary=die), asked, "u")
    assert len(rows(NotRecordedTable)) == 2
    assert forgotten_calls.erase(changes, asked, "u").erased == 2
    assert forgotten_calls.erase(changes, asked, "u").erased == 0
    assert [row["id"] for row in rows(ErasedCallTable)] == sorted(missed)


def put(house: Bakery, key: str, content: bytes) -> None:
    file = house.folder / "an object"
    file.write_bytes(content)
    house.means.store.put(key, file, hashlib.sha256(content).hexdigest())


def note_of(house: Bakery, calls: list[str], signer, **changes: object) -> bytes:
    body = {
        "type": call_erasure.NOTE.type, "version": 1, "tenant": house.tenant, "request": "r",
        "at": to_iso(house.clock()), "calls": calls, "software": "accord 1", **changes,
    }  # fmt: skip
    return signed_document.write(body, signer)


@SQLITE
def test_a_note_that_was_not_signed_so_is_named_and_the_others_are_read(
    house: Bakery, asked, changes, recovery
) -> None:
    forgotten_calls.erase(changes, asked, "u")
    with writing():
        ErasedCallTable.delete().execute()
    (key,) = [key for key in house.objects() if key.startswith(call_erasure.NOTES)]
    content = house.means.store.read(key)
    body = canonical_json.load(content, "note")
    body["body"]["calls"] = ["another"]
    with pytest.raises(SealError, match="signature"):
        call_erasure.read(canonical_json.dump(body), house.means.root)
    below = f"call-erasures/{house.tenant}"
    put(house, f"{below}/changed.json", canonical_json.dump(body))
    put(house, f"{below}/0.json", b"\xff no json")
    put(house, f"{below}/1.json", note_of(house, ["x"], house.means.signer, kind="more"))
    put(house, f"{below}/2.json", note_of(house, ["x"], house.means.signer, version=2))
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
    audit = Audit(house.means.store, house.means.root, house.clock(), house.means.keyring)
    named = {(each.code, each.where) for each in audit.tenant(house.tenant)}
    assert {each for each in recovery.troubles if "another" not in each[1]} <= named


@SQLITE
@pytest.mark.parametrize("hours", [-1, 1], ids=["dated-back", "dated-after"])
def test_a_note_by_a_revoked_key_is_not_followed(house: Bakery, missed, recovery, changes, hours) -> None:
    since = house.clock() + timedelta(hours=2)
    revoked = {house.means.signer.key_id: since}
    at = to_iso(since + timedelta(hours=hours))
    name = f"call-erasures/{house.tenant}/n.json"
    put(house, name, note_of(house, sorted(missed), house.means.signer, at=at))
    house.clock.forward(days=1)
    later = replace(changes, revoked=lambda: revoked)
    report = recovery.rebuild(revoked=lambda: revoked)
    assert (report.calls, recovery.troubles) == ({}, [("seal.key_revoked", name)])
    assert erased_calls.erase_calls_again(later, house.tenant) == 0
    assert len(rows(NotRecordedTable)) == 2
    believed = recovery.rebuild(revoked=lambda: revoked, believe_dates=True)
    assert believed.calls == ({house.tenant: 2} if hours < 0 else {})


@SQLITE
def test_a_note_of_a_recording_destroys_none(house: Bakery, recorded, recovery, changes) -> None:
    mine = recorded()
    before = house.objects()
    put(house, f"call-erasures/{house.tenant}/n.json", note_of(house, [mine], house.means.signer))
    report = recovery.rebuild()
    assert [code for code, _ in recovery.troubles] == ["call_erasure.names_recording"]
    assert report.calls == {}
    assert erased_calls.erase_calls_again(changes, house.tenant) == 0
    assert set(before) < set(house.objects())
    assert queries.recording(house.tenant, mine).erased_at is None
