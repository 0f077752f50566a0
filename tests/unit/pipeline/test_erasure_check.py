"""A node that returns with a recording that has expired meanwhile stores nothing of it again."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import from_iso, to_iso
from recorder.errors import CatalogueError, SealError, StoreError
from recorder.features.recovery.rebuild import Rebuild
from recorder.lifecycle import expiry
from recorder.pipeline import stages
from recorder.seal.keyring import data_key_path, tenant_key_path
from recorder.seal.verification import verify
from recorder.services import Services
from recorder.spool import layout
from recorder.store.contract import Conflict, Unreachable
from tests.expected_errors import expect_error


class Crash(BaseException):
    """Stands for SIGKILL."""


class InterruptedStore:
    """A store that calls a function after its ``nth`` operation of a kind."""

    def __init__(self, store, operation: str, nth: int, happens: Callable[[], object]) -> None:
        self.store = store
        self.question_ids: list[str] = []
        self._operation, self._nth, self._happens = operation, nth, happens

    def __getattr__(self, name: str):
        found = getattr(self.store, name)
        if name not in ("put", "size", "list", "read", "delete"):
            return found

        def call_method(*args):
            self.question_ids.append(f"{name} {args[0]}")
            try:
                return found(*args)
            finally:
                if name == self._operation:
                    self._nth -= 1
                    if self._nth == 0:
                        self._happens()

        return call_method


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spool's disk is too full to write ``stored.json``."""
    real = stages.write_file

    def write(path: Path, content: bytes) -> None:
        if path.name == layout.STORED:
            raise OSError(errno.ENOSPC, "no room")
        real(path, content)

    monkeypatch.setattr(stages, "write_file", write)


def kill_at(house, folder: Path, boundary: str) -> None:
    """Process a take up to a boundary, and crash there."""

    def fail_at_point(name: str) -> None:
        if name == boundary:
            raise Crash

    real = house.services
    house.services = replace(real, boundary=fail_at_point)
    with pytest.raises(Crash):
        house.work(folder)
    house.services = real


def rebuild(house) -> None:
    services = house.services
    Rebuild(services.store, services.keyring, services.root, house.clock, services.entropy, 1).run()
    house.confirm_holds()


def means(house, **changes) -> Services:
    services = house.services
    return replace(services, **changes)


def destroy(house, **changes) -> None:
    """Another node's duties, 31 days after the call."""
    assert expiry.destroy_due(means(house, **changes), house.clock()) == 1


def stored_and_listed(house, talk_ms: int = 300) -> tuple[Path, Path]:
    """A listed recording, and copies of its take's folder from before sealing and at the stage ``store``."""
    folder = house.take(talk_ms=talk_ms)
    stages.step(folder, house.clock(), house.services)
    unsealed = Path(shutil.copytree(folder, house.folder / "unsealed" / folder.name))
    stages.step(folder, house.clock(), house.services)
    sealed = Path(shutil.copytree(folder, house.folder / "sealed" / folder.name))
    house.work(folder)
    return unsealed, sealed


def of_another_day(copy: Path) -> Path:
    """Seal the take with a corrected clock: the call began the evening before."""
    body = json.loads((copy / layout.CALL).read_bytes())
    body["started_at"] = to_iso(from_iso(body["started_at"]) - timedelta(hours=10))
    (copy / layout.CALL).write_text(json.dumps(body))
    return copy


def back(house, copy: Path) -> Path:
    """Replace the spool by an older copy."""
    return Path(shutil.copytree(copy, house.spool / copy.name))


def assert_gone(house, recording: str, folder: Path) -> None:
    """Check that only the manifest and the tombstone are left of a recording."""
    row = queries.recording(house.tenant, recording)
    assert house.objects() == sorted(
        [tenant_key_path(house.tenant), row.prefix + "amendment-0001.json", row.prefix + "manifest.json"]
    )
    assert (row.wrapped_key, row.erasure_reason) == (None, "expired")
    assert verify(house.services.store, row.prefix, house.services.root).findings == []
    assert not folder.exists()


def work_saying(house, folder: Path) -> list[str]:
    with capture_logs() as logs:
        house.work(folder)
    return [each["event"] for each in logs if each["log_level"] in ("warning", "error")]


def test_node_that_crashed_after_listing(house, no_room) -> None:
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "catalogued")
    assert stages.next_stage(folder) == "store"
    house.clock.forward(days=31)
    destroy(house)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert_gone(house, folder.name, folder)


def test_node_that_crashed_before_another_node_listed(house) -> None:
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "put manifest.json")
    rebuild(house)
    house.clock.forward(days=31)
    destroy(house)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert_gone(house, folder.name, folder)


@pytest.mark.parametrize("before", ["sealing", "sealing, and of another day", "storing"])
def test_older_copy_of_the_spool(house, before) -> None:
    unsealed, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    destroy(house)
    folder = back(house, sealed if before == "storing" else unsealed)
    if before.endswith("another day"):
        of_another_day(folder)
    store = InterruptedStore(house.services.store, "put", 0, lambda: None)
    house.services = replace(house.services, store=store)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert not [each for each in store.question_ids if each.startswith("put")]
    assert_gone(house, folder.name, folder)


