"""Measures how many takes wait in the spool, and for how long, from file names alone: ten thousand takes are
counted without opening one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recorder.audio.encoded_take import ENCODED
from recorder.spool.layout import DELAY, END, MANIFEST, QUARANTINE, STORED

CALL: Final = "call"
"""The call is live, or its end was never written."""

NEXT_STAGES: Final = ((STORED, "catalogue"), (MANIFEST, "store"), (ENCODED, "seal"), (END, "encode"))
"""A take's latest file, and the stage that it waits for. A take that waits for *note* counts as *encode*,
because only its content tells them apart."""

STAGES: Final = (CALL, *(stage for _, stage in reversed(NEXT_STAGES)))


@dataclass(slots=True)
class QueueDepth:
    """A spool at one moment. ``counts``: takes by :data:`STAGES`; ``size``: bytes, quarantine included;
    ``oldest``: the end of the call whose take has waited longest; ``closed``: unreadable folders; ``aside``:
    takes in quarantine; ``delays``: takes whose last step failed."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    size: int = 0
    oldest: datetime | None = None
    closed: int = 0
    aside: int = 0
    delays: int = 0

    @property
    def finished(self) -> int:
        """Takes that wait for the worker."""
        return sum(count for stage, count in self.counts.items() if stage != CALL)


def measure(spool: Path) -> QueueDepth:
    """Measure a spool, without folders that vanish meanwhile. Raises ``OSError`` if the spool itself is
    unreadable."""
    depth = QueueDepth()
    with os.scandir(spool) as folders:
        for folder in folders:
            if folder.name == QUARANTINE:
                _measure_aside(folder.path, depth)
            elif not folder.name.startswith(".") and folder.is_dir(follow_symlinks=False):
                _measure_take(folder.path, depth)
    return depth


def _measure_take(folder: str, depth: QueueDepth) -> None:
    try:
        names = _sizes(folder, depth)
        stage = next((stage for name, stage in NEXT_STAGES if name in names), CALL)
        if stage != CALL:
            finished_at = datetime.fromtimestamp(os.stat(f"{folder}/{END}").st_mtime, UTC)
            depth.oldest = finished_at if depth.oldest is None else min(depth.oldest, finished_at)
    except FileNotFoundError:
        return  # stored meanwhile
    except PermissionError:
        depth.closed += 1
        return
    depth.counts[stage] += 1
    depth.delays += DELAY in names


def _measure_aside(quarantine: str, depth: QueueDepth) -> None:
    try:
        with os.scandir(quarantine) as folders:
            for folder in folders:
                if folder.is_dir(follow_symlinks=False) and not folder.name.startswith("."):
                    depth.aside += 1
                    _sizes(folder.path, depth)
    except (FileNotFoundError, PermissionError):
        return


def _sizes(folder: str, depth: QueueDepth) -> set[str]:
    """The names in a folder; adds up their sizes."""
    names = set()
    with os.scandir(folder) as files:
        for file in files:
            names.add(file.name)
            depth.size += file.stat(follow_symlinks=False).st_size
    return names
