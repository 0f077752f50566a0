"""Disk space in the spool: how full its disk is, and how much space recordings still need.

The daemon decides by it whether to record a call; metrics, ``accord doctor`` and ``accord status`` report it.
:func:`bytes_to_finish` and :func:`bytes_needed` give the space that takes need until they are stored: the
daemon starts a recording only if there is enough, and the worker encodes takes for which there is enough.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class DiskLevel(StrEnum):
    """How full a disk is, as a decision."""

    OK = "ok"
    WARN = "warn"  # the operator is warned; calls are recorded
    FULL = "full"  # no new recording starts; calls continue


HYSTERESIS = 0.005
"""Share of the disk by which usage must fall below a limit before the level improves."""


DEFAULT_RATE: Final = 8000 * 2 * 2
"""Bytes a second of a recording of which nothing has been written yet: 8 kHz, two channels, 16 bits."""

HEADROOM_SECONDS: Final = 120.0
"""Time for which a new recording, and all current ones, must have space on the disk."""

FOLDER_OVERHEAD: Final = 32 * 1024
"""Bytes that a call's folder takes besides its audio: its small files, rounded up to whole blocks."""

RESERVE, RESERVE_SHARE = 1024 * 1024, 0.01
"""Bytes reserved for calls without a recording, which are written down, too; at most this share of the
disk."""

_GROUP: Final = "switch, daemon and worker need one group that may write to the spool (mode 2770)"

_HINTS: Final = {
    errno.ENOSPC: "make room on the spool's disk, but delete nothing in the spool",
    errno.EDQUOT: "this user's quota on the spool's disk is used up: raise it",
    errno.EACCES: _GROUP,
    errno.EPERM: _GROUP,
    errno.EMFILE: "this process has no file handles left: raise LimitNOFILE, and see what holds them",
    errno.ENFILE: "this machine has no file handles left: raise fs.file-max, and see what holds them",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk at one moment: its size and the free bytes available to us (those reserved for root count as in
    use); how many files it can hold and how many more, both 0 if it has no such limit."""

    size: int
    free: int
    files: int = 0
    files_free: int = 0

    @property
    def share_used(self) -> float:
        """The share in use, 0 to 1, of its space or of its files, whichever is higher: without a free inode
        no call can be recorded."""
        space = 1 - self.free / self.size if self.size > 0 else 0.0
        files = 1 - self.files_free / self.files if self.files > 0 else 0.0
        return max(space, files)

    def level(self, warn_at: float, full_at: float, before: DiskLevel = DiskLevel.OK) -> DiskLevel:
        """The level by ``[node] warn_at`` and ``full_at`` (shares, 0 to 1). ``before`` is the previous level:
        usage must fall by :data:`HYSTERESIS` before the level improves, so that it does not alternate."""
        for level, limit in ((DiskLevel.FULL, full_at), (DiskLevel.WARN, warn_at)):
            was = before is level or before is DiskLevel.FULL
            if self.share_used > limit - (HYSTERESIS if was else 0.0):
                return level
        return DiskLevel.OK


@dataclass(frozen=True, slots=True)
class GrowingFile:
    """A recording in progress: bytes of audio written, bytes written each second, and the formats in which it
    will be kept."""

    size: int
    rate: int
    formats: tuple[str, ...]


def bytes_to_finish(sound: int, formats: Iterable[str]) -> int:
    """The most that a take with ``sound`` bytes of audio needs besides them until it is stored: each of its
    objects exists twice, plain and encrypted."""
    outputs = set(formats)
    opus = sound // 6 if "opus" in outputs else 0  # an eighth at 8 kHz, but noise takes more
    peaks = 4096 + min(sound // 80, 256 * 1024)
    return 2 * (peaks + opus + (sound if "wav" in outputs else 0)) + FOLDER_OVERHEAD


def bytes_needed(size: int, files: Sequence[GrowingFile], finished: int, seconds: float) -> int:
    """How many bytes must be free on a disk of ``size`` bytes so that the recordings in progress can continue
    for so many ``seconds`` and then all takes can be finished one after the other. That takes as much as the
    largest of them, or of the waiting ones, which needs ``finished`` bytes."""
    more = [round(each.rate * seconds) for each in files]
    ends = (
        bytes_to_finish(each.size + growth, each.formats) for each, growth in zip(files, more, strict=True)
    )
    reserve = min(RESERVE, round(RESERVE_SHARE * size))
    return sum(more) + FOLDER_OVERHEAD * len(files) + max((finished, *ends)) + reserve


def measure_disk(folder: Path) -> Disk:
    """The disk that holds a folder. Raises ``OSError``."""
    found = os.statvfs(folder)
    return Disk(
        found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail
    )


def hint_for(error: OSError) -> str:
    """What an operator should do about an error of the spool's disk."""
    if error.errno == errno.EROFS:
        return read_only_hint(error.filename)
    return _HINTS.get(
        error.errno or 0, "check that the spool's disk is mounted and healthy; see the kernel's log"
    )


def read_only_hint(path: str | bytes | Path | None) -> str:
    """What to do about a path that is read-only for this process: a disk that the kernel remounted is so for
    everybody, and a unit's sandbox leaves the disk itself writable."""
    if path is not None and _is_sandboxed(os.path.realpath(os.fsdecode(path))):
        return (
            "its disk is writable, but not for this process: name the folder in ReadWritePaths= of the unit "
            "(`systemctl edit`), or mount it without `ro`"
        )
    return "its disk is mounted read-only: see the kernel's log for the reason"


def _is_sandboxed(path: str) -> bool:
    """Whether a path's mount is read-only, and its file system is not."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    mounts = []
    for line in lines:
        fields = line.split(" ")
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if path == folder or path.startswith(folder.rstrip("/") + "/"):
            mounts.append((len(folder), fields[5].split(","), fields[-1].split(",")))
    if not mounts:
        return False
    # The last of a folder's mounts covers the others.
    _, options, options_of_disk = max(reversed(mounts), key=lambda mount: mount[0])
    return "ro" in options and "ro" not in options_of_disk
