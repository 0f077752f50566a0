"""Key rotation is killed at each boundary. Started again it has the same result: one key-encryption key wraps
every customer's key, one key of the customer wraps every recording's, everything opens, and no sound has
changed."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.lifecycle import expiry
from recorder.lifecycle.expired_recording import check_expired
from recorder.lifecycle.key_rotation import KeyRotation, rotation_status
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import kek_files
from recorder.seal.keyring import WrappedKey, data_key_path, load_kek, next_tenant_key_path
from recorder.seal.verification import verify
from tests.stored_recordings import put_small
from tests.waiting import until

from .conftest import step

BOUNDARIES = (
    "tenant key put",
    "tenant key catalogued",
    "older key put",
    "kept by its id",
    "data key put",
    "data key catalogued",
    "next key deleted",
    "kek kept",
    "kek promoted",
)


def rotate(house, *boundaries: str, days: int = 0) -> list[int]:
    """Run a key rotation for each boundary at which its process kills itself. Returns the exit statuses."""
    return step(house, "rotate", *boundaries, days=days)


def begin(house) -> tuple[str, str]:
    """Prepare another key-encryption key and another key of the customer. Returns their ids."""
    keys = house.folder / "keys"
    house.services = replace(house.services, keyring=kek_files.keyring(keys))  # of a running worker
    kek = kek_files.make_next(keys)
    rotation = KeyRotation(house.services.store, kek_files.keyring(keys), house.clock, house.entropy, "begin")
    return kek.id, rotation.begin(house.tenant)


def sounds(house) -> dict[str, tuple[int, int]]:
    """Every object except wrapped keys: its inode, and its time of modification."""
    return {
        key: ((found := (house.bucket / key).stat()).st_ino, found.st_mtime_ns)
        for key in house.objects()
        if not key.startswith("keys/")
    }


def assert_changed(house, kek: str, tenant_key: str, recordings: list[str]) -> None:
    keys, store = house.folder / "keys", house.services.store
    assert load_kek(keys / "kek").id == kek
    assert not (keys / kek_files.NEXT).exists()
    found = rotation_status(store)
    assert set(found.by_kek) == {kek}, "in catalogue and bucket"
    assert (found.rows, found.objects, found.unfinished) == (0, 0, ())
    mine = WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(house.tenant).encode())
    assert mine.key_id == tenant_key
    assert next_tenant_key_path(house.tenant) not in house.objects()
    fresh = kek_files.Keyring(load_kek(keys / "kek"))  # a machine with only the new key
    seals = RecordingVerifier(store, fresh, house.services.root)
    for recording in recordings:
        row = queries.recording(house.tenant, recording)
        assert store.read(data_key_path(house.tenant, recording)) == row.wrapped_key.encode()
        seals.open(row, house.clock())
        assert verify(store, row.prefix, house.services.root, fresh).findings == []
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select()]
    assert kinds.count("tenant.key_changed") == kinds.count("tenant.key_wrapped") == 1


def test_killed_at_every_boundary_it_finishes_once(house) -> None:
    recordings = [put_small(house) for _ in range(3)]
    before = sounds(house)
    kek, tenant_key = begin(house)
    ended = rotate(house, *BOUNDARIES, "-", "-")
    assert ended[: len(BOUNDARIES)].count(-signal.SIGKILL) >= len(BOUNDARIES) - 1
    assert ended[-2:] == [0, 0]
    assert sounds(house) == before, "no sound has changed"
    assert_changed(house, kek, tenant_key, recordings)


@pytest.mark.long
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_any_boundary_everything_opens(house, boundary) -> None:
    recordings = [put_small(house) for _ in range(2)]
    before = sounds(house)
    kek, tenant_key = begin(house)
    assert rotate(house, boundary) == [-signal.SIGKILL]
    both = kek_files.keyring(house.folder / "keys")
    late = put_small(house)  # the worker continues meanwhile
    for recording in (*recordings, late):
        row = queries.recording(house.tenant, recording)
        RecordingVerifier(house.services.store, both, house.services.root).open(row, house.clock())
        assert verify(house.services.store, row.prefix, house.services.root, both).findings == []
    assert rotate(house, "-", days=1) == [0]
    assert {key: sounds(house)[key] for key in before} == before
    assert_changed(house, kek, tenant_key, [*recordings, late])


@pytest.mark.long
def test_stores_calls_during_a_rotation(house, workers, clock) -> None:
    """Workers of two nodes, which started with only the old key-encryption key, continue throughout."""
    other = house.folder / "other" / "spool"
    other.mkdir(parents=True)
    processes = [workers.start(), workers.start(node="other")]
    for process in processes:
        until(
            "a worker at work", lambda sentence=process.log_path: b"worker.started" in sentence.read_bytes()
        )
    kek, tenant_key = begin(house)
    folders = []
    for turn, some in enumerate((BOUNDARIES[:3], BOUNDARIES[3:6], BOUNDARIES[6:], ("-",))):
        with pytest.MonkeyPatch.context() as patch:
            if turn % 2:
                patch.setattr(type(house), "spool", property(lambda _house: other))
            folders.append(house.take(talk_ms=300))
        clock.forward(seconds=1)
        rotate(house, *some, days=10 * turn)
    mine = {folder.name for folder in folders}
    until("an empty spool there", lambda: not mine & {path.name for path in other.iterdir()})
    until("an empty spool here", lambda: not workers.left())
    for process in processes:
        process.stop()
    clock.at = datetime.now(UTC)
    for folder in folders:
        workers.assert_stored_once(folder.name)
    assert rotate(house, "-", days=60) == [0], "sealed before and stored afterwards"
    assert_changed(house, kek, tenant_key, [folder.name for folder in folders])


def test_erased_recording_stays_erased(house) -> None:
    """The recording is erased after its key was wrapped again in the bucket, and before it is in the row."""
    recording = put_small(house)
    begin(house)
    means, row = house.services, queries.recording(house.tenant, recording)
    services = means
    later = house.clock() + timedelta(days=400)

    def boundary(name: str) -> None:
        if name == "data key put":
            expired = check_expired(row, means.store, means.trust, later)
            expiry.destroy(expired, services, later)

    keys = kek_files.rotation_keyring(house.folder / "keys")
    rotation = KeyRotation(means.store, keys, house.clock, house.entropy, "me", boundary)
    assert rotation.all() == (0, 1)
    assert data_key_path(house.tenant, recording) not in house.objects()
    left = queries.recording(house.tenant, recording)
    assert (left.erasure_reason, left.wrapped_key) == ("expired", None)


def test_deletes_a_key_stored_too_late(house) -> None:
    """The erasure has checked the bucket already when the key is stored: the row shows it."""
    recording = put_small(house)
    begin(house)
    means, row = house.services, queries.recording(house.tenant, recording)
    services = means
    later = house.clock() + timedelta(days=400)

    class LateStore:
        """A store in which a recording is erased right before its key is stored again."""

        def __getattr__(self, name: str) -> object:
            return getattr(means.store, name)

        def replace(self, key: str, path: Path, sha256: str) -> None:
            if recording in key:
                expired = check_expired(row, means.store, means.trust, later)
                expiry.destroy(expired, services, later)
            means.store.replace(key, path, sha256)

    rotation = KeyRotation(
        LateStore(), kek_files.rotation_keyring(house.folder / "keys"), house.clock, house.entropy, "me"
    )
    assert rotation.all() == (0, 1)
    assert data_key_path(house.tenant, recording) not in house.objects()
