"""What a take becomes once it was listened to, blanked and encoded: the value between take and seal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.take.spool import Take

GAP_REASONS = frozenset(
    {
        "before_announcement_end",  # left blanked: they had not been told yet
        "ringing",  # left blanked: nobody had answered
        "hold",
        "write_error",
        "repair",  # the file ended before the call did
        "unobserved",  # the daemon was away: nothing was missed in the sound, but nobody watched
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where the announcement is in the audio: milliseconds of audio, and the normalised
    cross-correlation (1.0 is the very sound)."""

    offset_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch that is missing or blanked: milliseconds of audio, ``channel`` ``left``, ``right`` or
    ``both``, ``reason`` one of :data:`GAP_REASONS`."""

    start_ms: int
    end_ms: int
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A mark with its place in the audio, in milliseconds of audio."""

    at: datetime
    offset_ms: int
    kind: str
    data: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sound:
    """A plain file that will be encrypted and stored: ``name`` is ``audio.opus``, ``audio.wav`` or
    ``peaks``; ``length`` in bytes; ``sha256`` hex of the plain bytes."""

    name: str
    path: Path
    media_type: str
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A take ready to be sealed.

    ``announced`` is ``None`` where the announcement could not be found in the audio (P1: no purpose).
    ``drift_ms`` is the call's own clock minus the audio's length, in milliseconds.
    """

    take: Take
    duration_ms: int
    sample_rate: int
    announced: Found | None
    gaps: tuple[Gap, ...]
    markers: tuple[Marker, ...]
    drift_ms: int
    sounds: tuple[Sound, ...]


