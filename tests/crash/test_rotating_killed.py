"""Changing keys is killed at each boundary.  Started again it ends the same: one key-encryption key wraps
every customer's key, one key of the customer wraps every recording's, everything opens, and no sound was
touched."""

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
from recorder.lifecycle.key_rotation import Rewrapping, standing
from recorder.playback.verified_recording import Seals
from recorder.seal import kek_files
from recorder.seal.keyring import WrappedKey, data_key_path, load_kek, next_tenant_key_path
from recorder.seal.verification import verify
from tests.stored import put_small

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
    """How a process ended that changes keys, for each boundary that it kills itself at."""
    return step(house, "rotate", *boundaries, days=days)


def begin(house) -> tuple[str, str]:
    """Another key-encryption key and another key of the customer are to come; their ids."""
    keys = house.folder / "keys"
    house.means = replace(
        house.means, keyring=kek_files.keyring(keys)
    )  # of a worker that has started already
    kek = kek_files.make_next(keys)
    made = Rewrapping(house.means.store, kek_files.keyring(keys), house.clock, house.entropy, "begin")
    return kek.id, made.begin(house.tenant)


def sounds(house) -> dict[str, tuple[int, int]]:
    """Every object but the wrapped keys: which file, and when it was last written to."""
    return {
        key: ((found := (house.bucket / key).stat()).st_ino, found.st_mtime_ns)
        for key in house.objects()
        if not key.startswith("keys/")
    }


def assert_changed(house, kek: str, tenant_key: str, recordings: list[str]) -> None:
    keys, store = house.folder / "keys", house.means.store
    assert load_kek(keys / "kek").id == kek
    assert not (keys / kek_files.NEXT).exists()
    found = standing(store)
    assert set(found.by_kek) == {kek}, "in catalogue and bucket"
    assert (found.rows, found.objects, found.unfinished) == (0, 0, ())
    mine = WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(house.tenant).encode())
    assert mine.key_id == tenant_key
    assert next_tenant_key_path(house.tenant) not in house.objects()
    fresh = kek_files.Keyring(load_kek(keys / "kek"))  # a machine that has nothing but the new one
    seals = Seals(store, fresh, house.means.root)
    for recording in recordings:
        row = queries.recording(house.tenant, recording)
        assert store.read(data_key_path(house.tenant, recording)) == row.wrapped_key.encode()
        seals.open(row, house.clock())
        assert verify(store, row.prefix, house.means.root, fresh).findings == []
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select()]
    assert kinds.count("tenant.key_changed") == kinds.count("tenant.key_wrapped") == 1


def test_killed_at_every_boundary_one_after_another_it_ends_once(house) -> None:
    recordings = [put_small(house) for _ in range(3)]
    before = sounds(house)
    kek, tenant_key = begin(house)
    ended = rotate(house, *BOUNDARIES, "-", "-")
    assert ended[: len(BOUNDARIES)].count(-signal.SIGKILL) >= len(BOUNDARIES) - 1
    assert ended[-2:] == [0, 0]
    assert sounds(house) == before, "no sound was touched"
    assert_changed(house, kek, tenant_key, recordings)


@pytest.mark.long
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whatever_boundary_it_dies_at_everything_opens_and_it_is_finished(house, boundary) -> None:
    recordings = [put_small(house) for _ in range(2)]
    before = sounds(house)
    kek, tenant_key = begin(house)
    assert rotate(house, boundary) == [-signal.SIGKILL]
    both = kek_files.keyring(house.folder / "keys")
    late = put_small(house)  # the worker goes on meanwhile
    for recording in (*recordings, late):
        row = queries.recording(house.tenant, recording)
        Seals(house.means.store, both, house.means.root).open(row, house.clock())
        assert verify(house.means.store, row.prefix, house.means.root, both).findings == []
    assert rotate(house, "-", days=1) == [0]
    assert {key: sounds(house)[key] for key in before} == before
    assert_changed(house, kek, tenant_key, [*recordings, late])


@pytest.mark.long
def test_calls_are_stored_meanwhile(house, workers, clock) -> None:
    """Workers of two nodes, with only the old key-encryption key at their start, go on through all of it."""
    other = house.folder / "other" / "spool"
    other.mkdir(parents=True)
    processes = [workers.start(), workers.start(node="other")]
    for process in processes:
        workers.until(lambda said=process.said: b"worker.started" in said.read_bytes(), "a worker at work")
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
    workers.until(lambda: not mine & {path.name for path in other.iterdir()}, "an empty spool there")
    workers.until(lambda: not workers.left(), "an empty spool here")
    for process in processes:
        process.stop()
    clock.at = datetime.now(UTC)
    for folder in folders:
        workers.assert_stored_once(folder.name)
    assert rotate(house, "-", days=60) == [0], "what was sealed before and stored after"
    assert_changed(house, kek, tenant_key, [folder.name for folder in folders])


def test_what_is_destroyed_meanwhile_does_not_come_back(house) -> None:
    """The recording is destroyed between the key's new wrapping in the bucket and in the row."""
    recording = put_small(house)
    begin(house)
    means, row = house.means, queries.recording(house.tenant, recording)
    destroying = means
    later = house.clock() + timedelta(days=400)

    def boundary(name: str) -> None:
        if name == "data key put":
            chain = expiry.check_over(row, means.store, means.root, later)
            expiry.destroy(row, chain, "expired", destroying, later)

    keys = kek_files.rotation_keyring(house.folder / "keys")
    made = Rewrapping(means.store, keys, house.clock, house.entropy, "me", boundary)
    assert made.all() == (0, 1)
    assert data_key_path(house.tenant, recording) not in house.objects()
    left = queries.recording(house.tenant, recording)
    assert (left.erasure_reason, left.wrapped_key) == ("expired", None)


def test_the_key_put_after_it_was_looked_goes_again(house) -> None:
    """Whoever destroys has looked already when the key is put: the row tells."""
    recording = put_small(house)
    begin(house)
    means, row = house.means, queries.recording(house.tenant, recording)
    destroying = means
    later = house.clock() + timedelta(days=400)

    class Late:
        """The store, in which a recording is destroyed right before its key is put anew."""

        def __getattr__(self, name: str) -> object:
            return getattr(means.store, name)

        def replace(self, key: str, path: Path, sha256: str) -> None:
            if recording in key:
                chain = expiry.check_over(row, means.store, means.root, later)
                expiry.destroy(row, chain, "expired", destroying, later)
            means.store.replace(key, path, sha256)

    made = Rewrapping(
        Late(), kek_files.rotation_keyring(house.folder / "keys"), house.clock, house.entropy, "me"
    )
    assert made.all() == (0, 1)
    assert data_key_path(house.tenant, recording) not in house.objects()
