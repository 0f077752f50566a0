"""A folder in memory for the sound of rooms by telephone: a file is there until the switch has opened it.

It must be a tmpfs that is never swapped out, so that no disk ever has a recording unencrypted, and closed to
everybody but Accord and the switch. That is checked before each file is written.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import structlog

from recorder.errors import ConfigError

RATE: Final = 8000
"""Samples per second, of 16 bit."""

TAIL_MS: Final = 10_000
"""Silence after the sound, in which it is paused: the switch closes a sound that has ended."""

MODE: Final = 0o640
"""Accord's own user writes, and the folder's group, which is the switch's, reads."""

MOUNT: Final = "mount -t tmpfs -o noswap,size=256m,mode=2750,uid=accord,gid=accord tmpfs"
"""The command that makes such a folder; its path follows."""

log = structlog.get_logger()

_MOUNTS: Final = Path("/proc/self/mountinfo")
_SWAPS: Final = Path("/proc/swaps")


@dataclass(frozen=True, slots=True)
class SoundFolder:
    """The folder at ``path``, for the sounds of an ``owner``: rooms, or people's own calls."""

    path: Path
    owner: str = "room"

    def check(self) -> None:
        """Raises :class:`ConfigError` (``rooms.sounds``) unless the folder is as it must be."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise self._refuse(f"cannot be used: {error.strerror}") from error
        kind, options = _mount_of(found.st_dev)
        if kind != "tmpfs":
            raise self._refuse(f"is on {kind or 'an unknown file system'}, not in memory")
        if "noswap" not in options and _is_swapping():
            raise self._refuse("may be swapped out to a disk")
        if found.st_mode & 0o007:
            raise self._refuse("is open to every user of this machine")

    def is_usable(self) -> bool:
        """Whether the folder is as it must be; what is wrong is logged."""
        try:
            self.check()
        except ConfigError as error:
            log.error("room.folder_unusable", error_id=error.error_id, error=error.message)
            return False
        return True

    def empty(self) -> None:
        """Remove all files: what a process that died has left. Raises ``OSError``."""
        self._remove("*.wav")

    def tidy(self) -> None:
        """Remove the owner's files, when nobody needs them. Raises ``OSError``."""
        self._remove(f"{self.owner}-*.wav")

    def _remove(self, names: str) -> None:
        if self.path.is_dir():
            for each in self.path.glob(names):
                each.unlink(missing_ok=True)

    def write(self, pieces: Iterator[bytes], tail_ms: int = TAIL_MS) -> Path:
        """Write a sound (16 bit, mono), and silence after it; returns its path. Raises :class:`ConfigError`,
        ``OSError``, and as ``pieces``; then no file is left."""
        self.check()
        path = self.path / f"{self.owner}-{uuid.uuid4()}.wav"
        tail = bytes(tail_ms * RATE // 1000 * 2)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
                os.fchmod(file.fileno(), MODE)
                file.write(_header(0))
                size = sum(file.write(each) for each in chain(pieces, [tail]))
                file.seek(0)
                file.write(_header(size))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _refuse(self, why: str) -> ConfigError:
        return ConfigError(
            "rooms.sounds", f"the folder for the sound of rooms, {self.path}, {why}", f"{MOUNT} {self.path}"
        )


def _mount_of(device: int) -> tuple[str, frozenset[str]]:
    """The type and the options of the file system on a device, as the kernel has it mounted."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text("utf-8").splitlines():
        place, _, system = line.partition(" - ")
        if place.split()[2] == number:
            kind, _source, *options = system.split()
            return kind, frozenset(",".join(options).split(","))
    return "", frozenset()


def _is_swapping() -> bool:
    """Whether this machine has swap space in use."""
    return len(_SWAPS.read_text("utf-8").splitlines()) > 1


def _header(size: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
