"""Decides whether the spool's disk has room for one more recording, and which recordings to stop before the
disk is full.

A recording that a full disk cuts loses its end, and one that is cut in its announcement loses all its
purposes. So no recording starts unless the current ones can continue for two minutes (``disk_space.AHEAD``)
and all can be finished: their markers and ends written, and the largest one encoded, encrypted and stored,
which frees room. If the recordings outlast the disk, the longest stops first, while there is still room to
finish all.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.audio.wav import FRAME_BYTES, RATES
from recorder.call.state import Phase
from recorder.capture.call_controller import CallController
from recorder.errors import TakeError
from recorder.spool import disk_space, layout
from recorder.spool.disk_space import Disk, GrowingFile

LEAD: Final = 5.0
"""The longest recording is stopped this many seconds (several checks) before the disk is too full to finish
the current ones."""

CHECK_LIMIT: Final = 0.05
"""Seconds per check for measuring finished takes; the next check continues."""

PAUSE_FACTOR: Final = 20.0
"""Time until finished takes are checked again, as a multiple of the duration of the check."""

_RATE_OFFSET: Final = 24
"""Offset of the sample rate, in bytes, in a WAV file as the switch writes it."""


@dataclass(eq=False, repr=False)
class Headroom:
    """Computes the room that the recordings of ``calls`` need on a spool's disk. Measured in a thread and
    queried in the hub; recordings that began after the last measurement count, too."""

    root: Path
    calls: Mapping[str, CallController]
    monotonic: Callable[[], float] = time.monotonic
    _disk: Disk | None = field(default=None, init=False)
    _sounds: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    _finished: dict[str, int] = field(default_factory=dict, init=False)
    _most: int = field(default=0, init=False)
    _due: float = field(default=0.0, init=False)

    def measure(self, found: Disk) -> None:
        """Measure the recordings and finished takes. Raises ``OSError``."""
        sounds = {}
        for call in self._recording():
            size, rate = _sound(call.writer.audio)
            sounds[call.start.recording] = size, rate or disk_space.DEFAULT_RATE
        self._sounds, self._disk = sounds, found
        start = self.monotonic()
        if start >= self._due:
            more = self._measure_finished(sounds, start + CHECK_LIMIT)
            end = self.monotonic()
            self._due = end if more else end + PAUSE_FACTOR * (end - start)

    def admits(self, formats: tuple[str, ...], more: int = 1) -> bool:
        """Whether ``more`` recordings in these formats may start."""
        new = [GrowingFile(0, disk_space.DEFAULT_RATE, formats)] * more
        found = self._disk
        return found is None or found.free >= self._bytes_needed(
            [*self._growing_files(), *new], disk_space.HEADROOM_SECONDS, found
        )

    def excess(self) -> list[CallController]:
        """Return the calls whose recordings must stop now, the longest first."""
        found = self._disk
        if found is None:
            return []
        others = self._growing_files(announced=False)
        announced = sorted(
            ((self._growing_file(call), call) for call in self._recording() if _announced(call)),
            key=lambda each: each[0].size,
        )
        overruns = []
        while announced and found.free < self._bytes_needed(
            [*others, *(each for each, _ in announced)], LEAD, found
        ):
            largest, call = announced.pop()
            others.append(GrowingFile(largest.size, 0, largest.formats))
            overruns.append(call)
        return overruns

    def _bytes_needed(self, files: list[GrowingFile], seconds: float, found: Disk) -> int:
        return disk_space.bytes_needed(found.size, files, self._most, seconds)

    def _recording(self) -> Iterable[CallController]:
        """Return the calls that are recorded, or may be."""
        return [call for call in list(self.calls.values()) if call.state.phase < Phase.UNRECORDED]

    def _growing_files(self, announced: bool = True) -> list[GrowingFile]:
        return [self._growing_file(call) for call in self._recording() if announced or not _announced(call)]

    def _growing_file(self, call: CallController) -> GrowingFile:
        size, rate = self._sounds.get(call.start.recording, (0, disk_space.DEFAULT_RATE))
        over = call.state.phase is Phase.ANNOUNCED and not call.state.recording.capturing
        return GrowingFile(size, 0 if over else rate, call.start.formats)

    def _measure_finished(self, recording: Mapping[str, object], until: float) -> bool:
        """Find the largest need of a take that waits for the worker, until the time ``until``; return whether
        takes remain to be checked."""
        with os.scandir(self.root) as entries:
            names = {
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name != layout.QUARANTINE and entry.is_dir()
            }
        for name in self._finished.keys() - names:
            del self._finished[name]
        more = False
        for name in names - self._finished.keys() - recording.keys():
            if more := self.monotonic() > until:
                break
            folder = self.root / name
            if (folder / layout.END).exists():
                self._finished[name] = _bytes_to_finish(folder)
        self._most = max(self._finished.values(), default=0)
        return more


def _announced(call: CallController) -> bool:
    return call.state.phase is Phase.ANNOUNCED and call.state.recording.capturing


def _bytes_to_finish(folder: Path) -> int:
    """Return the bytes that a finished take needs to be stored; 0 if it cannot be read, or is not kept."""
    try:
        return disk_space.bytes_to_finish(
            (folder / layout.AUDIO).stat().st_size, layout.read_start(folder).formats
        )
    except (TakeError, OSError):
        return 0


def _sound(path: Path) -> tuple[int, int]:
    """Return the size of an audio file in bytes, and its growth in bytes per second (0: not known)."""
    try:
        with open(path, "rb") as file:
            head = file.read(_RATE_OFFSET + 4)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0, 0
    if len(head) < _RATE_OFFSET + 4:
        return size, 0
    (rate,) = struct.unpack_from("<I", head, _RATE_OFFSET)
    return size, rate * FRAME_BYTES if rate in RATES else 0
