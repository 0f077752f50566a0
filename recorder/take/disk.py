"""How full the spool's disk is, and what that means: the one place that says so.

The daemon decides by it, metrics, ``accord doctor`` and ``accord top`` show it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Room(StrEnum):
    """What there is room for."""

    OK = "ok"
    WARN = "warn"  # the operator is told; calls are recorded
    FULL = "full"  # no new recording starts; calls go on


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk at one moment: its size and what is free on it for us, in bytes (what is reserved for root
    counts as in use)."""

    size: int
    free: int

    @property
    def used(self) -> float:
        """The share in use, 0 to 1."""
        return 1 - self.free / self.size if self.size > 0 else 0.0

    def room(self, warn_at: float, full_at: float) -> Room:
        """What the share in use means, by ``[node] warn_at`` and ``full_at`` (0 to 1)."""
        if self.used > full_at:
            return Room.FULL
        return Room.WARN if self.used > warn_at else Room.OK


def look(folder: Path) -> Disk:
    """The disk that a folder is on.  Raises ``OSError``."""
    found = os.statvfs(folder)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
