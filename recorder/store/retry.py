"""Retries for any store: only while the store is unavailable, with growing, random pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from recorder import metrics
from recorder.errors import StoreError
from recorder.fault_log import FaultLog
from recorder.store.contract import Abilities, Conflict, NotFound, Store, Unreachable

Answer = TypeVar("Answer")


def with_retries(
    store: Store,
    *,
    attempts: int = 4,
    first_pause: float = 0.2,
    longest_pause: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> Store:
    """The store, with each operation tried up to ``attempts`` times while it raises :class:`Unreachable`.

    Pauses (seconds) double from ``first_pause`` to ``longest_pause`` and are multiplied by a random number
    from 0 to 1 ("full jitter"), so that nodes do not return all at once. Operations are idempotent by the
    contract.
    """
    return _RetryingStore(store, attempts, first_pause, longest_pause, sleep, chance)


@dataclass(eq=False, repr=False)
class _RetryingStore:
    store: Store
    attempts: int
    first_pause: float
    longest_pause: float
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    _faults: FaultLog = field(default_factory=FaultLog, init=False)

    def put(self, key: str, path: Path, sha256: str, *, locked_until: datetime | None = None) -> None:
        self._again("put", lambda: self.store.put(key, path, sha256, locked_until=locked_until))
        metrics.STORE_WRITTEN.inc(path.stat().st_size)

    def replace(self, key: str, path: Path, sha256: str) -> None:
        self._again("replace", lambda: self.store.replace(key, path, sha256))
        metrics.STORE_WRITTEN.inc(path.stat().st_size)

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        found = self._again("read", lambda: self.store.read(key, start, end))
        metrics.STORE_READ.inc(len(found))
        return found

    def size(self, key: str) -> int:
        return self._again("size", lambda: self.store.size(key))

    def delete(self, key: str) -> None:
        self._again("delete", lambda: self.store.delete(key))

    def abilities(self) -> Abilities:
        return self._again("abilities", self.store.abilities)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Continues after the last key that was yielded; each key resets the attempts."""
        last, attempt = after, 0
        while True:
            try:
                for key in self.store.list(prefix, after):
                    if key > last:
                        last, attempt = key, 0
                        self._recover("list")
                        yield key
                self._recover("list")
                return
            except Unreachable as error:
                _count("list", error)
                attempt += 1
                self._pause("list", attempt, error)
            except StoreError as error:
                _count("list", error)
                self._recover("list")
                raise

    def _again(self, what: str, operation: Callable[[], Answer]) -> Answer:
        attempt = 0
        while True:
            try:
                with metrics.STORE_OPERATION.labels(what).time():
                    answer = operation()
            except Unreachable as error:
                _count(what, error)
                attempt += 1
                self._pause(what, attempt, error)
            except StoreError as error:
                _count(what, error)
                self._recover(what)
                raise
            else:
                self._recover(what)
                return answer

    def _pause(self, what: str, attempt: int, error: Unreachable) -> None:
        if attempt >= self.attempts:
            raise error
        pause = min(self.first_pause * 2 ** (attempt - 1), self.longest_pause) * self.chance()
        metrics.STORE_RETRIES.labels(what).inc()
        self._faults.report("store.retried", error, what, what=what)
        self.sleep(pause)

    def _recover(self, what: str) -> None:
        """The store has answered, if only to refuse."""
        self._faults.recover("store.retried", what, what=what)


def _count(what: str, error: StoreError) -> None:
    """A missing object is an answer, not an error."""
    if isinstance(error, NotFound):
        return
    kind = metrics.REFUSED
    if isinstance(error, Unreachable):
        kind = metrics.AWAY
    elif isinstance(error, Conflict):
        kind = metrics.CONFLICT
    metrics.STORE_ERRORS.labels(what, kind).inc()
