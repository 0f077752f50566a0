"""Several workers with one catalogue share their duties by leases."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.lease import LeaseTable
from recorder.lifecycle import expiry
from recorder.services import Services
from recorder.store.contract import Unreachable

pytestmark = pytest.mark.postgresql

WORKERS = 3
DUE = 6


class SlowStore:
    """A store that counts deletions, and pauses so that others compete."""

    def __init__(self, store) -> None:
        self.store = store
        self.deleted: Counter[str] = Counter()
        self.away = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def delete(self, key: str) -> None:
        if self.away:
            raise Unreachable("store.unreachable", "nobody there", "try again")
        with self._lock:
            self.deleted[key] += 1
        threading.Event().wait(0.01)
        self.store.delete(key)


@pytest.fixture
def due(house) -> list[str]:
    """Expired recordings."""
    folders = []
    for _ in range(DUE):
        folders.append(house.take(talk_ms=500, formats=("wav",)))
        house.clock.forward(seconds=1)
    for folder in folders:
        house.work(folder)
    house.clock.forward(days=31)
    return [folder.name for folder in folders]


def means(house, store) -> Services:
    services = house.services
    return replace(services, store=store)


def test_one_worker_erases_each_recording(house, due) -> None:
    store = SlowStore(house.services.store)
    together = threading.Barrier(WORKERS)

    def work(_: int) -> int:
        together.wait(30)
        return expiry.destroy_due(means(house, store), house.clock())

    with ThreadPoolExecutor(WORKERS) as pool:
        counts = list(pool.map(work, range(WORKERS)))
    assert sum(counts) == DUE
    assert set(store.deleted.values()) == {1}
    assert len([key for key in store.deleted if key.startswith("keys/")]) == DUE
    with connected():
        kinds = Counter(leaf.kind for leaf in LeafTable.select())
        assert kinds["recording.erased"] == DUE
        assert LeaseTable.select().count() == 0


def test_respects_the_lease_of_another_worker(house, due) -> None:
    assert lease.take(f"recording:{due[0]}", "another worker", house.clock())
    assert expiry.destroy_due(means(house, house.services.store), house.clock()) == DUE - 1
    assert queries.recording(house.tenant, due[0]).erased_at is None
    house.clock.forward(seconds=lease.DURATION.total_seconds())
    assert expiry.destroy_due(means(house, house.services.store), house.clock()) == 1
    with connected():
        assert LeaseTable.select().count() == 0


def test_returns_the_lease_after_a_failure(house, due) -> None:
    store = SlowStore(house.services.store)
    store.away = True
    with pytest.raises(Unreachable):
        expiry.destroy_due(means(house, store), house.clock())
    with connected():
        assert LeaseTable.select().count() == 0
    store.away = False
    assert expiry.destroy_due(means(house, store), house.clock()) == DUE
