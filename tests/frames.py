"""Takes of which a switch lost a part."""

from __future__ import annotations

from pathlib import Path

import soundfile


def lose(audio: Path, lost_ms: int) -> None:
    """Leave so much out of the middle of a WAV, as a switch does that drops frames: its header is right."""
    sound, rate = soundfile.read(audio, dtype="int16")
    middle, lost = len(sound) // 2, lost_ms * rate // 1000
    kept = [*sound[:middle], *sound[middle + lost :]]
    soundfile.write(audio, kept, rate, subtype="PCM_16")
