"""Retries: only while the store is unavailable, up to a limit; a list continues where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.store.contract import Abilities, Conflict, NotFound, Store, Unreachable
from recorder.store.directory import DirectoryStore
from recorder.store.retry import with_retries


class FlakyStore:
    """A real directory store that is unavailable for a number of operations."""

    def __init__(self, folder: Path, away: int, give: int = 10**9) -> None:
        self.inner = DirectoryStore(folder)
        self.away = away
        self.give = give
        self.calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise Unreachable("store.unreachable", "away", "try again")

    def put(self, key: str, path: Path, sha256: str, *, locked_until=None) -> None:
        self._fail()
        self.inner.put(key, path, sha256, locked_until=locked_until)

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        self._fail()
        return self.inner.read(key, start, end)

    def size(self, key: str) -> int:
        self._fail()
        return self.inner.size(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Unavailable again after every ``give`` keys."""
        for position, key in enumerate(self.inner.list(prefix, after)):
            if position == self.give and self.away:
                self._fail()
            yield key

    def delete(self, key: str) -> None:
        self._fail()
        self.inner.delete(key)

    def abilities(self) -> Abilities:
        self._fail()
        return self.inner.abilities()


def wrap(store: Store, pauses: list[float], attempts: int = 4) -> Store:
    return with_retries(store, attempts=attempts, sleep=pauses.append, chance=lambda: 0.5, longest_pause=0.5)


def fill(folder: Path, tmp_path: Path, names: str) -> None:
    for name in names:
        path = tmp_path / name
        path.write_bytes(name.encode())
        DirectoryStore(folder).put(f"k/{name}", path, hashlib.sha256(name.encode()).hexdigest())


def test_retries_with_growing_pauses(tmp_path: Path) -> None:
    fill(tmp_path / "store", tmp_path, "a")
    pauses: list[float] = []
    assert wrap(FlakyStore(tmp_path / "store", away=3), pauses).read("k/a") == b"a"
    assert pauses == [0.1, 0.2, 0.25]


def test_gives_up_with_the_last_error(tmp_path: Path) -> None:
    store = FlakyStore(tmp_path / "store", away=99)
    pauses: list[float] = []
    with pytest.raises(Unreachable):
        wrap(store, pauses, attempts=3).delete("k/a")
    assert store.calls == 3
    assert len(pauses) == 2


def test_does_not_retry_other_errors(tmp_path: Path) -> None:
    fill(tmp_path / "store", tmp_path, "a")
    (tmp_path / "other").write_bytes(b"other")
    pauses: list[float] = []
    store = FlakyStore(tmp_path / "store", away=0)
    with pytest.raises(NotFound):
        wrap(store, pauses).size("k/none")
    with pytest.raises(Conflict):
        wrap(store, pauses).put("k/a", tmp_path / "other", hashlib.sha256(b"other").hexdigest())
    assert pauses == []
    assert store.calls == 2


def test_list_continues_after_the_last_key(tmp_path: Path) -> None:
    fill(tmp_path / "store", tmp_path, "abcdef")
    pauses: list[float] = []
    keys = list(wrap(FlakyStore(tmp_path / "store", away=2, give=3), pauses).list("k/"))
    assert keys == [f"k/{name}" for name in "abcdef"]
    assert len(pauses) == 2


def test_list_without_progress_gives_up(tmp_path: Path) -> None:
    fill(tmp_path / "store", tmp_path, "abcdef")
    pauses: list[float] = []
    keys: list[str] = []
    with pytest.raises(Unreachable):
        keys.extend(wrap(FlakyStore(tmp_path / "store", away=99, give=3), pauses, attempts=3).list("k/"))
    assert len(pauses) == 2


def test_each_key_resets_the_attempts(tmp_path: Path) -> None:
    fill(tmp_path / "store", tmp_path, "abcdef")
    pauses: list[float] = []
    store = FlakyStore(tmp_path / "store", away=4, give=1)
    counts = iter(range(1, 99))

    class ProgressingStore:
        """Lists one more key each time before it is unavailable again."""

        def list(self, prefix: str, after: str = "") -> Iterator[str]:
            store.give = next(counts)
            return store.list(prefix, after)

    keys = list(wrap(ProgressingStore(), pauses, attempts=2).list("k/"))  # type: ignore[arg-type]
    assert keys == [f"k/{name}" for name in "abcdef"]
    assert len(pauses) == 4
