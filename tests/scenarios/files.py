"""The files that scenarios need: lines, and an announcement that cannot be mistaken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from recorder.call.policy import Announcement, LinePolicy, to_json

RATE = 8000


def chirp(seconds: float = 1.2, low: float = 300) -> np.ndarray:
    """Rises from ``low`` by 2700 Hz; its first sample is its onset."""
    t = np.arange(int(RATE * seconds)) / RATE
    return 0.6 * np.sin(2 * np.pi * (low * t + (2700 / (2 * seconds)) * t * t))


def write_snapshot(folder: Path, numbers: Mapping[str, str]) -> Path:
    """A snapshot with a line for each of ``numbers``; returns the sound that is played.

    The prompt of the line ``damaged`` is; ``never_record`` is on the snapshot's list.
    """
    prompts = folder / "prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    told = []
    for name, low in (("a1", 300), ("a2", 350)):
        new = prompts / "new.wav"
        soundfile.write(new, chirp(low=low), RATE, subtype="PCM_16")
        digest = hashlib.sha256(new.read_bytes()).hexdigest()
        new.rename(prompts / f"{digest}.wav")
        told.append(Announcement(name, 1, "en", "a chirp", ("agreement",), 30, digest, 1200))
    lines = [
        LinePolicy("t1", f"l-{line}", number, "notice", "before_ringing", ("opus",),
                   told[1] if line == "damaged" else told[0])
        for line, number in numbers.items()
    ]  # fmt: skip
    with open(prompts / f"{told[1].sha256}.wav", "ab") as damaged:
        damaged.write(b"\0\0")
    temporary = folder / ".new"
    temporary.write_bytes(to_json("2026-01-01T00:00:00.000Z", lines, [numbers["never_record"]]))
    temporary.rename(folder / "snapshot.json")
    return prompts / f"{told[0].sha256}.wav"
