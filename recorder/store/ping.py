"""Tests whether a store works, by a small write: one that is read-only or full still answers every read."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Final

from recorder.errors import StoreError
from recorder.health import HealthFinding
from recorder.ids import Entropy
from recorder.spool.atomic_files import memory_file
from recorder.store.contract import Store

PLACE: Final = "probe/"
"""A prefix below which nothing stays."""

CONTENT: Final = b"Accord writes, reads and deletes this to see whether the store works.\n"

INTERVAL: Final = 10.0
"""Seconds between two writes while they succeed: providers charge for each."""


class StorePing:
    """Writes, reads and deletes a small object of a store. ``monotonic`` returns seconds."""

    def __init__(
        self, store: Store, entropy: Entropy = os.urandom, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        # One key for life: a store that deletes nothing is left with one object.
        self._key = f"{PLACE}{entropy(8).hex()}"
        self._success_at = float("-inf")

    def __call__(self) -> HealthFinding:
        """Raises :class:`StoreError`."""
        if self._monotonic() - self._success_at >= INTERVAL:
            self._write()
            self._success_at = self._monotonic()
        return HealthFinding(True, "the store writes, reads and deletes")

    def _write(self) -> None:
        # First, because SeaweedFS creates a missing bucket, without versions and without locks.
        next(iter(self._store.list(PLACE)), None)
        with memory_file(CONTENT) as path:
            self._store.put(self._key, path, hashlib.sha256(CONTENT).hexdigest())
        content = self._store.read(self._key)
        self._store.delete(self._key)
        if content != CONTENT:
            raise StoreError(
                "store.bad_answer",
                f"the store returned other bytes for {self._key} than were written",
                "check that no other service answers in its place",
            )
