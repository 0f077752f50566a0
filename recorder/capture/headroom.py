"""Decides whether the spool's disk has room for one more recording, and which recordings end before it has
none.

A recording that a full disk cuts loses its end, and one that is cut in its announcement loses all its
purposes. So none starts unless the current ones can go on for two minutes (``disk_space.HEADROOM_SECONDS``),
and all can be finished: marks and ends written, and the largest one encoded, encrypted and stored, which
frees room. If they go on for longer than the disk lasts, the longest ends first, while all of that still has
room.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from recorder.audio.wav import FRAME_BYTES, RATES
from recorder.call.state import Phase
from recorder.capture.call_controller import CallController
from recorder.errors import TakeError
from recorder.spool import disk_space, layout
from recorder.spool.disk_space import Disk, GrowingFile

LEAD: Final = 5.0
"""Seconds before the disk is too full to finish the current recordings, at which the longest is ended:
several checks ahead."""

AT_ONCE: Final = 0.05
"""Seconds per check for finished takes; the others have their turn at the next check."""

REST: Final = 20.0
"""The time until the next check of them, as a multiple of how long the check took."""

_RATE_AT: Final = 24
"""Offset of the sample rate in a WAV file as the switch writes it."""


class Headroom:
    """The room that recordings need on a spool's disk. ``calls`` are the current ones. Measured in a
    thread, queried in the hub: recordings that began since the last check count."""

    def __init__(
        self,
        root: Path,
        calls: Mapping[str, CallController],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._calls = calls
        self._monotonic = monotonic
        self._disk: Disk | None = None
        self._sounds: dict[str, tuple[int, int]] = {}
        self._finished: dict[str, int] = {}
        self._most = 0
        self._due = 0.0

    def measure(self, found: Disk) -> None:
        """Measure how much the recordings take. Raises ``OSError``."""
        sounds = {}
        for call in self._recording():
            size, rate = _sound(call.writer.audio)
            sounds[call.start.recording] = size, rate or disk_space.DEFAULT_RATE
        self._sounds, self._disk = sounds, found
        began = self._monotonic()
        if began >= self._due:
            more = self._look_at_finished(sounds, began + AT_ONCE)
            ended = self._monotonic()
            self._due = ended if more else ended + REST * (ended - began)

    def admits(self, formats: tuple[str, ...], more: int = 1) -> bool:
        """Whether another recording in these formats may start."""
        new = [GrowingFile(0, disk_space.DEFAULT_RATE, formats)] * more
        found = self._disk
        return found is None or found.free >= self._wanted(
            [*self._growing(), *new], disk_space.HEADROOM_SECONDS, found
        )

    def excess(self) -> list[CallController]:
        """Return the recordings that must end now, the longest first."""
        found = self._disk
        if found is None:
            return []
        others = self._growing(announced=False)
        announced = sorted(
            ((self._of(call), call) for call in self._recording() if _announced(call)),
            key=lambda each: each[0].written,
        )
        ending = []
        while announced and found.free < self._wanted(
            [*others, *(each for each, _ in announced)], LEAD, found
        ):
            growing, call = announced.pop()
            others.append(GrowingFile(growing.written, 0, growing.formats))
            ending.append(call)
        return ending

    def _wanted(self, growing: list[GrowingFile], seconds: float, found: Disk) -> int:
        return disk_space.bytes_needed(found.size, growing, self._most, seconds)

    def _recording(self) -> Iterable[CallController]:
        """Return the calls that are recorded, will be, or were until now."""
        return [call for call in list(self._calls.values()) if call.state.phase < Phase.UNRECORDED]

    def _growing(self, announced: bool = True) -> list[GrowingFile]:
        return [self._of(call) for call in self._recording() if announced or not _announced(call)]

    def _of(self, call: CallController) -> GrowingFile:
        written, rate = self._sounds.get(call.start.recording, (0, disk_space.DEFAULT_RATE))
        over = call.state.phase is Phase.ANNOUNCED and not call.state.recording.capturing
        return GrowingFile(written, 0 if over else rate, call.start.formats)

    def _look_at_finished(self, recording: Mapping[str, object], until: float) -> bool:
        """Measure what the largest take that waits for the worker needs; return whether there are more to
        check."""
        with os.scandir(self._root) as entries:
            names = {
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name != layout.QUARANTINE and entry.is_dir()
            }
        for name in self._finished.keys() - names:
            del self._finished[name]
        more = False
        for name in names - self._finished.keys() - recording.keys():
            if more := self._monotonic() > until:
                break
            folder = self._root / name
            if (folder / layout.END).exists():
                self._finished[name] = _finishing(folder)
        self._most = max(self._finished.values(), default=0)
        return more


def _announced(call: CallController) -> bool:
    return call.state.phase is Phase.ANNOUNCED and call.state.recording.capturing


def _finishing(folder: Path) -> int:
    """Return what a finished take needs; nothing where it cannot be read, or is not kept."""
    try:
        return disk_space.bytes_to_finish(
            (folder / layout.AUDIO).stat().st_size, layout.read_start(folder).formats
        )
    except (TakeError, OSError):
        return 0


def _sound(path: Path) -> tuple[int, int]:
    """Return how many bytes the switch has written of a file, and how many it writes each second (0: not
    known)."""
    try:
        with open(path, "rb") as file:
            head = file.read(_RATE_AT + 4)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0, 0
    if len(head) < _RATE_AT + 4:
        return size, 0
    (rate,) = struct.unpack_from("<I", head, _RATE_AT)
    return size, rate * FRAME_BYTES if rate in RATES else 0
