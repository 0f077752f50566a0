"""How full the spool's disk is, and what that means: the one place that says so.

The daemon decides by it, metrics, ``accord doctor`` and ``accord top`` show it.  :func:`hint` says what to do
about a disk's errors.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class Room(StrEnum):
    """What there is room for."""

    OK = "ok"
    WARN = "warn"  # the operator is told; calls are recorded
    FULL = "full"  # no new recording starts; calls go on


STEP = 0.005
"""Share of the disk by which it must be less full than a limit, to be better again."""


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

    def room(self, warn_at: float, full_at: float, before: Room = Room.OK) -> Room:
        """What the share in use means, by ``[node] warn_at`` and ``full_at`` (0 to 1).  Given what it was
        ``before``, it becomes better only by :data:`STEP`: a disk at a limit is not told about again and
        again."""
        for room, limit in ((Room.FULL, full_at), (Room.WARN, warn_at)):
            was = before is room or before is Room.FULL
            if self.used > limit - (STEP if was else 0.0):
                return room
        return Room.OK


def look(folder: Path) -> Disk:
    """The disk that a folder is on.  Raises ``OSError``."""
    found = os.statvfs(folder)
    return Disk(
        found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail
    )


def hint(error: OSError) -> str:
    """What an operator does about a disk's error."""
    return _HINTS.get(error.errno or 0, "is the spool's disk there and whole? the kernel's log says more")
