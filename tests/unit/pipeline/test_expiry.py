from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.lifecycle import expiry, recordings
from recorder.pipeline import stages
from recorder.seal import signing
from recorder.seal.keyring import data_key_path, tenant_key_path
from recorder.services import Services
from recorder.spool import layout
from recorder.store.contract import StoreError, Unreachable


def destroy_due(house) -> int:
    return destroy_with(house, house.means.store)


def destroy_with(house, store, **changes) -> int:
    return expiry.destroy_due(means(house, store, **changes), house.clock())


def means(house, store=None, **changes) -> Services:
    given = house.means
    made = replace(given, store=store or given.store)
    return replace(made, **changes)


def remains(house, row) -> list[str]:
    """What is left in the bucket of a recording that was destroyed, and of its customer."""
    return sorted(
        [tenant_key_path(house.tenant), row.prefix + "amendment-0001.json", row.prefix + "manifest.json"]
    )


def test_a_recording_is_kept_as_long_as_announced_then_gone(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until - timedelta(milliseconds=1)
    assert destroy_due(house) == 0
    house.clock.forward(milliseconds=1)
    assert destroy_due(house) == 1
    assert destroy_due(house) == 0
    assert house.objects() == remains(house, row)
    left = queries.recording(house.tenant, folder.name)
    assert (left.erasure_reason, left.wrapped_key, left.external_party) == ("expired", None, None)


def test_a_take_that_was_never_announced_goes_after_thirty_days(house) -> None:
    folder = house.take(announced=False)
    house.work(folder)
    house.clock.forward(days=29)
    assert destroy_due(house) == 0
    house.clock.forward(days=1, minutes=5)
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, folder.name).erasure_reason == "not_announced"


def test_the_keys_go_first(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    deleted: list[str] = []
    key_was_there: list[bool] = []
    store = house.means.store

    class Watched:
        def delete(self, key: str) -> None:
            deleted.append(key)
            key_was_there.append(queries.recording(house.tenant, row.id).wrapped_key is not None)
            store.delete(key)

        list = store.list
        put = store.put
        read = store.read
        size = store.size

    destroy_with(house, Watched())
    assert deleted[0] == data_key_path(house.tenant, row.id)
    assert {key.removeprefix(row.prefix) for key in deleted[1:]} == {"audio.opus", "audio.wav", "peaks"}
    assert key_was_there == [True, *[False] * (len(deleted) - 1)]


@pytest.mark.parametrize("after", range(4))
def test_destroying_that_was_broken_off_is_done_again(house, after) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    store = house.means.store

    class Breaks:
        left = after

        def delete(self, key: str) -> None:
            if not self.left:
                raise Unreachable("store.unreachable", "gone")
            self.left -= 1
            store.delete(key)

        list = store.list
        put = store.put
        read = store.read
        size = store.size

    with pytest.raises(Unreachable):
        destroy_with(house, Breaks())
    assert recordings.due(house.clock())
    assert destroy_due(house) == 1
    assert house.objects() == remains(house, row)
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select().order_by(LeafTable.number)]
    assert kinds.count("recording.erased") == 1


def change_row(recording: str, **values) -> None:
    with writing():
        assert RecordingTable.update(**values).where(RecordingTable.id == recording).execute() == 1


def kept(house, recording: str) -> bool:
    """Whether nothing of a recording was destroyed."""
    row, objects = queries.recording(house.tenant, recording), house.objects()
    return (
        row.erased_at is None
        and row.wrapped_key is not None
        and data_key_path(house.tenant, recording) in objects
        and any(key.endswith(f"/{recording}/manifest.json") for key in objects)
    )


def test_a_row_whose_time_was_moved_earlier_destroys_nothing(house) -> None:
    folder, other = house.take(), house.take()
    house.work(folder)
    house.work(other)
    row = queries.recording(house.tenant, folder.name)
    house.clock.forward(hours=1)
    change_row(row.id, keep_until=house.clock() - timedelta(minutes=1))
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    (said,) = [line for line in logs if line["event"] == "recording.erasure_failed"]
    assert (said["recording"], said["error_id"], said["log_level"]) == (row.id, "seal.row_differs", "error")
    assert kept(house, row.id)
    # On its announced day it goes, and the other with it.
    house.clock.at = row.keep_until
    assert destroy_due(house) == 2


@pytest.mark.parametrize(
    ("changed", "error_id"),
    [
        (lambda row: {"prefix": row.prefix.replace("/2026/", "/2025/")}, "seal.manifest_missing"),
        (lambda row: {"prefix": row.prefix, "announced": 0}, "seal.row_differs"),
    ],
)
def test_a_row_changed_in_other_ways_too_destroys_nothing(house, changed, error_id) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    change_row(row.id, keep_until=house.clock() - timedelta(minutes=1), **changed(row))
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs] == [error_id]
    assert kept(house, row.id)


def test_a_row_that_names_the_place_of_an_older_manifest_destroys_nothing(house) -> None:
    older = house.take()
    house.work(older)
    house.clock.forward(days=20)
    younger = house.take()
    house.work(younger)
    first = queries.recording(house.tenant, older.name)
    elsewhere = f"{house.tenant}/2026/01/01/{younger.name}/"
    copy = house.folder / "copy"
    copy.write_bytes(house.means.store.read(first.prefix + "manifest.json"))
    house.means.store.put(elsewhere + "manifest.json", copy, hashlib.sha256(copy.read_bytes()).hexdigest())
    change_row(younger.name, prefix=elsewhere, keep_until=first.keep_until)
    house.clock.at = first.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 1
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["seal.manifest_foreign"]
    assert queries.recording(house.tenant, older.name).erased_at is not None
    assert queries.recording(house.tenant, younger.name).erased_at is None
    assert data_key_path(house.tenant, younger.name) in house.objects()


