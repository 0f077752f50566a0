"""Expiry of recordings and of takes in quarantine: when, in which order, and what prevents it."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.lifecycle import expiry, hold_review, recordings
from recorder.lifecycle.expired_recording import check_expired
from recorder.pipeline import stages
from recorder.seal import call_erasure, signing
from recorder.seal.amendment import By
from recorder.seal.keyring import data_key_path, tenant_key_path
from recorder.services import Services
from recorder.spool import layout
from recorder.store.contract import Conflict, StoreError, Unreachable
from tests.amendments import amend
from tests.stored_recordings import put_small


def destroy_due(house) -> int:
    return destroy_with(house, house.services.store)


def destroy_with(house, store, **changes) -> int:
    return expiry.destroy_due(means(house, store, **changes), house.clock())


def means(house, store=None, **changes) -> Services:
    services = house.services
    changed = replace(services, store=store or services.store)
    return replace(changed, **changes)


def remains(house, row) -> list[str]:
    """What is left of an erased recording and its customer in the bucket."""
    return sorted(
        [tenant_key_path(house.tenant), row.prefix + "amendment-0001.json", row.prefix + "manifest.json"]
    )


def test_erases_a_recording_when_its_announced_time_is_over(house) -> None:
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


def test_erases_an_unannounced_take_after_thirty_days(house) -> None:
    folder = house.take(announced=False)
    house.work(folder)
    house.clock.forward(days=29)
    assert destroy_due(house) == 0
    house.clock.forward(days=1, minutes=5)
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, folder.name).erasure_reason == "not_announced"


def test_deletes_the_keys_first(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    deleted: list[str] = []
    key_was_there: list[bool] = []
    store = house.services.store

    class StoreWatcher:
        def delete(self, key: str) -> None:
            deleted.append(key)
            key_was_there.append(queries.recording(house.tenant, row.id).wrapped_key is not None)
            store.delete(key)

        list = store.list
        put = store.put
        read = store.read
        size = store.size

    destroy_with(house, StoreWatcher())
    assert deleted[0] == data_key_path(house.tenant, row.id)
    assert {key.removeprefix(row.prefix) for key in deleted[1:]} == {"audio.opus", "audio.wav", "peaks"}
    assert key_was_there == [True, *[False] * (len(deleted) - 1)]


@pytest.mark.parametrize("after", range(4))
def test_repeats_an_interrupted_erasure(house, after) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    store = house.services.store

    class Breaks:
        left = after

        def delete(self, key: str) -> None:
            if not self.left:
                raise Unreachable("store.unreachable", "gone", "try again")
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


def is_intact(house, recording: str) -> bool:
    """Whether nothing of a recording was erased."""
    row, objects = queries.recording(house.tenant, recording), house.objects()
    return (
        row.erased_at is None
        and row.wrapped_key is not None
        and data_key_path(house.tenant, recording) in objects
        and any(key.endswith(f"/{recording}/manifest.json") for key in objects)
    )


def test_an_earlier_time_in_a_row_erases_nothing(house) -> None:
    folder, other = house.take(), house.take()
    house.work(folder)
    house.work(other)
    row = queries.recording(house.tenant, folder.name)
    house.clock.forward(hours=1)
    change_row(row.id, keep_until=house.clock() - timedelta(minutes=1))
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    (failed_erasure,) = [line for line in logs if line["event"] == "recording.erasure_failed"]
    assert (failed_erasure["recording"], failed_erasure["error_id"], failed_erasure["log_level"]) == (
        row.id,
        "seal.row_differs",
        "error",
    )
    assert is_intact(house, row.id)
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
def test_a_row_altered_in_other_ways_erases_nothing(house, changed, error_id) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    change_row(row.id, keep_until=house.clock() - timedelta(minutes=1), **changed(row))
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs] == [error_id]
    assert is_intact(house, row.id)


def test_a_row_with_an_older_recordings_prefix_erases_nothing(house) -> None:
    older = house.take()
    house.work(older)
    house.clock.forward(days=20)
    younger = house.take()
    house.work(younger)
    first = queries.recording(house.tenant, older.name)
    elsewhere = f"{house.tenant}/2026/01/01/{younger.name}/"
    copy = house.folder / "copy"
    copy.write_bytes(house.services.store.read(first.prefix + "manifest.json"))
    house.services.store.put(elsewhere + "manifest.json", copy, hashlib.sha256(copy.read_bytes()).hexdigest())
    change_row(younger.name, prefix=elsewhere, keep_until=first.keep_until)
    house.clock.at = first.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 1
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["seal.manifest_foreign"]
    assert queries.recording(house.tenant, older.name).erased_at is not None
    assert queries.recording(house.tenant, younger.name).erased_at is None
    assert data_key_path(house.tenant, younger.name) in house.objects()


def held_recording(house) -> RecordingRow:
    folder = house.take()
    house.work(folder)
    amend(house.changes.hold, house.tenant, folder.name, By("operator"),
        owner="ada", purposes=["agreement"], reason="a dispute",
        review_at=house.clock() + timedelta(days=90),
    )  # fmt: skip
    return queries.recording(house.tenant, folder.name)


def held_refusal(house, recording: str) -> str | None:
    """The refusal to erase a recording that has expired; ``None`` if there is none."""
    row = queries.recording(house.tenant, recording)
    try:
        check_expired(row, house.services.store, house.trust, house.clock())
    except SealError as error:
        return f"{error.error_id} {error.message}"
    return None


def test_a_hold_that_the_catalogue_or_the_bucket_lacks_erases_nothing(house) -> None:
    """Whoever can write to either could otherwise end a legal hold."""
    row, other = held_recording(house), held_recording(house)
    house.changes.lift(house.changes.look(house.tenant, other.id), By("operator"), hold=1, reason="settled")
    house.clock.at = other.keep_until
    with writing():
        AmendmentTable.delete().where(AmendmentTable.recording == row.id).execute()
    assert held_refusal(house, row.id).startswith("recording.held")
    (house.bucket / f"{row.prefix}amendment-0001.json").unlink()
    assert "amendment 1 is missing" in held_refusal(house, row.id)
    for number in (1, 2):
        (house.bucket / f"{other.prefix}amendment-000{number}.json").unlink()
    assert held_refusal(house, other.id).startswith("amendment.missing"), "the log says that it was lifted"
    assert destroy_due(house) == 0
    assert is_intact(house, row.id)


def remove_amendments(house, row: RecordingRow) -> None:
    """As whoever writes both the catalogue and the bucket can."""
    for each in house.bucket.joinpath(row.prefix).glob("amendment-*"):
        each.unlink()
    with writing():
        AmendmentTable.delete().where(AmendmentTable.recording == row.id).execute()


def test_an_agreement_that_the_log_alone_still_names_erases_nothing(house) -> None:
    """Without it, the recording would have expired."""
    folder = house.take()
    house.work(folder)
    expired_at = queries.recording(house.tenant, folder.name).keep_until
    days = {"purpose": "agreement", "keep_days": 200}
    amend(house.changes.agree, house.tenant, folder.name, By("operator"), reason="by letter", **days)
    remove_amendments(house, queries.recording(house.tenant, folder.name))
    change_row(folder.name, keep_until=expired_at)
    house.clock.at = expired_at
    assert held_refusal(house, folder.name).startswith("amendment.missing")
    assert destroy_due(house) == 0
    assert is_intact(house, folder.name)


@pytest.mark.parametrize(
    "changes",
    [{"body": None, "salt": None}, {"body": None}, {"body": "{}"}, {"leaf": "{}"}, {"leaf_hash": "00" * 32}],
)
def test_a_hold_whose_leaf_is_damaged_erases_nothing(house, changes) -> None:
    row = held_recording(house)
    remove_amendments(house, row)
    with writing():
        about = (LeafTable.recording_id == row.id) & (LeafTable.kind == "recording.amended")
        LeafTable.update(**changes).where(about).execute()
    house.clock.at = row.keep_until
    assert held_refusal(house, row.id).startswith("leaf.damaged")
    assert destroy_due(house) == 0
    assert is_intact(house, row.id)


def test_a_limit_that_the_bucket_lacks_erases_nothing_before_the_announced_day(house) -> None:
    row = queries.recording(house.tenant, put_small(house))
    house.limit(5)
    for each in house.bucket.glob("retention/*/*.json"):
        each.unlink()
    house.clock.forward(days=6)
    assert held_refusal(house, row.id).startswith("retention.differs")
    house.clock.at = row.keep_until - timedelta(milliseconds=1)
    assert held_refusal(house, row.id).startswith("retention.differs")
    house.clock.at = row.keep_until
    assert held_refusal(house, row.id) is None


def test_an_empty_store_does_not_count_as_erased(house) -> None:
    """An unmounted folder looks like that."""
    folder = house.take()
    house.work(folder)
    house.clock.forward(days=31)
    (house.folder / "bucket").rename(house.folder / "unmounted")
    assert destroy_due(house) == 0
    (house.folder / "unmounted").rename(house.folder / "bucket")
    assert is_intact(house, folder.name)
    assert destroy_due(house) == 1


def test_a_failed_erasure_delays_no_other(house) -> None:
    folders = [house.take() for _ in range(3)]
    for folder in folders:
        house.work(folder)
    rows = sorted((queries.recording(house.tenant, folder.name) for folder in folders), key=lambda r: r.id)
    house.clock.at = max(row.keep_until for row in rows)
    store = house.services.store

    class Locked:
        list = store.list
        put = store.put
        read = store.read
        size = store.size

        def delete(self, key: str) -> None:
            if rows[0].id in key and not key.startswith("keys/"):
                raise StoreError("store.denied", "locked", "try again")
            store.delete(key)

    assert destroy_with(house, Locked()) == 2
    assert recordings.due(house.clock()) == ((house.tenant, rows[0].id),)


def test_empties_quarantine_on_its_day(house) -> None:
    folder = house.take()
    (folder / layout.AUDIO).write_bytes(b"RIFF")
    stages.step(folder, house.clock(), house.services)
    aside = house.spool / layout.QUARANTINE / folder.name
    assert expiry.empty_quarantine(house.services, house.clock() + timedelta(days=29)) == 0
    assert aside.exists()
    assert expiry.empty_quarantine(house.services, house.clock() + timedelta(days=30)) == 1
    assert list((house.spool / layout.QUARANTINE).iterdir()) == []
    assert queries.not_recorded(house.tenant).rows[0].reason == "take.impossible"


def quarantined(house, reason: str | None = None) -> Path:
    """A take in quarantine: for its month, or with a ``reason`` until somebody decides."""
    folder = house.take()
    if reason is None:
        (folder / layout.AUDIO).write_bytes(b"RIFF")
        stages.step(folder, house.clock(), house.services)
    else:
        stages.quarantine_take(folder, reason, house.clock(), house.services)
    return house.spool / layout.QUARANTINE / folder.name


def test_an_erased_calls_take_goes_at_once_by_a_signed_note(house) -> None:
    mine, other, undecided = quarantined(house), quarantined(house), quarantined(house, stages.ENCODER_DIED)
    note, now = "01930000-0000-7000-8000-0000000000d1", house.clock()
    with writing():
        for each in (mine, other, undecided):
            ErasedCallTable.create(
                id=each.name, tenant_id=house.tenant, request_id="r", erased_at=now, note=note
            )
    assert expiry.empty_quarantine(house.services, now) == 0, "these are rows alone"
    signed = sorted([mine.name, undecided.name])
    call_erasure.put(
        house.store, note, house.tenant, "r", signed, now, house.services.signer, house.root_public
    )
    assert expiry.empty_quarantine(house.services, now) == 1
    assert [each.exists() for each in (mine, other, undecided)] == [False, True, True], (
        "a take that may still become a recording is no erased call"
    )
    with connected():
        leaves = LeafTable.select().where(LeafTable.kind == "quarantine.erased")
        assert [leaf.recording_id for leaf in leaves] == [mine.name]


def test_finishes_removals_from_quarantine(house) -> None:
    doomed = house.spool / layout.QUARANTINE / ".gone-take"
    doomed.mkdir(parents=True)
    (doomed / layout.AUDIO).write_bytes(b"RIFF")
    assert expiry.empty_quarantine(house.services, house.clock()) == 0
    assert not doomed.exists()


def test_keeps_a_take_that_awaits_a_decision(house) -> None:
    folder = house.take()
    stages.quarantine_take(folder, stages.ENCODER_DIED, house.clock(), house.services)
    assert expiry.empty_quarantine(house.services, house.clock() + timedelta(days=9999)) == 0
    aside = house.spool / layout.QUARANTINE / folder.name
    note = json.loads((aside / layout.QUARANTINE_REASON).read_bytes())
    assert (note["reason"], note["until"]) == ("take.encoder_died", None)
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.reason, row.quarantined_until) == ("take.encoder_died", None)


@pytest.mark.parametrize("note", [None, b"{", b"[]", json.dumps({"until": "soon"}).encode()])
def test_keeps_folders_that_an_operator_put_into_quarantine(house, note) -> None:
    aside = house.spool / layout.QUARANTINE / "mine"
    aside.mkdir(parents=True)
    if note is not None:
        (aside / "quarantine.json").write_bytes(note)
    assert expiry.empty_quarantine(house.services, house.clock() + timedelta(days=9999)) == 0
    assert aside.exists()


def test_accepts_a_spool_without_quarantine(house) -> None:
    assert expiry.empty_quarantine(house.services, house.clock()) == 0


def test_writes_no_tombstone_while_an_object_exists(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    store = house.services.store

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


def test_an_invalid_amendment_keeps_the_recording(house) -> None:
    """It might be a hold."""
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    (house.bucket / row.prefix / "amendment-0001.json").write_bytes(b"{}")
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["seal.field"]
    assert is_intact(house, row.id)


def test_erases_without_a_valid_signing_key_and_delays_the_tombstone(house) -> None:
    """An expired signing key keeps no recording."""
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    root = signing.load_private(house.folder / "keys" / signing.ROOT_KEY)
    own = Ed25519PrivateKey.from_private_bytes(house.entropy(32))
    begin, end = house.clock() - timedelta(days=1), house.clock() + timedelta(days=1)
    uses = ("manifest", "amendment", "tombstone")
    endorsement = signing.endorse(root, own.public_key(), uses, begin, end)
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_with(house, house.services.store, signer=signing.Signer(own, endorsement)) == 0
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["error_id"], "accord key renew" in line["error"]) == ("seal.endorsement_time", True)
    assert [key.removeprefix(row.prefix) for key in house.objects() if row.id in key] == ["manifest.json"]
    assert queries.recording(house.tenant, row.id).erased_at is None
    assert destroy_due(house) == 1


def test_reaches_the_points_of_an_erasure_in_order(house) -> None:
    recording = put_small(house)
    house.clock.at = queries.recording(house.tenant, recording).keep_until
    points: list[str] = []
    assert destroy_with(house, house.services.store, boundary=points.append) == 1
    objects = ["deleted audio.opus", "deleted peaks"]
    assert points == ["key deleted", "key forgotten", *objects, "looked", "buried", "destroyed"]


def test_leaves_a_recording_that_another_worker_is_erasing(house) -> None:
    recording = put_small(house)
    row = queries.recording(house.tenant, recording)
    house.clock.at = row.keep_until
    assert lease.take(f"recording:{recording}", "another worker", house.clock())
    assert destroy_due(house) == 0
    lease.release(f"recording:{recording}", "another worker")
    assert not expiry.destroy_one(row, house.services, "me", house.clock() - timedelta(milliseconds=1))
    assert expiry.destroy_one(row, house.services, "me", house.clock())
    assert lease.take(f"recording:{recording}", "another worker", house.clock()), "the lease was returned"
    house.clock.forward(minutes=6)
    assert destroy_due(house) == 0
    with connected():
        assert not lease.LeaseTable.select().exists(), "that of a worker that died is dropped"


def test_leaves_the_customers_other_recordings_as_they_are(house) -> None:
    due = queries.recording(house.tenant, put_small(house))
    house.clock.forward(days=2)
    other = queries.recording(house.tenant, put_small(house))
    house.clock.at = due.keep_until
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, other.id) == other
    assert is_intact(house, other.id)


def test_resumes_after_its_tombstone_was_put(house) -> None:
    row = queries.recording(house.tenant, put_small(house))
    house.clock.at = row.keep_until

    def stop(point: str) -> None:
        if point == "buried":
            raise OSError("the machine stops")

    assert destroy_with(house, house.services.store, boundary=stop) == 0
    assert queries.recording(house.tenant, row.id).erased_at is None
    assert destroy_due(house) == 1
    assert house.objects() == remains(house, row)


@pytest.mark.parametrize(("other_put_it", "erased"), [(True, 1), (False, 0)])
def test_another_nodes_tombstone_is_as_good_as_its_own(house, other_put_it: bool, erased: int) -> None:
    row, store = queries.recording(house.tenant, put_small(house)), house.services.store
    house.clock.at = row.keep_until

    class Late:
        delete = store.delete
        list = store.list
        read = store.read
        size = store.size

        def put(self, key: str, path, sha256: str) -> None:
            if other_put_it:
                store.put(key, path, sha256)
            raise Conflict("store.conflict", "another node has put it", "try again")

    with capture_logs() as logs:
        assert destroy_with(house, Late()) == erased
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == ["store.conflict"] * (
        1 - erased
    )
    assert (queries.recording(house.tenant, row.id).erased_at is not None) is other_put_it
    assert destroy_due(house) == 1 - erased
    assert house.objects() == remains(house, row)


def test_a_suspension_is_reported_while_something_is_due(house) -> None:
    row, since = queries.recording(house.tenant, put_small(house)), house.clock()
    hold_review.suspend_expiry("restore", since, house.entropy)
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    assert logs == [], "nothing waits yet"
    house.clock.at = row.keep_until
    with capture_logs() as logs:
        assert destroy_due(house) == 0
    (line,) = logs
    assert (line["event"], line["recording"]) == ("retention.suspended", row.id)
    assert line["since"] == to_iso(since)
    assert held_refusal(house, row.id).startswith("retention.holds_unconfirmed")
    assert house.confirm_holds()
    with capture_logs() as logs:
        assert destroy_due(house) == 1
    assert [line["event"] for line in logs] == ["retention.recovered", "recording.erased"]


def test_keeps_a_quarantined_take_whose_start_is_unreadable(house) -> None:
    folder = house.take()
    (folder / layout.AUDIO).write_bytes(b"RIFF")
    stages.step(folder, house.clock(), house.services)
    aside = house.spool / layout.QUARANTINE / folder.name
    with writing():
        ErasedCallTable.create(
            id=folder.name, tenant_id=house.tenant, request_id="r", erased_at=house.clock(), note="n"
        )
    (aside / "call.json").write_bytes(b"{}")
    assert expiry.empty_quarantine(house.services, house.clock()) == 0
    assert aside.exists()
