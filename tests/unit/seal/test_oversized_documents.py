"""What somebody puts in a document's place may be of any size: no more is read than a document can have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from recorder.catalogue import queries
from recorder.errors import SealError
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import amendment_chain as chains
from recorder.seal.amendment import MAX_BYTES as AMENDMENT_MAX
from recorder.seal.keyring import WrappedKey, data_key_path
from recorder.seal.manifest import MAX_BYTES
from recorder.seal.sealing import NAME
from recorder.seal.verification import verify
from recorder.store.contract import Store


class Huge:
    """A bucket in which some objects are a gigabyte long; ``read_in_all`` is how
    much of those was asked for."""

    def __init__(self, store: Store, huge: frozenset[str]) -> None:
        self._store = store
        self._huge = huge
        self.read_in_all = 0

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if key not in self._huge:
            return self._store.read(key, start, end)
        length = (1 << 30) - start if end is None else end - start
        self.read_in_all += length
        return b"[" * min(length, 1024)  # the test's own memory is spared; what was asked for counts

    def size(self, key: str) -> int:
        return 1 << 30 if key in self._huge else self._store.size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        there = {*self._store.list(prefix), *(key for key in self._huge if key.startswith(prefix))}
        return iter(sorted(key for key in there if key > after))

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture
def row(house):
    """A recording's."""
    folder = house.take()
    house.work(folder)
    found = queries.recording(house.tenant, folder.name)
    assert found is not None
    return found


def rebuild_report(house, store: Huge) -> list[tuple[str, str]]:
    means = house.services
    Rebuild(store, means.keyring, means.root, house.clock, house.entropy).run()
    return [(each.code, each.place) for each in rebuild_queue.problems()]


def test_oversized_manifest_is_refused(house, row) -> None:
    store = Huge(house.services.store, frozenset({row.prefix + NAME}))
    root = house.services.root
    for look in (
        lambda: chain_of(store, row.prefix, root),
        lambda: RecordingVerifier(store, house.services.keyring, root).open(row, house.clock()),
    ):
        with pytest.raises(SealError):
            look()
    assert [each.check for each in verify(store, row.prefix, root).findings] == [2]
    assert [place for _, place in rebuild_report(house, store)] == [row.prefix]
    assert 0 < store.read_in_all <= 4 * (MAX_BYTES + 1)


def test_oversized_wrapped_key_is_refused(house, row) -> None:
    store = Huge(house.services.store, frozenset({data_key_path(row.tenant, row.id)}))
    report = verify(store, row.prefix, house.services.root, house.services.keyring)
    assert 9 in [each.check for each in report.findings]
    assert rebuild_report(house, store)
    assert 0 < store.read_in_all <= 2 * (WrappedKey.MAX_BYTES + 1)


def test_oversized_amendments_are_refused(house, row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "ALL_MAX_BYTES", 4 * AMENDMENT_MAX)
    many = frozenset(f"{row.prefix}amendment-{number:04}.json" for number in range(1, 101))
    store = Huge(house.services.store, many)
    real = Huge.read

    def whole(self: Huge, key: str, start: int = 0, end: int | None = None) -> bytes:
        before = self.read_in_all
        found = real(self, key, start, end)
        length = min(self.read_in_all - before, AMENDMENT_MAX + 1)
        return b"[" * length if length else found

    monkeypatch.setattr(Huge, "read", whole)
    chain = chain_of(store, row.prefix, house.services.root)
    assert chain.problems
    with pytest.raises(SealError):
        chain.check()
    assert store.read_in_all <= 5 * AMENDMENT_MAX + 100


def test_chain_within_the_limit_is_read(house, row) -> None:
    """Nothing of what belongs there is cut off."""
    house.clock.forward(days=31)
    means = house.services
    assert expiry.destroy_due(means, house.clock()) == 1
    chain = chain_of(house.services.store, row.prefix, house.services.root)
    assert (chain.problems, chain.erased is not None) == ((), True)
    assert chain.manifest_sha256 == hashlib.sha256(house.services.store.read(row.prefix + NAME)).hexdigest()
