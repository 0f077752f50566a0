"""Distinguishes takes that crash their encoder, which go into quarantine, from takes that were unlucky.

Whether the kernel kills an encoder for lack of memory, an operator kills it, or a codec crashes on one sound:
the worker only sees that the process ended. If other takes are encoded meanwhile, the take is at fault; if
not, the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CRASH_LIMIT: Final = 3
"""Counted crashes after which a take goes into quarantine."""

CRASH_INTERVAL: Final = 900.0
"""Minimum of seconds between two counted crashes. A take is tried about fifteen times meanwhile, and one
attempt succeeds if the machine is merely short of memory, or encoders are killed at random."""

CRASH_INTERVAL_ALONE: Final = 6 * 3600.0
"""The same while no other take waits to be encoded, so that there is nothing to compare with."""


@dataclass(slots=True)
class _Suspect:
    """``counted`` crashes, the last of them ``at`` (monotonic); ``encoded`` is the number of takes that were
    encoded before the last crash, counted or not."""

    counted: int
    at: float
    encoded: int


class EncoderCrashes:
    """Encoder crashes of one worker, by take; safe for its loop and threads at once."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._suspects: dict[str, _Suspect] = {}
        self._encoded = 0

    def note_crash(self, take: str, alone: bool) -> int:
        """Note that an encoder died while it encoded a take; returns how many crashes count against the take.

        The first counts. A further one counts after :data:`CRASH_INTERVAL` if another take was encoded since
        this take's last crash, and after :data:`CRASH_INTERVAL_ALONE` if no other take waits (``alone``)."""
        now = self._monotonic()
        with self._lock:
            suspect = self._suspects.get(take)
            if suspect is None:
                suspect = self._suspects[take] = _Suspect(1, now, self._encoded)
                return suspect.counted
            elapsed = now - suspect.at
            if (elapsed >= CRASH_INTERVAL and self._encoded > suspect.encoded) or (
                elapsed >= CRASH_INTERVAL_ALONE and alone
            ):
                suspect.counted += 1
                suspect.at = now
            suspect.encoded = self._encoded
            return suspect.counted

    def note_encoded(self, take: str) -> None:
        """Note that a take was encoded."""
        with self._lock:
            self._encoded += 1
            self._suspects.pop(take, None)

    def is_poison(self, take: str) -> bool:
        """Whether a take must go into quarantine."""
        with self._lock:
            suspect = self._suspects.get(take)
            return suspect is not None and suspect.counted >= CRASH_LIMIT

    def forget(self, take: str) -> None:
        """Drop a take that is in quarantine now."""
        with self._lock:
            self._suspects.pop(take, None)
