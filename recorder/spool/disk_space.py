"""How full the spool's disk is, and what that means: the one place that says so.

The daemon decides by it, metrics, ``accord doctor`` and ``accord status`` show it.  :func:`hint_for` says what to
do about a disk's errors.  :func:`bytes_to_finish` and :func:`bytes_needed` say how much room takes need to their end: the
daemon lets no more recordings begin than that leaves, and the worker encodes what there is room for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class DiskLevel(StrEnum):
    """What there is room for."""

    OK = "ok"
    WARN = "warn"  # the operator is told; calls are recorded
    FULL = "full"  # no new recording starts; calls go on


HYSTERESIS = 0.005
"""Share of the disk by which it must be less full than a limit, to be better again."""


DEFAULT_RATE: Final = 8000 * 2 * 2
"""Bytes that a recording takes in a second, of which nothing is written yet: 8 kHz, two channels, 16 bits."""

HEADROOM_SECONDS: Final = 120.0
"""Seconds for which a recording that begins, and all that go on, have room on the disk."""

FOLDER_OVERHEAD: Final = 32 * 1024
"""Bytes that a call's folder, marks and end take beside its sound, by what file systems round up to."""

RESERVE, RESERVE_SHARE = 1024 * 1024, 0.01
"""What is left for calls that are not recorded, which are written down, too: so many bytes, but no more than
this share of a disk."""

_HINTS: Final = {
    errno.ENOSPC: "make room on the spool's disk: nothing in the spool may be deleted",
    errno.EDQUOT: "this user's quota on the spool's disk is used up",
    errno.EROFS: "the spool's disk is mounted read-only: the kernel's log says why",
    errno.EACCES: "switch, daemon and worker need one group that may write to the spool (mode 2770)",
    errno.EPERM: "switch, daemon and worker need one group that may write to the spool (mode 2770)",
    errno.EMFILE: "this process has no more file handles: raise LimitNOFILE, and see what holds them",
    errno.ENFILE: "this machine has no more file handles: raise fs.file-max, and see what holds them",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk at one moment: its size and what is free on it for us, in bytes (what is reserved for root
    counts as in use); how many files it can hold and how many more, both 0 where it has no such limit."""

    size: int
    free: int
    files: int = 0
    files_free: int = 0

    @property
    def used(self) -> float:
        """The share in use, 0 to 1: of its space or of its files, whichever is scarcer (a disk without
        inodes takes no call, however much space it has)."""
        space = 1 - self.free / self.size if self.size > 0 else 0.0
        files = 1 - self.files_free / self.files if self.files > 0 else 0.0
        return max(space, files)

    def room(self, warn_at: float, full_at: float, before: DiskLevel = DiskLevel.OK) -> DiskLevel:
        """What the share in use means, by ``[node] warn_at`` and ``full_at`` (0 to 1).  Given what it was
        ``before``, it becomes better only by :data:`HYSTERESIS`: a disk at a limit is not told about again and
        again."""
        for room, limit in ((DiskLevel.FULL, full_at), (DiskLevel.WARN, warn_at)):
            was = before is room or before is DiskLevel.FULL
            if self.used > limit - (HYSTERESIS if was else 0.0):
                return room
        return DiskLevel.OK


@dataclass(frozen=True, slots=True)
class GrowingFile:
    """A recording that goes on: bytes of its sound, how many more each second, and what it will become."""

    written: int
    rate: int
    formats: tuple[str, ...]


def bytes_to_finish(sound: int, formats: Iterable[str]) -> int:
    """Bytes that a take with so many of sound needs beside them until it is stored, at most: each of its
    objects lies there as it is, and encrypted."""
    asked = set(formats)
    opus = sound // 6 if "opus" in asked else 0  # at 8 kHz an eighth, but of noise more
    outline = 4096 + min(sound // 80, 256 * 1024)
    return 2 * (outline + opus + (sound if "wav" in asked else 0)) + FOLDER_OVERHEAD


def bytes_needed(size: int, growing: Sequence[GrowingFile], finished: int, seconds: float) -> int:
    """How much must be free on a disk of that ``size`` for recordings to go on so long, and then for all to
    be finished, one after the other: the largest of them, or of those that wait, which needs ``finished``."""
    more = [round(each.rate * seconds) for each in growing]
    ends = (bytes_to_finish(each.written + grown, each.formats) for each, grown in zip(growing, more, strict=True))
    spare = min(RESERVE, round(RESERVE_SHARE * size))
    return sum(more) + FOLDER_OVERHEAD * len(growing) + max((finished, *ends)) + spare


def measure_disk(folder: Path) -> Disk:
    """The disk that a folder is on.  Raises ``OSError``."""
    found = os.statvfs(folder)
    return Disk(
        found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail
    )


def hint_for(error: OSError) -> str:
    """What an operator does about a disk's error."""
    return _HINTS.get(error.errno or 0, "is the spool's disk there and whole? the kernel's log says more")
