"""Amendments and tombstones on a real, versioned SeaweedFS: a number is written once, and every version is
deleted."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from recorder.catalogue import queries
from recorder.lifecycle import amendment_store, expiry
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.pipeline import stages
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import EXPIRED, HoldSet
from recorder.seal.keyring import data_key_path
from recorder.seal.verification import verify
from recorder.store.contract import Conflict
from recorder.store.s3 import S3Store
from tests.entropy import RepeatableEntropy


@pytest.fixture
def entropy() -> RepeatableEntropy:
    """The tests share a bucket, so each has its own recordings."""
    return RepeatableEntropy(uuid4().hex)


@pytest.fixture
def stored(house, bucket_store: S3Store) -> tuple[object, object, S3Store]:
    """A recording in the bucket: the installation, its row, and the store."""
    house.services = replace(house.services, store=bucket_store)
    folder = house.take(talk_ms=300)
    house.work(folder)
    return house, queries.recording(house.tenant, folder.name), bucket_store


def versions(store: S3Store, key: str) -> int:
    return len(list(store._versions(key)))


def test_one_of_two_nodes_writes_an_amendment_number(stored) -> None:
    house, row, store = stored
    means = house.services
    nodes = 8
    chains = [amendment_store.chain_of(store, row.prefix, means.root) for _ in range(nodes)]

    def put(number: int) -> str:
        hold = HoldSet(("agreement",), f"0198c0de-0000-7000-8000-{number:012}", "…", house.clock())
        by = By("user", hold.owner)
        try:
            amendment_store.put(store, chains[number], hold, by, means.signer, means.root, house.clock())
        except Conflict:
            return "refused"
        return hold.owner

    with ThreadPoolExecutor(nodes) as pool:
        hold = list(pool.map(put, range(nodes)))
    assert hold.count("refused") == nodes - 1
    chain = amendment_store.chain_of(store, row.prefix, means.root)
    assert chain.problems == ()
    (only,) = chain.amendments
    assert only.by.id in hold
    assert versions(store, row.prefix + "amendment-0001.json") == 1


def test_erasure_deletes_every_version_but_the_tombstone(stored) -> None:
    house, row, store = stored
    for name in ("audio.opus", "peaks"):
        store._put_small(row.prefix + name, b"another version")
    # A version hidden from listings by a deletion marker.
    store._client.delete_object(Bucket=store._bucket, Key=row.prefix + "audio.wav")
    key = data_key_path(house.tenant, row.id)
    assert [versions(store, row.prefix + name) for name in ("audio.opus", "audio.wav", "peaks")] == [2, 2, 2]
    house.clock.forward(days=31)
    means = replace(house.services, store=store)
    assert expiry.destroy_due(means, house.clock()) == 1
    keys = [key, *(row.prefix + name for name in ("audio.opus", "audio.wav", "peaks"))]
    assert [versions(store, each) for each in keys] == [0, 0, 0, 0]
    assert [each.removeprefix(row.prefix) for each in store.list(row.prefix)] == [
        "amendment-0001.json",
        "manifest.json",
    ]
    assert verify(store, row.prefix, house.services.root).findings == []


def test_locked_object_stays_due_without_its_key(stored) -> None:
    house, row, store = stored
    key = row.prefix + "audio.opus"
    (version,) = store._versions(key)
    lock = {"Bucket": store._bucket, "Key": key, "VersionId": version}
    store._client.put_object_legal_hold(**lock, LegalHold={"Status": "ON"})
    house.clock.forward(days=31)
    means = replace(house.services, store=store)
    assert expiry.destroy_due(means, house.clock()) == 0
    left = queries.recording(house.tenant, row.id)
    assert (left.wrapped_key, left.erased_at) == (None, None)
    assert versions(store, data_key_path(house.tenant, row.id)) == 0
    assert not any(name.endswith("amendment-0001.json") for name in store.list(row.prefix)), (
        "it is not deleted yet"
    )
    store._client.put_object_legal_hold(**lock, LegalHold={"Status": "OFF"})
    house.clock.forward(hours=1)
    assert expiry.destroy_due(means, house.clock()) == 1
    assert verify(store, row.prefix, house.services.root).findings == []


def test_two_nodes_write_one_tombstone(stored) -> None:
    """Without leases, as with a wrong clock: the bucket decides."""
    house, row, store = stored
    house.clock.forward(days=31)
    means = replace(house.services, store=store)
    chains = [amendment_store.chain_of(store, row.prefix, means.root) for _ in range(2)]
    for chain in chains:
        expiry.destroy(ExpiredRecording(row, chain, EXPIRED), means, house.clock.forward(seconds=1))
    chain = amendment_store.chain_of(store, row.prefix, means.root)
    assert (len(chain.amendments), chain.problems) == (1, ())
    assert queries.recording(house.tenant, row.id).erased_at == chain.erased.at


@pytest.mark.parametrize("before", ["sealing", "storing"])
@pytest.mark.parametrize("erased", ["long ago", "between the puts"])
def test_returning_node_stores_nothing_again(house, bucket_store: S3Store, before, erased) -> None:
    """Neither if it was erased before the check, nor, after a later erasure, in any version."""
    house.services = means = replace(house.services, store=bucket_store)
    folder = house.take(talk_ms=300)
    copy = house.folder / "older" / folder.name
    for _ in range(1 if before == "sealing" else 2):
        stages.step(folder, house.clock(), means)
    shutil.copytree(folder, copy)
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.forward(days=31)
    there = Path(shutil.copytree(copy, folder))

    def destroy() -> None:
        duty = replace(means, store=bucket_store)
        expiry.destroy_due(duty, house.clock())

    key = data_key_path(house.tenant, row.id)
    if erased == "long ago":
        destroy()
    else:
        while stages.next_stage(there) != "store":
            stages.step(there, house.clock(), means)
        house.services = replace(means, store=_InterruptedStore(bucket_store, destroy))
    house.work(there)
    assert not there.exists()
    keys = [key, *(row.prefix + name for name in ("audio.opus", "audio.wav", "peaks"))]
    assert [versions(bucket_store, each) for each in keys] == [0, 0, 0, 0]
    assert verify(bucket_store, row.prefix, means.root).findings == []
    assert queries.recording(house.tenant, row.id).erasure_reason == "expired"


class _InterruptedStore:
    """A store that calls a function after the first put, which is that of the customer's key."""

    def __init__(self, store: S3Store, happens) -> None:
        self.store, self._happens = store, [happens]

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def put(self, *args) -> None:
        self.store.put(*args)
        while self._happens:
            self._happens.pop()()
