"""A node that comes back with a recording that had its day meanwhile brings nothing of it back."""

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


class Killed(BaseException):
    """In place of SIGKILL."""


class Between:
    """A store where something happens after its ``nth`` operation of a kind."""

    def __init__(self, store, operation: str, nth: int, happens: Callable[[], object]) -> None:
        self.store = store
        self.asked: list[str] = []
        self._operation, self._nth, self._happens = operation, nth, happens

    def __getattr__(self, name: str):
        found = getattr(self.store, name)
        if name not in ("put", "size", "list", "read", "delete"):
            return found

        def asked(*args):
            self.asked.append(f"{name} {args[0]}")
            try:
                return found(*args)
            finally:
                if name == self._operation:
                    self._nth -= 1
                    if self._nth == 0:
                        self._happens()

        return asked


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room on the spool's disk to write down that a take is stored."""
    real = stages.write_file

    def write(path: Path, content: bytes) -> None:
        if path.name == stages.STORED:
            raise OSError(errno.ENOSPC, "no room")
        real(path, content)

    monkeypatch.setattr(stages, "write_file", write)


def kill_at(house, folder: Path, boundary: str) -> None:
    """Work off a take until a boundary, and die there."""

    def reached(name: str) -> None:
        if name == boundary:
            raise Killed

    real = house.means
    house.means = replace(real, boundary=reached)
    with pytest.raises(Killed):
        house.work(folder)
    house.means = real


def rebuild(house) -> None:
    given = house.means
    Rebuild(given.store, given.keyring, given.root, house.clock, given.entropy, 1).run()
    house.confirm_holds()


def means(house, **changes) -> Services:
    given = house.means
    return replace(given, **changes)


def destroy(house, **changes) -> None:
    """Another node's housekeeping, 31 days after the call."""
    assert expiry.destroy_due(means(house, **changes), house.clock()) == 1


def stored_and_listed(house, talk_ms: int = 300) -> tuple[Path, Path]:
    """A recording that is listed; its take's folder as it was before sealing, and at the ``store`` stage."""
    folder = house.take(talk_ms=talk_ms)
    stages.step(folder, house.clock(), house.means)
    unsealed = Path(shutil.copytree(folder, house.folder / "unsealed" / folder.name))
    stages.step(folder, house.clock(), house.means)
    sealed = Path(shutil.copytree(folder, house.folder / "sealed" / folder.name))
    house.work(folder)
    return unsealed, sealed


def of_another_day(copy: Path) -> Path:
    """As a take is sealed whose clock was put right: it began the evening before."""
    body = json.loads((copy / layout.CALL).read_bytes())
    body["started_at"] = to_iso(from_iso(body["started_at"]) - timedelta(hours=10))
    (copy / layout.CALL).write_text(json.dumps(body))
    return copy


def back(house, copy: Path) -> Path:
    """A spool that is an older copy."""
    return Path(shutil.copytree(copy, house.spool / copy.name))


def assert_gone(house, recording: str, folder: Path) -> None:
    """Nothing is left of a recording but its manifest and its tombstone."""
    row = queries.recording(house.tenant, recording)
    assert house.objects() == sorted(
        [tenant_key_path(house.tenant), row.prefix + "amendment-0001.json", row.prefix + "manifest.json"]
    )
    assert (row.wrapped_key, row.erasure_reason) == (None, "expired")
    assert verify(house.means.store, row.prefix, house.means.root).findings == []
    assert not folder.exists()


def work_saying(house, folder: Path) -> list[str]:
    with capture_logs() as logs:
        house.work(folder)
    return [each["event"] for each in logs if each["log_level"] in ("warning", "error")]


def test_a_node_that_died_after_listing_without_room_to_say_so(house, no_room) -> None:
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "catalogued")
    assert stages.next_stage(folder) == "store"
    house.clock.forward(days=31)
    destroy(house)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert_gone(house, folder.name, folder)


def test_a_node_that_died_after_the_manifest_and_another_one_listed_it(house) -> None:
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "put manifest.json")
    rebuild(house)
    house.clock.forward(days=31)
    destroy(house)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert_gone(house, folder.name, folder)


