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
    """The remains of an erased recording in the bucket, and its customer's keys."""
    return sorted(
        [tenant_key_path(house.tenant), row.prefix + "amendment-0001.json", row.prefix + "manifest.json"]
    )


def test_recording_is_kept_as_long_as_announced(house) -> None:
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
    assert (left.destroyed_why, left.wrapped_key, left.outside) == ("expired", None, None)


def test_unannounced_recording_expires_after_thirty_days(house) -> None:
    folder = house.take(announced=False)
    house.work(folder)
    house.clock.forward(days=29)
    assert destroy_due(house) == 0
    house.clock.forward(days=1, minutes=5)
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, folder.name).destroyed_why == "not_announced"


def test_deletes_keys_first(house) -> None:
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
def test_resumes_an_interrupted_expiry(house, after) -> None:
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
    """Whether the recording is complete."""
    row, objects = queries.recording(house.tenant, recording), house.objects()
    return (
        row.destroyed_at is None
        and row.wrapped_key is not None
        and data_key_path(house.tenant, recording) in objects
        and any(key.endswith(f"/{recording}/manifest.json") for key in objects)
    )


def test_row_with_an_earlier_time_deletes_nothing(house) -> None:
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
    # At its announced expiry both are deleted.
    house.clock.at = row.keep_until
    assert destroy_due(house) == 2


@pytest.mark.parametrize(
    ("changed", "error_id"),
    [
        (lambda row: {"prefix": row.prefix.replace("/2026/", "/2025/")}, "seal.manifest_missing"),
        (lambda row: {"prefix": row.prefix, "announced": 0}, "seal.row_differs"),
    ],
)
def test_otherwise_changed_row_deletes_nothing(house, changed, error_id) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    change_row(row.id, keep_until=house.clock() - timedelta(minutes=1), **changed(row))
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs] == [error_id]
    assert kept(house, row.id)


def test_row_with_the_prefix_of_an_older_manifest_deletes_nothing(house) -> None:
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
    assert queries.recording(house.tenant, older.name).destroyed_at is not None
    assert queries.recording(house.tenant, younger.name).destroyed_at is None
    assert data_key_path(house.tenant, younger.name) in house.objects()


def test_empty_store_proves_no_erasure(house) -> None:
    """A folder whose disk is not mounted looks empty."""
    folder = house.take()
    house.work(folder)
    house.clock.forward(days=31)
    (house.folder / "bucket").rename(house.folder / "unmounted")
    assert destroy_due(house) == 0
    (house.folder / "unmounted").rename(house.folder / "bucket")
    assert kept(house, folder.name)
    assert destroy_due(house) == 1


def test_failed_expiry_delays_no_other(house) -> None:
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


def test_reads_due_recordings_page_by_page(house) -> None:
    folders = [house.take() for _ in range(3)]
    for folder in folders:
        house.work(folder)
    house.clock.forward(days=31)
    seen, last = [], None
    while page := recordings.due(house.clock(), limit=1, after=last):
        seen += [row.id for row in page]
        last = page[-1]
    assert sorted(seen) == sorted(folder.name for folder in folders)


def test_quarantine_ends_on_its_date(house) -> None:
    folder = house.take()
    (folder / layout.AUDIO).write_bytes(b"RIFF")
    stages.step(folder, house.clock(), house.means)
    aside = house.spool / layout.QUARANTINE / folder.name
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=29)) == 0
    assert aside.exists()
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=30)) == 1
    assert list((house.spool / layout.QUARANTINE).iterdir()) == []
    assert queries.not_recorded(house.tenant).rows[0].reason == "take.impossible"


def test_quarantine_without_a_date_never_ends(house) -> None:
    folder = house.take()
    stages.quarantine_take(folder, stages.ENCODER_DIED, house.clock(), house.means)
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=9999)) == 0
    aside = house.spool / layout.QUARANTINE / folder.name
    note = json.loads((aside / layout.QUARANTINE_REASON).read_bytes())
    assert (note["reason"], note["until"]) == ("take.encoder_died", None)
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.reason, row.quarantined_until) == ("take.encoder_died", None)


@pytest.mark.parametrize("note", [None, b"{", b"[]", json.dumps({"until": "soon"}).encode()])
def test_quarantine_keeps_foreign_folders(house, note) -> None:
    aside = house.spool / layout.QUARANTINE / "mine"
    aside.mkdir(parents=True)
    if note is not None:
        (aside / "quarantine.json").write_bytes(note)
    assert expiry.empty_quarantine(house.means, house.clock() + timedelta(days=9999)) == 0
    assert aside.exists()


def test_missing_quarantine_is_no_error(house) -> None:
    assert expiry.empty_quarantine(house.means, house.clock()) == 0


def test_no_tombstone_while_objects_remain(house) -> None:
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
    assert queries.recording(house.tenant, row.id).destroyed_at is None
    assert destroy_due(house) == 1


def test_invalid_amendment_keeps_the_recording(house) -> None:
    """It could have been a legal hold."""
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    (house.bucket / row.prefix / "amendment-0001.json").write_bytes(b"{}")
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["seal.field"]
    assert kept(house, row.id)


def test_without_a_signing_key_the_tombstone_waits(house) -> None:
    """An expired signing key does not extend retention."""
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
    assert queries.recording(house.tenant, row.id).destroyed_at is None
    assert destroy_due(house) == 1
