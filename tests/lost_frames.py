"""Takes with lost frames."""

from __future__ import annotations

from pathlib import Path

import soundfile


def lose_frames(audio: Path, lost_ms: int) -> None:
    """Cut ``lost_ms`` out of the middle of a WAV, as if the switch had lost it; the header stays right."""
    sound, rate = soundfile.read(audio, dtype="int16")
    middle, cut = len(sound) // 2, lost_ms * rate // 1000
    rest = [*sound[:middle], *sound[middle + cut :]]
    soundfile.write(audio, rest, rate, subtype="PCM_16")