@pytest.mark.parametrize("before", ["sealing", "sealing, and of another day", "storing"])
def test_an_older_copy_of_the_spool(house, before) -> None:
    unsealed, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    destroy(house)
    folder = back(house, sealed if before == "storing" else unsealed)
    if before.endswith("another day"):
        of_another_day(folder)
    store = Between(house.means.store, "put", 0, lambda: None)
    house.means = replace(house.means, store=store)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert not [each for each in store.asked if each.startswith("put")]
    assert_gone(house, folder.name, folder)


def test_a_catalogue_that_does_not_know_of_it_brings_nothing_back(house) -> None:
    """As one does that was restored from a backup made before."""
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


def test_a_bucket_without_the_tombstone_brings_nothing_back(house) -> None:
    _, sealed = stored_and_listed(house)
    prefix = queries.recording(house.tenant, sealed.name).prefix
    house.clock.forward(days=31)
    destroy(house)
    for name in ("amendment-0001.json", "manifest.json"):
        house.means.store.delete(prefix + name)
    folder = back(house, sealed)
    assert work_saying(house, folder) == ["take.already_erased"]
    assert house.objects() == [tenant_key_path(house.tenant)]
    assert not folder.exists()


def test_a_row_that_was_changed_loses_no_take(house, no_room) -> None:
    """What says destroyed, before its sealed day and without a tombstone, is not believed (P3)."""
    folder = house.take(talk_ms=300)
    kill_at(house, folder, "catalogued")
    with writing():
        RecordingTable.update(erased_at=house.clock(), erasure_reason="expired").execute()
    there = house.objects()
    with pytest.raises(CatalogueError) as refused:
        house.work(folder)
    assert refused.value.error_id == "row.erased"
    assert folder.exists()
    assert house.objects() == there


def test_a_tombstone_that_was_changed_lets_nothing_through(house) -> None:
    """It may be one: the take waits, and nothing is put."""
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
def test_it_is_erased_between_two_puts(house, before, nth) -> None:
    """The first is that of the customer's key: what follows finds nothing of the recording but its manifest,
    which is another one where it was sealed again."""
    unsealed, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    folder = back(house, sealed if before == "storing" else unsealed)
    if before.endswith("another day"):
        of_another_day(folder)
    real = house.means
    erased: list[str] = []

    def another_node() -> None:
        destroy(house.replaced(means=real))
        erased.append(folder.name)

    house.means = replace(real, store=Between(real.store, "put", nth, another_node))
    assert work_saying(house, folder)[-1:] == ["take.already_erased"]
    house.means = real
    assert erased
    assert_gone(house, folder.name, folder)


@pytest.mark.parametrize("at", ["key deleted", "key forgotten", "looked", "buried"])
def test_it_is_put_again_in_the_middle_of_being_erased(house, at) -> None:
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    folder = back(house, sealed)

    def meanwhile(boundary: str) -> None:
        if boundary == at:
            with suppress(CatalogueError):
                house.work(folder)

    for _ in range(2):  # where it has seen that something was put, it is due again
        expiry.destroy_due(means(house, boundary=meanwhile), house.clock())
    if folder.exists():
        house.work(folder)
    assert_gone(house, folder.name, folder)


def test_a_store_that_goes_away_in_between_keeps_the_take(house) -> None:
    _, sealed = stored_and_listed(house)
    house.clock.forward(days=31)
    destroy(house)
    folder = back(house, sealed)
    real = house.means

    def away() -> None:
        raise Unreachable("store.unreachable", "nobody there")

    for operation in ("read", "delete"):
        house.means = replace(real, store=Between(real.store, operation, 1, away))
        with pytest.raises(StoreError):
            house.work(folder)
        assert stages.next_stage(folder) == "store"
    house.means = real
    house.work(folder)
    assert_gone(house, folder.name, folder)


def test_an_older_copy_of_what_is_kept_waits(house) -> None:
    """It was sealed again, and is not what is stored: nobody decides that but people."""
    unsealed, _ = stored_and_listed(house)
    there = house.objects()
    folder = back(house, unsealed)
    with pytest.raises(Conflict):
        house.work(folder)
    assert folder.exists()
    assert house.objects() == there


def test_a_recording_costs_one_question_more(house) -> None:
    store = Between(house.means.store, "put", 0, lambda: None)
    house.means = replace(house.means, store=store)
    folder = house.take(talk_ms=300)
    house.work(folder)
    prefix = queries.recording(house.tenant, folder.name).prefix
    assert [each for each in store.asked if not each.startswith("put ")] == [
        f"read {prefix}amendment-0001.json"
    ]
