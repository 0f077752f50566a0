"""Tells takes that crash their encoder, which are set aside, from those that only had bad luck.

The kernel kills an encoder for want of memory, an operator kills it, or a codec crashes on one sound: the
worker only sees that the process ended.  If other takes are encoded meanwhile, the take is at fault; if not,
the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ENOUGH: Final = 3
"""Deaths that count, after which a take is set aside."""

APART: Final = 900.0
"""Seconds between two that count: a take is tried some fifteen times in them, and a machine that is out of
memory, or somebody who strikes at random, lets one of them pass."""

ALONE: Final = 6 * 3600.0
"""The same where no other take waits to be encoded, by which one could tell."""


@dataclass(slots=True)
class _Suspect:
    """``counted`` deaths, the last of them ``at`` (monotonic); how many takes were ``encoded`` up to its last
    death, counted or not."""

    counted: int
    at: float
    encoded: int


class Deaths:
    """What one worker knows of its encoders' deaths, by take; for its loop and threads at once."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._suspects: dict[str, _Suspect] = {}
        self._encoded = 0

    def died(self, take: str, alone: bool) -> int:
        """An encoder died of a take, or with it; how many deaths count against it.

        The first does.  Another one does after :data:`APART` where another take was encoded since this one's
        last death, and after :data:`ALONE` where there is none that waits (``alone``)."""
        now = self._monotonic()
        with self._lock:
            suspect = self._suspects.get(take)
            if suspect is None:
                suspect = self._suspects[take] = _Suspect(1, now, self._encoded)
                return suspect.counted
            passed = now - suspect.at
            if (passed >= APART and self._encoded > suspect.encoded) or (passed >= ALONE and alone):
                suspect.counted += 1
                suspect.at = now
            suspect.encoded = self._encoded
            return suspect.counted

    def encoded(self, take: str) -> None:
        """A take was encoded."""
        with self._lock:
            self._encoded += 1
            self._suspects.pop(take, None)

    def enough(self, take: str) -> bool:
        """Whether a take is to be set aside."""
        with self._lock:
            suspect = self._suspects.get(take)
            return suspect is not None and suspect.counted >= ENOUGH

    def forget(self, take: str) -> None:
        """It was set aside."""
        with self._lock:
            self._suspects.pop(take, None)