def test_catalogue_without_the_row_restores_nothing(house) -> None:
    """Such as a catalogue restored from an earlier backup."""
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    with writing():
        before = RecordingTable.get(RecordingTable.id == sealed.name).__data__
    destroy(house)
    with writing():
        RecordingTable.update(before).where(RecordingTable.id == sealed.name).execute()
    folder = back(house, sealed)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert data_key_path(house.tenant, folder.name) not in house.objects()


def test_bucket_without_the_tombstone_restores_nothing(house) -> None:
    _, sealed = stored_and_listed(house)
    prefix = queries.recording(house.tenant, sealed.name).prefix
    house.clock.forward(days=31)
    destroy(house)
    for name in ("amendment-0001.json", "manifest.json"):
        house.services.store.delete(prefix + name)
    folder = back(house, sealed)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert house.objects() == [tenant_key_path(house.tenant)]
    assert not folder.exists()


def test_changed_row_deletes_no_take(house, no_room) -> None:
    """A row that says erased, before the sealed expiry and without a tombstone, is not trusted."""
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "catalogued")
    with writing():
        RecordingTable.update(erased_at=house.clock(), erasure_reason="expired").execute()
    there = house.objects()
    with expect_error(CatalogueError, "row.erased"):
        house.work(folder)
    assert folder.exists()
    assert house.objects() == there


def test_changed_tombstone_stores_nothing(house) -> None:
    """It may be a tombstone: the take waits, and nothing is stored."""
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    destroy(house)
    (tombstone,) = house.bucket.rglob("amendment-0001.json")
    tombstone.write_bytes(tombstone.read_bytes().replace(b"expired", b"expirex"))
    folder = back(house, sealed)
    there = house.objects()
    with pytest.raises(SealError):
        house.work(folder)
    assert folder.exists()
    assert house.objects() == there


@pytest.mark.parametrize(
    ("before", "nth"),
    [
        ("sealing", 1),
        ("sealing", 2),
        ("sealing, and of another day", 1),
        *(("storing", nth) for nth in range(1, 7)),
    ],
)
def test_erasure_between_two_uploads(house, before, nth) -> None:
    """The first upload is that of the customer's key. The next ones find only the manifest of the recording,
    which differs if the take was sealed again."""
    unsealed, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    folder = back(house, sealed if before == "storing" else unsealed)
    if before.endswith("another day"):
        of_another_day(folder)
    real = house.services
    erased: list[str] = []

    def another_node() -> None:
        destroy(house.replaced(services=real))
        erased.append(folder.name)

    house.services = replace(real, store=InterruptedStore(real.store, "put", nth, another_node))
    assert work_saying(house, folder)[-1:] == ["take.already_erased"]
    house.services = real
    assert erased
    assert_gone(house, folder.name, folder)


@pytest.mark.parametrize("at", ["key deleted", "key forgotten", "looked", "buried"])
def test_upload_during_an_erasure(house, at) -> None:
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    folder = back(house, sealed)

    def meanwhile(boundary: str) -> None:
        if boundary == at:
            with suppress(CatalogueError):
                house.work(folder)

    for _ in range(2):  # if the erasure saw a new object, it is due again
        expiry.destroy_due(means(house, boundary=meanwhile), house.clock())
    if folder.exists():
        house.work(folder)
    assert_gone(house, folder.name, folder)


def test_unavailable_store_keeps_the_take(house) -> None:
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    destroy(house)
    folder = back(house, sealed)
    real = house.services

    def away() -> None:
        raise Unreachable("store.unreachable", "nobody there", "try again")

    for operation in ("read", "delete"):
        house.services = replace(real, store=InterruptedStore(real.store, operation, 1, away))
        with pytest.raises(StoreError):
            house.work(folder)
        assert stages.next_stage(folder) == "store"
    house.services = real
    house.work(folder)
    assert_gone(house, folder.name, folder)


def test_older_copy_of_a_kept_recording_waits(house) -> None:
    """The take was sealed again and differs from the stored recording: only a person can decide."""
    unsealed, _ = stored_and_listed(house)
    there = house.objects()
    folder = back(house, unsealed)
    with pytest.raises(Conflict):
        house.work(folder)
    assert folder.exists()
    assert house.objects() == there


def test_a_take_costs_a_request_before_it_is_stored_and_one_before_it_goes(house) -> None:
    store = InterruptedStore(house.services.store, "put", 0, lambda: None)
    house.services = replace(house.services, store=store)
    folder = house.take(talk_ms=300)
    house.work(folder)
    prefix = queries.recording(house.tenant, folder.name).prefix
    assert [each for each in store.question_ids if not each.startswith("put ")] == [
        f"read {prefix}amendment-0001.json", f"read {prefix}manifest.json",
    ]  # fmt: skip
