"""A rebuild that reads in other processes restores the same, and says what went wrong there."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recorder.catalogue import database
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import utc_now
from recorder.errors import ConfigError, SealError
from recorder.features.recovery import rebuild
from recorder.features.recovery.rebuild import Rebuild
from recorder.seal import signing
from recorder.seal.keyring import Keyring, load_kek, make_secret
from recorder.store.directory import DirectoryStore
from tests.expected_errors import expect_error

from .conftest import catalogued, rows


class WatchedStore(DirectoryStore):
    """Leaves a file for each process that reads from it."""

    def __init__(self, folder: Path, readers: Path) -> None:
        super().__init__(folder)
        self.readers = readers

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        (self.readers / str(os.getpid())).touch()
        return super().read(key, start, end)


class FatalStore(WatchedStore):
    """Ends the process that reads from it, as the kernel does when memory is short."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        os._exit(1)


def make_again(kind: type[WatchedStore], keyring: Keyring | None, url: str, folder: Path) -> Rebuild:
    database.open_catalogue(url)
    keys = folder / "keys"
    return Rebuild(
        kind(folder / "bucket", folder / "readers"),
        keyring or Keyring(load_kek(keys / signing.KEK)),
        signing.load_public(keys / signing.ROOT_PUBLIC),
        utc_now,
        threads=2,
    )


@pytest.fixture
def again(house, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Arguments of a rebuild with two other processes."""
    monkeypatch.setattr(rebuild, "PROCESSES_FROM", 1)
    (house.folder / "readers").mkdir()

    def arguments(kind: type[WatchedStore] = WatchedStore, keyring: Keyring | None = None) -> dict[str, Any]:
        url = f"sqlite:///{house.folder / 'again.db'}"
        return {"processes": 2, "make_again": partial(make_again, kind, keyring, url, house.folder)}

    return arguments


def test_restores_the_same_in_other_processes(house, recovery, recorded, again) -> None:
    recorded()
    house.clock.forward(days=31)
    assert recovery.destroy_due() == 1
    for _ in range(3):
        recorded()
    key = next(key for key in house.objects() if key.endswith("manifest.json"))
    before = catalogued()
    with recovery.empty_catalogue("sqlite"):
        report = recovery.rebuild(**again())
        assert report.outcomes == {"made": 4}
        assert recovery.troubles == []
        assert catalogued() == before
    readers = {path.name for path in (house.folder / "readers").iterdir()}
    assert readers
    assert str(os.getpid()) not in readers
    manifest = house.bucket / key
    manifest.write_bytes(manifest.read_bytes().replace(b'"drift_ms":', b'"drift_ms":1'))
    with recovery.empty_catalogue("sqlite"):
        assert recovery.rebuild(**again()).outcomes == {"unchanged": 3, "skipped": 1}
        assert [code for code, _ in recovery.troubles] == ["seal.signature"]


@pytest.mark.long
def test_an_error_of_another_process_ends_the_rebuild(recovery, recorded, again) -> None:
    for _ in range(2):
        recorded()
    with recovery.empty_catalogue("sqlite"):
        with expect_error(SealError, "seal.kek_missing"):
            recovery.rebuild(**again(keyring=Keyring(make_secret(bytes(32)))))
        with expect_error(ConfigError, "rebuild.reader_died"):
            recovery.rebuild(**again(FatalStore))
        assert rows(RecordingTable) == []
        assert recovery.rebuild(**again()).outcomes == {"made": 2}
