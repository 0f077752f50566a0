"""Decodes a sound file from elsewhere in another process (``decoder.py``), which can open no other file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, Any

COMMAND = (sys.executable, "-I", "-m", "recorder.audio.decoder")
"""Isolated, and started in a system folder: the folder of the file may contain a ``numpy.py``."""

LARGEST = (1 << 32) - (1 << 20)
"""Bytes of audio: a WAV states its length in 32 bits."""


class NotSound(Exception):
    """Why a file is refused; the message continues its name."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result: ``channels`` is how many the file had (1 or 2)."""

    channels: int
    duration_ms: int


def decode(source: IO[bytes], target: IO[bytes], room: int, *, patience_s: float) -> Decoded:
    """Write the audio of one open file to another as a two-channel WAV of at most ``room`` bytes, within so
    many seconds. Raises :class:`NotSound`, ``OSError`` (a full disk)."""
    source.seek(0)
    try:
        process = subprocess.run(
            [*COMMAND, str(target.fileno()), str(room)],
            stdin=source,
            capture_output=True,
            pass_fds=[target.fileno()],
            cwd="/",
            env={"OPENBLAS_NUM_THREADS": "1"},
            timeout=patience_s,
        )
    except subprocess.TimeoutExpired:
        raise NotSound(f"it was not decoded within {patience_s:.0f} seconds") from None
    if process.returncode != 0:
        last = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise NotSound(f"its decoder exited with status {process.returncode}: {last}")
    result: dict[str, Any] = json.loads(process.stdout)
    if "why" in result:
        raise NotSound(result["why"])
    if "errno" in result:
        raise OSError(result["errno"], "the decoded sound cannot be written")
    return Decoded(result["channels"], result["duration_ms"])