def test_an_empty_store_is_no_sign_that_anything_was_destroyed(house) -> None:
    """A folder whose disk is not mounted looks like that."""
    folder = house.take()
    house.work(folder)
    house.clock.forward(days=31)
    (house.folder / "bucket").rename(house.folder / "unmounted")
    assert destroy_due(house) == 0
    (house.folder / "unmounted").rename(house.folder / "bucket")
    assert kept(house, folder.name)
    assert destroy_due(house) == 1


def test_what_cannot_be_destroyed_holds_up_no_other(house) -> None:
    folders = [house.take() for _ in range(3)]
    for folder in folders:
        house.work(folder)
    rows = sorted((queries.recording(house.tenant, folder.name) for folder in folders), key=lambda r: r.id)
    house.clock.at = max(row.keep_until for row in rows)
    store = house.means.store

    class Locked:
        list = store.list
        put = store.put
        read = store.read
        size = store.size

        def delete(self, key: str) -> None:
            if rows[0].id in key and not key.startswith("keys/"):
                raise StoreError("store.denied", "locked")
            store.delete(key)

    assert destroy_with(house, Locked()) == 2
    assert [row.id for row in recordings.due(house.clock())] == [rows[0].id]


def test_recordings_that_are_due_are_gone_through_page_by_page(house) -> None:
    folders = [house.take() for _ in range(3)]
    for folder in folders:
        house.work(folder)
    house.clock.forward(days=31)
    seen, last = [], None
    while page := recordings.due(house.clock(), limit=1, after=last):
        seen += [row.id for row in page]
        last = page[-1]
    assert sorted(seen) == sorted(folder.name for folder in folders)


def test_quarantine_ends_on_its_day(house) -> None:
    folder = house.take()
    (folder / layout.AUDIO).write_bytes(b"RIFF")
    stages.step(folder, house.clock(), house.means)
    aside = house.spool / layout.QUARANTINE / folder.name
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=29)) == 0
    assert aside.exists()
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=30)) == 1
    assert list((house.spool / layout.QUARANTINE).iterdir()) == []
    assert queries.not_recorded(house.tenant).rows[0].reason == "take.impossible"


def test_what_a_person_is_to_decide_about_has_no_end(house) -> None:
    folder = house.take()
    stages.put_aside(folder, stages.ENCODER_DIED, house.clock(), house.means)
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=9999)) == 0
    aside = house.spool / layout.QUARANTINE / folder.name
    note = json.loads((aside / layout.WHY).read_bytes())
    assert (note["reason"], note["until"]) == ("take.encoder_died", None)
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.reason, row.quarantined_until) == ("take.encoder_died", None)


@pytest.mark.parametrize("note", [None, b"{", b"[]", json.dumps({"until": "soon"}).encode()])
def test_what_somebody_put_there_by_hand_stays(house, note) -> None:
    aside = house.spool / layout.QUARANTINE / "mine"
    aside.mkdir(parents=True)
    if note is not None:
        (aside / "quarantine.json").write_bytes(note)
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=9999)) == 0
    assert aside.exists()


def test_no_quarantine_is_no_error(house) -> None:
    assert expiry.empty_quarantine(house.means, house.clock()) == 0


def test_what_was_deleted_and_is_there_gets_no_tombstone(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    store = house.means.store

    class Keeps:
        list = store.list
        put = store.put
        read = store.read
        size = store.size

        def delete(self, key: str) -> None:
            if not key.endswith("peaks"):
                store.delete(key)

    with capture_logs() as logs:
        assert destroy_with(house, Keeps()) == 0
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["store.not_deleted"]
    assert row.prefix + "amendment-0001.json" not in house.objects()
    assert queries.recording(house.tenant, row.id).erased_at is None
    assert destroy_due(house) == 1


def test_an_amendment_that_is_not_to_be_believed_keeps_the_recording(house) -> None:
    """It could have been a hold."""
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    (house.bucket / row.prefix / "amendment-0001.json").write_bytes(b"{}")
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["seal.field"]
    assert kept(house, row.id)


def test_without_a_key_for_amendments_it_is_gone_and_its_tombstone_waits(house) -> None:
    """No signing key that ran out keeps a recording past its day."""
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    root = signing.load_private(house.folder / "keys" / signing.ROOT_KEY)
    own = Ed25519PrivateKey.from_private_bytes(house.entropy(32))
    begin, end = house.clock() - timedelta(days=1), house.clock() + timedelta(days=1)
    uses = ("manifest", "amendment", "tombstone")
    said = signing.endorse(root, own.public_key(), uses, begin, end)
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_with(house, house.means.store, signer=signing.Signer(own, said)) == 0
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["error_id"], "accord keys renew" in line["hint"]) == ("seal.endorsement_time", True)
    assert [key.removeprefix(row.prefix) for key in house.objects() if row.id in key] == ["manifest.json"]
    assert queries.recording(house.tenant, row.id).erased_at is None
    assert destroy_due(house) == 1
